"""GoogLeNet."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

from simplecell import nets
from simplecell.nets.googlenet import GoogLeNet
from tests.nets.contract import NetContract
from tests.nets.reference import assert_equal_answers, both, parameters

OPTIONS = {"init_weights": False, "aux_logits": True}


class TestGoogLeNet(NetContract):
    name: ClassVar[str] = "googlenet"
    sizes: ClassVar[list[tuple[int, int]]] = [(15, 15), (33, 47), (64, 48)]

    def with_every_head(self, net: nn.Module) -> nn.Module:
        net.eval().training = True  # of the net alone: norms and dropout stay as they answer
        return net


@pytest.mark.parametrize(("height", "width"), [(15, 15), (67, 90)])
def test_it_answers_as_torchvisions(height: int, width: int) -> None:
    assert_equal_answers(*both("googlenet", "googlenet", 15, **OPTIONS), height, width)


def test_its_auxiliary_heads_answer_as_torchvisions() -> None:
    ours, theirs = both("googlenet", "googlenet", 64, **OPTIONS)
    ours.training = theirs.training = True
    pictures = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        logits, first, second = ours(pictures)
        expected = theirs(pictures)
    assert torch.equal(logits, expected.logits)
    assert torch.equal(first, expected.aux_logits1)
    assert torch.equal(second, expected.aux_logits2)


def test_imagenets_normalisation_in_the_net_is_mean_and_deviation_of_a_half_before_it() -> None:
    """What torchvision's ``transform_input`` does is left to the normalisation, as the docstring says."""
    ours, theirs = both("googlenet", "googlenet", 32, **OPTIONS, transform_input=True)
    raw = torch.rand(2, 3, 32, 32)
    mean, deviation = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        torch.testing.assert_close(ours((raw - 0.5) / 0.5), theirs((raw - mean) / deviation))


def test_it_has_torchvisions_number_of_parameters() -> None:
    ours, theirs = both("googlenet", "googlenet", 224, classes=1000, **OPTIONS)
    assert parameters(ours) == parameters(theirs) == 13_004_888
    with torch.device("meta"):
        bare = nets.build("googlenet", channels=3, classes=1000, height=224, width=224, auxiliary=False)
    assert parameters(bare) == 6_624_904


def test_without_heads_it_gives_logits_alone_in_training_too() -> None:
    net = GoogLeNet(3, 5, 32, 32, auxiliary=False).train()
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 5)
