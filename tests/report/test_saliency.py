"""Grad-CAM on nets that can be computed by hand, against hooks on a known layer, and on every kind of net."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from simplecell import nets
from simplecell.nets.normalising import Normalised
from simplecell.report.saliency import _last_maps, grad_cam


def by_hand() -> nn.Module:
    """Two maps: the picture and its negative. Class 0 wants the mean of the first, class 1 of the second."""
    convolution, dense = nn.Conv2d(1, 2, 1, bias=False), nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        dense.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
    return nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense).eval()


def test_a_net_that_can_be_computed_by_hand_gives_what_the_paper_says() -> None:
    picture = torch.tensor([[1.0, 2.0], [-4.0, 0.0]]).view(1, 1, 2, 2)
    heat = grad_cam(by_hand(), picture.repeat(2, 1, 1, 1), [0, 1])
    assert heat is not None
    assert heat.dtype == np.float32
    # Class 0: weights (2/4, 0), so ReLU(A/2), over its greatest. Class 1: weights (0, 3/4), so ReLU(-3A/4).
    np.testing.assert_allclose(heat[0], [[0.5, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(heat[1], [[0.0, 0.0], [1.0, 0.0]])


def test_where_nothing_speaks_for_the_class_it_is_zero_and_not_nan() -> None:
    heat = grad_cam(by_hand(), -torch.ones(1, 1, 4, 4), [0])
    np.testing.assert_array_equal(heat, np.zeros((1, 4, 4)))


def reference(net: nn.Module, layer: nn.Module, pictures: Tensor, classes: list[int]) -> np.ndarray[Any, Any]:
    """Grad-CAM as it is usually written: a hook on a layer that is known, and a whole graph."""
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = net(pictures)
    handle.remove()
    score = logits[torch.arange(len(pictures)), torch.tensor(classes)].sum()
    (gradient,) = torch.autograd.grad(score, kept[0])
    heat = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True).relu()
    heat = functional.interpolate(heat, pictures.shape[2:], mode="bilinear")[:, 0].detach()
    return (heat / heat.amax((1, 2), keepdim=True).clamp_min(1e-30)).numpy()


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "layer4"),
        ("resnet50", "layer4"),
        ("vgg11", "features.19"),  # the last activation, before it is pooled
        ("squeezenet1_1", "classifier.2"),
        ("googlenet", "inception5b"),
    ],
)
def test_the_layer_found_is_the_one_that_is_usually_taken(name: str, layer: str) -> None:
    torch.manual_seed(0)
    words = {"init_weights": False} if name == "googlenet" else {}
    net = torchvision.models.get_model(name, weights=None, num_classes=5, **words).eval()
    pictures = torch.randn(2, 3, 96, 96)
    heat = grad_cam(net, pictures, [1, 4])
    np.testing.assert_allclose(heat, reference(net, net.get_submodule(layer), pictures, [1, 4]), atol=1e-3)


def test_maps_inside_a_branch_that_a_shortcut_bypasses_are_not_taken() -> None:
    """At 32 px the last stage of a ResNet has one place; that before has four, and its output is the cut."""
    net = torchvision.models.resnet18(num_classes=5).eval()
    place = _last_maps(net, torch.rand(1, 3, 32, 32))
    assert place is not None
    assert place.module is net.layer3


def test_a_net_with_gates_has_maps_although_the_gates_have_one_place() -> None:
    net = timm.create_model("efficientnet_b0", num_classes=3).eval()
    place = _last_maps(net, torch.rand(1, 3, 64, 64))
    assert place is not None
    assert place.module in (net.bn2, net.conv_head, net.bn2.act)


@pytest.mark.parametrize("name", [name for name in nets.NAMES if name != "dense"])
def test_every_net_of_the_package_that_convolves_has_heat_maps(name: str) -> None:
    torch.manual_seed(0)
    side = 28 if name == "lenet5" else 64
    body = nets.build(name, channels=1, classes=4, height=side, width=side)
    net = Normalised(body, [0.3], [0.3]).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures = torch.randint(0, 256, (3, 1, side, side), dtype=torch.uint8)
    heat = grad_cam(net, pictures.contiguous(memory_format=torch.channels_last), [0, 1, 2])
    assert heat is not None
    assert heat.shape == (3, side, side)
    assert np.isfinite(heat).all()
    assert set(heat.max(axis=(1, 2))) <= {0.0, 1.0}
    assert heat.min() >= 0


def test_a_net_of_dense_layers_has_none() -> None:
    body = nets.build("dense", channels=1, classes=4, height=8, width=8)
    picture = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    assert grad_cam(Normalised(body, [0.3], [0.3]).eval(), picture, [0, 1]) is None


class FoundIt(nn.Module):
    """A functional activation that changes what it is given, and one layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.dense = nn.Linear(3, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = functional.relu(self.convolution(pictures), inplace=True)
        maps = functional.relu(self.convolution(maps), inplace=True)
        logits: Tensor = self.dense(maps.mean((2, 3)))
        return logits


def test_a_layer_used_twice_is_asked_for_its_last_use_and_may_be_changed_in_place() -> None:
    torch.manual_seed(1)
    net = FoundIt().eval()
    place = _last_maps(net, torch.rand(1, 3, 6, 6))
    assert place is not None
    assert (place.module, place.call) == (net.convolution, 2)
    heat = grad_cam(net, torch.rand(2, 3, 6, 6), [0, 1])
    assert heat is not None
    assert heat.shape == (2, 6, 6)


def test_a_frozen_net_in_inference_mode_answers_the_same_and_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=5).eval()
    pictures = torch.randn(2, 3, 64, 64)
    expected = grad_cam(net, pictures, [0, 1])
    for number, parameter in enumerate(net.parameters()):
        parameter.requires_grad_(number % 2 == 0)
    wanted = [p.requires_grad for p in net.parameters()]
    with torch.inference_mode():
        heat = grad_cam(net, pictures.clone(), [0, 1])
    np.testing.assert_array_equal(heat, expected)
    assert [p.requires_grad for p in net.parameters()] == wanted
    assert all(p.grad is None for p in net.parameters())
    assert not any(module._forward_hooks for module in net.modules())
    assert torch.is_grad_enabled()


def test_many_pictures_are_as_each_by_itself() -> None:
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=5).eval()
    pictures, classes = torch.randn(19, 3, 32, 32), [k % 5 for k in range(19)]
    together = grad_cam(net, pictures, classes)
    assert together is not None
    for k in (0, 15, 16, 18):
        alone = grad_cam(net, pictures[k : k + 1], classes[k : k + 1])
        assert alone is not None
        np.testing.assert_allclose(together[k], alone[0], atol=1e-4)
