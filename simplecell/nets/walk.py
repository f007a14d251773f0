"""A walk through a net: what each layer makes of one picture, what it costs, and what it sees.

The net answers one picture, and every operation is watched as it happens. So nets of any making can be
walked, also those that no tracer takes apart: shortcuts, attention, functions called in ``forward``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from simplecell.nets import cost
from simplecell.nets.modes import eval_mode
from simplecell.nets.sight import Sight
from simplecell.nets.watching import Dropouts, Hear, Layer, Norm, Past, Watch, Weighted, hooked


@dataclass(frozen=True)
class Walk:
    """What was met on the way.

    picture: channels, rows, columns. weighted, norms: in the order of their use. squashed: the layer with
    the most sigmoids behind it, and how many. end, output: what the answer went through and sees.
    """

    picture: tuple[int, int, int]
    layers: tuple[Layer, ...]
    weighted: tuple[Weighted, ...]
    norms: tuple[Norm, ...]
    squashed: tuple[str, int]
    end: Past
    output: Sight | None

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def memory(self) -> int:
        """Bytes of all that is made anew: about what training keeps of a picture."""
        return sum(layer.memory for layer in self.layers)


def walk(net: nn.Module, example: Tensor) -> Walk:
    """Let a net answer one picture, and watch.

    example: one picture as the net takes it, 1, C, H, W, on the net's device. The net is in eval mode
    meanwhile, and nothing of it changes.
    """
    _, channels, height, width = example.shape
    with torch.inference_mode(False), torch.no_grad(), cost.counted() as products:
        watch = Watch(products, lambda layer, output: None)
        answer = _watched(net, example, watch)
    last = next((t for t in tree_leaves(answer) if isinstance(t, Tensor)), None)
    return Walk(
        (channels, height, width),
        (*watch.layers, *watch.uncalled(net)),
        watch.lasting(),
        tuple(watch.norms),
        watch.squashed,
        Past() if last is None else watch.past.get(last, Past()),
        None if last is None else watch.sights.get(last),
    )


def visit(net: nn.Module, pictures: Tensor, hear: Hear) -> Any:
    """Let a net answer pictures N, C, H, W, and hear what each layer makes of them; gives the answer.

    The layers are those of ``walk``, in its order and by its names; their costs are not counted.
    """
    with torch.inference_mode(False), torch.no_grad():
        return _watched(net, pictures, Watch(lambda: 0, hear))


def _watched(net: nn.Module, pictures: Tensor, watch: Watch) -> Any:
    with eval_mode(net), watch, Dropouts(watch), hooked(net, watch):
        watch.begin(pictures)
        return net(pictures)
