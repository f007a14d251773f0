"""The small fast net."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

from simplecell.nets.small import Small
from tests.nets.contract import SIZES, NetContract


class TestSmall(NetContract):
    name: ClassVar[str] = "small"
    sizes: ClassVar[list[tuple[int, int]]] = [*SIZES, (96, 96), (128, 128), (127, 65)]


def maps(net: Small, height: int, width: int) -> list[tuple[int, int, int]]:
    """Shape of what each stage gives: maps, height, width."""
    shapes: list[tuple[int, int, int]] = []
    for layer in net.features:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    net.eval()(torch.zeros(1, 3, height, width))
    return shapes


@pytest.mark.parametrize(
    ("side", "drawn"),
    [
        (28, [(32, 12), (64, 5), (128, 3)]),
        (64, [(32, 30), (64, 14), (128, 6), (256, 4)]),
        (128, [(32, 31), (64, 14), (128, 6), (256, 4)]),
    ],
)
def test_the_maps_are_those_of_the_drawing(side: int, drawn: list[tuple[int, int]]) -> None:
    assert maps(Small(3, 10, side, side), side, side) == [(count, size, size) for count, size in drawn]


@pytest.mark.parametrize("side", range(24, 130))
def test_the_last_map_sees_most_of_the_picture_at_every_size(side: int) -> None:
    last = maps(Small(3, 10, side, side, base=2), side, side)[-1]
    assert 1 <= last[1] <= 5


def test_pooling_before_the_norm_changes_no_sign() -> None:
    """The maximum of rectified pixels is the rectified maximum, for a norm with a positive scale."""
    features = torch.randn(2, 3, 6, 6)
    norm = nn.BatchNorm2d(3).eval()
    before = norm(nn.functional.max_pool2d(features, 2)).relu()
    torch.testing.assert_close(before, nn.functional.max_pool2d(norm(features).relu(), 2))
