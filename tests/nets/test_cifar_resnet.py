"""The residual nets for CIFAR-10."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from simplecell import nets
from simplecell.nets.cifar_resnet import Block
from tests.nets.contract import NetContract
from tests.nets.reference import parameters


class TestResNet20(NetContract):
    name: ClassVar[str] = "resnet20"


class TestResNet32(NetContract):
    name: ClassVar[str] = "resnet32"


@pytest.mark.slow
class TestResNet44(NetContract):
    name: ClassVar[str] = "resnet44"


@pytest.mark.slow
class TestResNet56(NetContract):
    name: ClassVar[str] = "resnet56"


@pytest.mark.parametrize(("layers", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_it_has_the_papers_number_of_parameters(layers: int, millions: float) -> None:
    net = nets.build(f"resnet{layers}", channels=3, classes=10, height=32, width=32)
    assert round(parameters(net) / 1e6, 2) == millions


def test_a_shortcut_takes_every_second_pixel_and_zeros_for_new_maps() -> None:
    """With the residual silenced, what comes out is the shortcut."""
    block = Block(16, 32).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    maps = torch.rand(2, 16, 9, 7)
    out = block(maps)
    assert out.shape == (2, 32, 5, 4)
    torch.testing.assert_close(out[:, :16], maps[:, :, ::2, ::2])
    assert not out[:, 16:].any()


def test_groups_have_16_32_and_64_maps_and_halve_the_picture() -> None:
    net = nets.build("resnet20", channels=3, classes=10, height=32, width=32).eval()
    shapes: list[tuple[int, ...]] = []
    for group in net.groups:
        group.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    net(torch.zeros(1, 3, 32, 32))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
