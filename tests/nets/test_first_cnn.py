"""The first convolutional net."""

from __future__ import annotations

from typing import ClassVar

import torch

from simplecell.nets.first_cnn import FirstCNN
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
