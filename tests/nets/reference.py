"""torchvision's net and ours with the same random weights, and whether they answer equally."""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from simplecell import nets


def random_state(net: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer at random, of a size that lets a deep net's numbers stay in range."""
    chance = torch.Generator().manual_seed(3)
    state: dict[str, Tensor] = {}
    for name, tensor in net.state_dict().items():
        drawn = torch.empty(tensor.shape).uniform_(-1, 1, generator=chance)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = drawn.abs() + 0.5
        elif tensor.dim() >= 2:
            state[name] = drawn * (6 / tensor[0].numel()) ** 0.5
        elif name.endswith("weight"):  # of a norm
            state[name] = 0.5 + 0.4 * drawn
        else:
            state[name] = 0.2 * drawn
    return state


def both(ours: str, theirs: str, side: int, classes: int = 10, **options: Any) -> tuple[nn.Module, nn.Module]:
    """Our net and torchvision's with torchvision's state, which ours has to take as it is; in eval mode."""
    with torch.device("meta"):  # no time for first weights that are thrown away
        our_net = nets.build(ours, channels=3, classes=classes, height=side, width=side)
        their_net = getattr(torchvision.models, theirs)(num_classes=classes, **options)
    state = random_state(their_net)
    our_net.load_state_dict(state, assign=True)
    their_net.load_state_dict(state, assign=True)
    return our_net.eval(), their_net.eval()


def assert_equal_answers(ours: nn.Module, theirs: nn.Module, height: int, width: int) -> None:
    """Logits of two pictures differ by at most 1e-5 of their deviation."""
    pictures = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        expected, found = theirs(pictures), ours(pictures)
    assert 0.01 < expected.std() < 1e4  # neither died nor blew up: the comparison means something
    assert (found - expected).abs().max() <= 1e-5 * expected.std()


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
