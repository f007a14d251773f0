"""The first convolutional net."""

from __future__ import annotations

from typing import ClassVar, get_args

import pytest
import torch
from torch import nn

from simplecell.errors import UserError
from simplecell.nets.first_cnn import FirstCNN
from simplecell.nets.settings import Order
from tests.nets.contract import NetContract


class TestFirstCNN(NetContract):
    name: ClassVar[str] = "first-cnn"


def test_it_has_the_tutorials_number_of_parameters() -> None:
    count = sum(p.numel() for p in FirstCNN(1, 10, 28, 28).parameters())
    assert count == (25 * 32 + 32) + (25 * 32 * 64 + 64) + (7 * 7 * 64 * 1024 + 1024) + (1024 * 10 + 10)


def test_dropout_leaves_out_its_share_in_training_only() -> None:
    net = FirstCNN(1, 10, 28, 28, dropout=0.25)
    kept: list[torch.Tensor] = []
    net.classifier[3].register_forward_hook(lambda _, given, out: kept.append((out != 0) == (given[0] != 0)))
    torch.manual_seed(0)
    net.train()(torch.randn(64, 1, 28, 28))
    net.eval()(torch.randn(64, 1, 28, 28))
    assert not kept[0].all()
    assert kept[1].all()


def kinds(net: FirstCNN) -> str:
    """The layers of the convolutional part by their first letters."""
    letters = {nn.Conv2d: "C", nn.BatchNorm2d: "B", nn.Tanh: "A", nn.MaxPool2d: "P"}
    return "".join(letters[type(layer)] for layer in net.features)


@pytest.mark.parametrize(
    ("order", "batch_norm", "expected"),
    [
        ("conv-bn-act", True, "CBAP" * 3),
        ("conv-act-bn", True, "CABP" * 3),
        ("bn-act-conv", True, "CPBA" * 3),  # the norm after a pooling stands before the next convolution
        ("conv-bn-act", False, "CAP" * 3),
        ("bn-act-conv", False, "CPA" * 3),
    ],
)
def test_layers_stand_in_the_order_asked_for(order: Order, batch_norm: bool, expected: str) -> None:
    net = FirstCNN(1, 10, 28, 28, depth=3, activation="tanh", batch_norm=batch_norm, order=order)
    assert kinds(net) == expected


def test_an_order_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"order: there is no order 'bn-conv-act'; take conv-bn-act or "):
        FirstCNN(1, 10, 28, 28, order="bn-conv-act")  # type: ignore[arg-type]


def test_before_norm_and_activation_a_convolution_sees_the_normalised_picture() -> None:
    net = FirstCNN(3, 10, 28, 28, batch_norm=True, order="bn-act-conv")
    seen: list[torch.Tensor] = []
    net.features[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    pictures = torch.randn(2, 3, 28, 28)
    net(pictures)
    assert torch.equal(seen[0], pictures)


@pytest.mark.parametrize("order", get_args(Order))
@pytest.mark.parametrize("batch_norm", [False, True])
def test_no_bias_stands_where_a_norm_takes_it_away(order: Order, batch_norm: bool) -> None:
    """A bias before a norm changes nothing; every other one does."""
    net = FirstCNN(3, 10, 28, 28, depth=2, base=4, batch_norm=batch_norm, order=order, dropout=0)
    pictures = torch.randn(64, 3, 28, 28)
    before = net(pictures)
    for layer in (net.features[0], net.classifier[1]):
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        if layer.bias is None:
            assert batch_norm
            assert order != "conv-act-bn"
        else:
            with torch.no_grad():
                layer.bias[0] += 1
            assert not torch.allclose(net(pictures), before, atol=1e-4)


def test_each_convolution_has_twice_the_maps_up_to_eight_times_the_first() -> None:
    net = FirstCNN(1, 10, 64, 64, depth=6, base=3)
    maps = [layer.out_channels for layer in net.features if isinstance(layer, nn.Conv2d)]
    assert maps == [3, 6, 12, 24, 24, 24]


def test_a_depth_that_the_pictures_cannot_bear_is_refused() -> None:
    with pytest.raises(UserError, match=r"first-cnn of depth 5 needs pictures of at least 32 × 32 px"):
        FirstCNN(1, 10, 28, 28, depth=5)
