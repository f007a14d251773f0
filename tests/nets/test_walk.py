"""A walk through a net, beside what others count and what papers tell."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from simplecell import nets
from simplecell.nets import cost
from simplecell.nets.walk import walk

#: As ten architectures that differ: shortcuts, branches, depthwise and grouped convolutions, attention.
TEN = [
    "alexnet", "vgg11_bn", "resnet18", "resnet50", "googlenet", "squeezenet1_1", "mobilenet_v2",
    "densenet121", "shufflenet_v2_x1_0", "efficientnet_b0",
]  # fmt: skip
PICTURE = torch.zeros(1, 3, 224, 224)


def made(name: str) -> nn.Module:
    options: dict[str, Any] = {"init_weights": False} if name == "googlenet" else {}
    return models.get_model(name, weights=None, **options).eval()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", TEN)
def test_parameters_shapes_and_products_are_those_of_torchinfo_and_ptflops(name: str) -> None:
    torchinfo = pytest.importorskip("torchinfo")
    ptflops = pytest.importorskip("ptflops")
    net = made(name)
    found = walk(net, PICTURE)
    summary = torchinfo.summary(net, input_data=PICTURE, depth=9, verbose=0)
    assert found.parameters == summary.total_params
    # Those with weights are called once; an activation may be called in several places.
    theirs = {
        each.module: tuple(each.output_size)
        for each in summary.summary_list
        if each.is_leaf_layer and any(True for _ in each.module.parameters())
    }
    modules = {module: name for name, module in net.named_modules()}
    shapes = {layer.name: layer.shape for layer in found.layers if layer.shape}
    compared = [(shapes[modules[m]], size) for m, size in theirs.items() if modules.get(m) in shapes]
    assert len(compared) >= 8
    assert all(ours == size for ours, size in compared)
    macs, _ = ptflops.get_model_complexity_info(
        net, (3, 224, 224), as_strings=False, print_per_layer_stat=False, backend="aten", verbose=False
    )
    assert found.macs == pytest.approx(macs, rel=0.01)


@pytest.mark.parametrize("name", ["small", "resnet20", "googlenet", "lenet5"])
def test_products_add_up_to_those_of_the_net(name: str) -> None:
    channels, side = (1, 28) if name == "lenet5" else (3, 64)
    net = nets.build(name, channels=channels, classes=10, height=side, width=side).eval()
    example = torch.zeros(1, channels, side, side)
    found = walk(net, example)
    assert found.macs == cost.macs(net, example)
    assert found.parameters == cost.parameters(net)


# Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019, table 1.
@pytest.mark.parametrize(
    ("name", "layer", "field"), [("alexnet", "features.12", 195), ("vgg16", "features.30", 212)]
)
def test_receptive_fields_are_the_published_ones(name: str, layer: str, field: int) -> None:
    found = {each.name: each for each in walk(made(name), PICTURE).layers}
    seen = found[layer].seen
    assert seen is not None
    assert max(seen.field) == field


def test_a_receptive_field_is_where_the_gradient_is() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.MaxPool2d(2),
        nn.Conv2d(2, 2, 5, dilation=2),
        nn.Conv2d(2, 1, 3, stride=2),
    )
    picture = torch.randn(1, 1, 64, 64, requires_grad=True)
    maps = net(picture)
    (gradient,) = torch.autograd.grad(maps[0, 0, maps.shape[2] // 2, maps.shape[3] // 2], picture)
    rows = gradient[0, 0].abs().sum(1).nonzero()
    found = walk(net, torch.zeros(1, 1, 64, 64)).layers[-1].seen
    assert found is not None
    reach = int(rows.max() - rows.min()) + 1
    # Of each pool the gradient takes one pixel of two, so at most one is missing at either end.
    assert reach <= max(found.field) <= reach + 2


def test_nothing_of_the_net_changes() -> None:
    net = nets.build("small", channels=3, classes=10, height=32, width=32).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    walk(net, torch.zeros(1, 3, 32, 32))
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
