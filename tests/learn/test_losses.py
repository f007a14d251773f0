"""Shared losses against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from simplecell.learn.losses import balancing_weights, cross_entropy


def test_mixed_labels_are_soft_targets() -> None:
    torch.manual_seed(0)
    logits, share = torch.randn(5, 3), torch.rand(5)
    label, other = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 1, 0, 2, 2])
    soft = share[:, None] * functional.one_hot(label, 3) + (1 - share[:, None]) * functional.one_hot(other, 3)
    ours = cross_entropy(logits, {"label": label, "label_other": other, "share": share})
    assert ours.item() == pytest.approx(functional.cross_entropy(logits, soft).item(), rel=1e-6)


def test_mixing_with_class_weights_at_share_one_is_the_plain_weighted_loss() -> None:
    torch.manual_seed(1)
    logits, label = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    weights = torch.tensor([0.5, 1.0, 2.0])
    mixed = {"label": label, "label_other": label.flip(0), "share": torch.ones(6)}
    ours, plain = (
        cross_entropy(logits, mixed, 0.0, weights),
        cross_entropy(logits, {"label": label}, 0.0, weights),
    )
    assert ours.item() == pytest.approx(plain.item(), rel=1e-6)


def test_balancing_weights_have_mean_one_over_the_examples() -> None:
    counts = torch.tensor([10, 30, 0, 60])
    weights = balancing_weights(counts)
    assert weights[2] == 0
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1.0)
    assert weights[0] / weights[1] == pytest.approx(3.0)
