"""The fully connected net."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from simplecell.nets.dense import Dense
from tests.nets.contract import NetContract


class TestDense(NetContract):
    name: ClassVar[str] = "dense"


def test_it_is_784_512_512_10_on_mnist() -> None:
    layers = [layer for layer in Dense(1, 10, 28, 28).layers if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [
        (784, 512),
        (512, 512),
        (512, 10),
    ]


def test_without_hidden_layers_it_is_logistic_regression() -> None:
    net, pictures = Dense(3, 4, 5, 6, depth=0), torch.randn(2, 3, 5, 6)
    (linear,) = (layer for layer in net.layers if isinstance(layer, nn.Linear))
    torch.testing.assert_close(net(pictures), pictures.flatten(1) @ linear.weight.T + linear.bias)


def test_it_is_as_deep_and_as_wide_as_asked() -> None:
    linear = [m for m in Dense(1, 10, 28, 28, depth=4, base=32).layers if isinstance(m, nn.Linear)]
    assert [layer.out_features for layer in linear] == [32, 32, 32, 32, 10]


def test_each_hidden_layer_has_the_norm_and_activation_asked_for() -> None:
    kinds = [type(m) for m in Dense(1, 10, 28, 28, batch_norm=True, activation="tanh").layers]
    hidden = [nn.Linear, nn.BatchNorm1d, nn.Tanh, nn.Dropout]
    assert kinds == [nn.Flatten, *hidden, *hidden, nn.Linear]
