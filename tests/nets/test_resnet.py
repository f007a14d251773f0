"""The residual nets for ImageNet."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

from simplecell import nets
from tests.nets.contract import NetContract
from tests.nets.reference import assert_equal_answers, both, parameters

PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


class ResNetContract(NetContract):
    sizes: ClassVar[list[tuple[int, int]]] = [(24, 24), (33, 47), (64, 48)]


class TestResNet18(ResNetContract):
    name: ClassVar[str] = "resnet18"


class TestResNet50(ResNetContract):
    name: ClassVar[str] = "resnet50"


@pytest.mark.slow
class TestResNet34(ResNetContract):
    name: ClassVar[str] = "resnet34"


@pytest.mark.slow
class TestResNet101(ResNetContract):
    name: ClassVar[str] = "resnet101"
    rate: ClassVar[float] = 3e-4


@pytest.mark.slow
class TestResNet152(ResNetContract):
    name: ClassVar[str] = "resnet152"
    rate: ClassVar[float] = 3e-4


@pytest.mark.parametrize("layers", list(PARAMETERS))
def test_it_answers_as_torchvisions(layers: int) -> None:
    assert_equal_answers(*both(f"resnet{layers}", f"resnet{layers}", 32), 37, 66)


@pytest.mark.parametrize(("layers", "count"), PARAMETERS.items())
def test_it_has_torchvisions_number_of_parameters(layers: int, count: int) -> None:
    with torch.device("meta"):
        net = nets.build(f"resnet{layers}", channels=3, classes=1000, height=224, width=224)
    assert parameters(net) == count


@pytest.mark.parametrize("layers", list(PARAMETERS))
def test_the_longest_way_has_as_many_layers_as_its_name_says(layers: int) -> None:
    with torch.device("meta"):
        net = nets.build(f"resnet{layers}", channels=3, classes=1000, height=224, width=224)
    on_the_way = [
        name
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "downsample" not in name
    ]
    assert len(on_the_way) == layers
