"""Advice on nets: twenty with one planted fault each, and sound ones that get none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision import models

from simplecell import nets
from simplecell.nets.advice import advise
from simplecell.nets.walk import walk

Layers = list[nn.Module]


def block(a: int, b: int, stride: int = 1, kernel: int = 3, bias: bool = False) -> Layers:
    padding = kernel // 2
    return [nn.Conv2d(a, b, kernel, stride, padding, bias=bias), nn.BatchNorm2d(b), nn.ReLU()]


def head(channels: int) -> Layers:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def body(side: int = 64) -> Layers:
    """A sound net for pictures of 64 px: five stages of two, which see the whole picture."""
    layers = [*block(3, 16), *block(16, 16)]
    for a, b in ((16, 32), (32, 64), (64, 64)):
        layers += [*block(a, b, 2), *block(b, b)]
    return layers


def with_bias(place: int) -> nn.Module:
    layers = body()
    convolutions = [k for k, each in enumerate(layers) if isinstance(each, nn.Conv2d)]
    at = convolutions[place]
    old = layers[at]
    assert isinstance(old, nn.Conv2d)
    layers[at] = nn.Conv2d(old.in_channels, old.out_channels, 3, old.stride, 1)
    return nn.Sequential(*layers, *head(64))


def with_dropout(kind: type[nn.Module], place: int) -> nn.Module:
    layers = body()
    norms = [k for k, each in enumerate(layers) if isinstance(each, nn.BatchNorm2d)]
    layers.insert(norms[place], kind(0.2))
    return nn.Sequential(*layers, *head(64))


def without_activation(place: int) -> nn.Module:
    layers = body()
    activations = [k for k, each in enumerate(layers) if isinstance(each, nn.ReLU)]
    del layers[activations[place]]
    return nn.Sequential(*layers, *head(64))


def early(stride: int, blocks: int) -> nn.Module:
    layers = [*block(3, 32, stride, 7), *block(32, 32, 4)]
    for _ in range(blocks):
        layers += block(32, 32)
    return nn.Sequential(*layers, *head(32))


def sigmoids(count: int) -> nn.Module:
    layers: Layers = []
    width = 3
    for k in range(count):
        layers += [nn.Conv2d(width, 16, 3, 2 if k % 2 == 0 else 1, 1), nn.Sigmoid()]
        width = 16
    return nn.Sequential(*layers, *[nn.Conv2d(16, 16, 9, padding=4), nn.ReLU()], *head(16))


def large_kernels(*sizes: int) -> nn.Module:
    later = [layer for size in sizes for layer in block(16, 16, 1, size)]
    return nn.Sequential(*block(3, 16), *later, *head(16))


def halved(times: int) -> Layers:
    return [layer for _ in range(times) for layer in block(16, 16, 2)]


def ends_in(last: nn.Module) -> nn.Module:
    return nn.Sequential(*body(), *head(64), last)


#: What is planted: the kind of advice, the side of the pictures, and the net.
FAULTS: list[tuple[str, int, Callable[[], nn.Module]]] = [
    (
        "dense",
        64,
        lambda: nn.Sequential(*body(), nn.Flatten(), nn.Linear(4096, 512), nn.ReLU(), nn.Linear(512, 9)),
    ),
    ("dense", 28, lambda: nn.Sequential(nn.Flatten(), nn.Linear(2352, 512), nn.ReLU(), nn.Linear(512, 10))),
    ("dense", 224, lambda: models.vgg16(weights=None)),
    ("narrow", 224, lambda: nn.Sequential(*block(3, 32), *block(32, 32), *head(32))),
    ("narrow", 128, lambda: nn.Sequential(*block(3, 32), *block(32, 32, 2), *block(32, 32), *head(32))),
    ("wide", 32, lambda: large_kernels(31, 41, 3, 3, 3)),
    ("early", 64, lambda: early(4, 6)),
    ("early", 224, lambda: early(8, 10)),
    ("padding", 32, lambda: nn.Sequential(*block(3, 16, 2), *halved(5), *block(16, 16), *head(16))),
    ("bias", 64, lambda: with_bias(0)),
    ("bias", 64, lambda: with_bias(3)),
    ("bias", 64, lambda: with_bias(-1)),
    ("dropout", 64, lambda: with_dropout(nn.Dropout, 3)),
    ("dropout", 64, lambda: with_dropout(nn.Dropout2d, 5)),
    ("linear", 64, lambda: without_activation(0)),
    ("linear", 64, lambda: without_activation(4)),
    ("sigmoid", 64, lambda: sigmoids(4)),
    ("sigmoid", 64, lambda: sigmoids(6)),
    ("ending", 64, lambda: ends_in(nn.Softmax(1))),
    ("ending", 64, lambda: ends_in(nn.ReLU())),
]
SOUND = [
    ("torchvision:resnet18", 224), ("torchvision:resnet50", 224), ("torchvision:mobilenet_v2", 224),
    ("torchvision:densenet121", 224), ("torchvision:efficientnet_b0", 224), ("torchvision:googlenet", 224),
    ("torchvision:squeezenet1_1", 224), ("torchvision:shufflenet_v2_x1_0", 224),
    ("resnet20", 32), ("airbench", 32), ("small", 64),
]  # fmt: skip


def kinds(net: nn.Module, side: int) -> list[str]:
    return [each.kind for each in advise(walk(net, torch.zeros(1, 3, side, side)))]


def test_there_are_twenty() -> None:
    assert len(FAULTS) == 20


@pytest.mark.parametrize(
    ("kind", "side", "net"), FAULTS, ids=[f"{k}-{n}" for n, (k, _, _) in enumerate(FAULTS)]
)
def test_a_planted_fault_is_found(kind: str, side: int, net: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    assert kind in kinds(net(), side)


@pytest.mark.parametrize(("name", "side"), SOUND)
def test_a_sound_net_gets_no_advice(name: str, side: int) -> None:
    assert kinds(nets.build(name, channels=3, classes=10, height=side, width=side), side) == []


def test_the_net_that_faults_are_planted_in_is_sound() -> None:
    assert kinds(nn.Sequential(*body(), *head(64)), 64) == []


def test_an_object_of_another_size_changes_what_is_too_narrow() -> None:
    walked = walk(nn.Sequential(*block(3, 8), *block(8, 8), *head(8)), torch.zeros(1, 3, 64, 64))
    assert [each.kind for each in advise(walked, 5)] == []
    assert [each.kind for each in advise(walked, 40)] == ["narrow"]


def test_each_sentence_names_layer_and_number() -> None:
    (found,) = advise(walk(with_bias(3), torch.zeros(1, 3, 64, 64)))
    assert found.layer in found.sentence
    assert found.sentence.endswith(".")
    assert "bias=False" in found.sentence
