"""The VGG nets."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import nn

from simplecell import nets
from tests.nets.contract import NetContract
from tests.nets.reference import assert_equal_answers, both, parameters

#: Millions for 1000 classes: table 2 of the paper; torchvision's count with norms.
MILLIONS = {"vgg11": 133, "vgg13": 133, "vgg16": 138, "vgg19": 144}
VARIANTS = [name + norm for name in MILLIONS for norm in ("", "-bn")]


class VGGContract(NetContract):
    """With narrower dense layers: at their 4096 units each net is half a gigabyte, built a dozen times.

    With many fewer than these, first weights of deviation 0.01 let too little through to learn from.
    """

    side: ClassVar[int] = 32
    sizes: ClassVar[list[tuple[int, int]]] = [(32, 32), (33, 65)]
    rate: ClassVar[float] = 1e-4

    @pytest.fixture(autouse=True)
    def narrow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("simplecell.nets.vgg._UNITS", 1024)


class TestVGG11WithNorms(VGGContract):
    name: ClassVar[str] = "vgg11-bn"


@pytest.mark.slow
class TestVGG11(VGGContract):
    name: ClassVar[str] = "vgg11"


@pytest.mark.slow
class TestVGG13(VGGContract):
    name: ClassVar[str] = "vgg13"


@pytest.mark.slow
class TestVGG13WithNorms(VGGContract):
    name: ClassVar[str] = "vgg13-bn"


@pytest.mark.slow
class TestVGG16(VGGContract):
    name: ClassVar[str] = "vgg16"


@pytest.mark.slow
class TestVGG16WithNorms(VGGContract):
    name: ClassVar[str] = "vgg16-bn"


@pytest.mark.slow
class TestVGG19(VGGContract):
    name: ClassVar[str] = "vgg19"


@pytest.mark.slow
class TestVGG19WithNorms(VGGContract):
    name: ClassVar[str] = "vgg19-bn"


@pytest.mark.parametrize("name", VARIANTS)
def test_it_answers_as_torchvisions(name: str) -> None:
    assert_equal_answers(*both(name, name.replace("-", "_"), 32), 35, 70)


@pytest.mark.parametrize("name", VARIANTS)
def test_it_has_the_published_number_of_parameters(name: str) -> None:
    with torch.device("meta"):
        net = nets.build(name, channels=3, classes=1000, height=224, width=224)
    assert round(parameters(net) / 1e6) == MILLIONS[name.removesuffix("-bn")]


@pytest.mark.parametrize("layers", [11, 13, 16, 19])
def test_it_has_as_many_layers_with_weights_as_its_name_says(layers: int) -> None:
    with torch.device("meta"):
        net = nets.build(f"vgg{layers}", channels=3, classes=10, height=32, width=32)
    assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in net.modules()) == layers
