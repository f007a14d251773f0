"""Heads of nets: which parameters depend on the number of classes, and which layer answers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from simplecell import nets
from simplecell.nets.heads import head_of, last_layer
from simplecell.nets.outside import to_text

PICTURES = {"channels": 3, "classes": 5, "height": 64, "width": 64}

HEADS = {
    "resnet18": ("fc", "fc"),
    "alexnet": ("classifier.6", "classifier.6"),
    "torchvision:shufflenet_v2_x0_5": ("fc", "fc"),
    "timm:tf_efficientnet_lite0": ("classifier", "classifier"),
    "timm:test_convnext": ("head.fc", "head.fc"),
    "timm:test_vit": ("head", "head"),
    "torchvision:squeezenet1_1": ("classifier.1", None),  # a convolution, with the mean over places after it
}


@pytest.mark.parametrize("name", HEADS)
def test_the_head_is_found_whatever_it_is_called(name: str) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    body = nets.build(name, **PICTURES).eval()
    layer, answering = HEADS[name]
    head = head_of(body, name, **PICTURES)
    assert head == (f"{layer}.weight", f"{layer}.bias")
    assert last_layer(body, head, torch.randn(2, 3, 64, 64)) == answering


@pytest.mark.parametrize("name", [name for name in nets.NAMES if name not in HEADS and "vgg" not in name])
def test_every_net_of_the_package_has_a_head(name: str) -> None:
    if name.startswith("resnet1"):  # as the smaller ones, and seconds to build
        return
    body = nets.build(name, **PICTURES)
    head = head_of(body, name, **PICTURES)
    assert head
    assert set(head) <= set(body.state_dict())


def test_auxiliary_heads_are_heads_but_do_not_answer() -> None:
    body = nets.build("googlenet", **PICTURES).eval()
    head = head_of(body, "googlenet", **PICTURES)
    assert {name.rpartition(".")[0] for name in head} == {"fc", "aux1.fc2", "aux2.fc2"}
    assert last_layer(body, head, torch.randn(1, 3, 64, 64)) == "fc"


def test_finding_it_draws_no_random_number_and_leaves_no_hook() -> None:
    body = nets.build("resnet20", **PICTURES).eval()
    state = torch.get_rng_state()
    head = head_of(body, "resnet20", **PICTURES)
    last_layer(body, head, torch.zeros(1, 3, 64, 64))
    assert torch.equal(state, torch.get_rng_state())
    assert not any(module._forward_hooks for module in body.modules())


def test_a_net_that_was_given_as_layers_does_not_tell_its_head() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 5))
    assert head_of(net, to_text(net), **PICTURES) == ()
