"""The book's second convolutional net."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

from simplecell.nets.second_cnn import SecondCNN
from tests.nets.contract import NetContract
from tests.nets.reference import parameters


class TestSecondCNN(NetContract):
    name: ClassVar[str] = "second-cnn"


def test_its_maps_are_those_of_the_book_at_32_px() -> None:
    net = SecondCNN(3, 62, 32, 32).eval()
    shapes: list[tuple[int, ...]] = []
    for layer in net.features:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    net(torch.zeros(1, 3, 32, 32))
    assert shapes == [(128, 32, 32), (128, 16, 16), (256, 8, 8), (256, 4, 4)]


def test_its_parameters_are_those_of_the_books_layers() -> None:
    convolutions = (6 * 6 * 3 * 128 + 128) + (4 * 4 * 128 * 256 + 256)
    dense = (4 * 4 * 256 * 512 + 512) + (512 * 62 + 62)
    norms = 2 * (128 + 256 + 512)
    assert parameters(SecondCNN(3, 62, 32, 32)) == convolutions + dense + norms


def test_logits_can_be_negative_unlike_the_books() -> None:
    assert (SecondCNN(3, 62, 32, 32)(torch.randn(4, 3, 32, 32)) < 0).any()


@pytest.mark.parametrize(("depth", "least"), [(1, 2), (2, 8), (3, 16), (4, 32)])
def test_it_is_as_deep_as_asked_where_the_picture_bears_it(depth: int, least: int) -> None:
    net = SecondCNN(3, 5, least, least, depth=depth, base=4).eval()
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.features) == depth
    assert net(torch.randn(2, 3, least, least)).shape == (2, 5)
    assert net.features(torch.randn(1, 3, least, least)).shape[2:] == (1, 1)
