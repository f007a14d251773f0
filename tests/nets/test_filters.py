"""Filters as pictures: which layer is the first, how weights become grey levels, how the sheet lies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from simplecell import nets
from simplecell.nets.filters import filters, first_layer, sheet
from simplecell.nets.normalising import Normalised


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v2"])
def test_the_first_layer_is_the_one_that_meets_the_picture(name: str) -> None:
    net = torchvision.models.get_model(name, weights=None).eval()
    first = {"resnet18": "conv1", "densenet121": "features.conv0", "mobilenet_v2": "features.0.0"}[name]
    assert first_layer(net, torch.zeros(1, 3, 64, 64)) is net.get_submodule(first)


def test_layers_count_in_the_order_in_which_they_are_passed_and_normalisations_do_not() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.later = nn.Conv2d(4, 2, 1)
            self.norm = nn.BatchNorm2d(1)
            self.sooner = nn.Conv2d(1, 4, 1)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.later(self.sooner(self.norm(picture)))
            return out

    net = Turned().eval()
    assert first_layer(net, torch.zeros(1, 1, 4, 4)) is net.sooner


def test_every_net_of_the_package_has_a_first_layer() -> None:
    for name in ("small", "lenet5", "first-cnn", "dense"):
        body = nets.build(name, channels=1, classes=3, height=28, width=28)
        found = filters(first_layer(Normalised(body, [0.5], [0.5]).eval(), torch.zeros(1, 1, 28, 28).byte()))
        assert (found is None) == (name == "dense")


def test_zero_is_mid_grey_and_the_largest_weight_is_black_or_white() -> None:
    layer = nn.Conv2d(1, 3, 2, bias=False)
    with torch.no_grad():
        weights = torch.tensor([[0.0, 2.0, -1.0, 0.5], [0.0, -3.0, 0.0, 0.0], [0.0] * 4])
        layer.weight.copy_(weights.view(3, 1, 2, 2))
    found = filters(layer)
    assert found is not None
    assert found.shape == (3, 2, 2, 1)
    assert found[0].ravel().tolist() == [128, 255, 64, 160]
    assert found[1].ravel().tolist() == [128, 1, 128, 128]
    assert found[2].ravel().tolist() == [128] * 4


def test_a_layer_that_sees_other_than_one_or_three_channels_is_no_picture() -> None:
    assert filters(nn.Conv2d(2, 3, 3)) is None
    assert filters(nn.Linear(3, 3)) is None
    assert filters(None) is None


def test_the_sheet_has_every_picture_at_its_place_enlarged_and_white_lines_between() -> None:
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)
    made = sheet(pictures, columns=3, scale=2)
    assert made.shape == (2 * 5 - 1, 3 * 7 - 1, 3)
    for k in range(5):
        top, left = k // 3 * 5, k % 3 * 7
        assert (made[top : top + 4, left : left + 6] == k).all()
    assert (made[4] == 255).all()
    assert (made[:, 6] == 255).all()
    assert (made[5:, 14:] == 255).all()  # the place that is left over
