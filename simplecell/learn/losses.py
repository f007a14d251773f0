"""Losses that several tasks share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from simplecell.data.batches import Batch


def cross_entropy(
    logits: Tensor, batch: Batch, smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of logits (N, K) against "label" (N), a scalar in nats.

    Where the pictures were mixed, ``share`` of the loss is against "label", the rest against
    "label_other" (Zhang et al. 2018; Yun et al. 2019). smoothing: Szegedy et al. 2016, section 7.
    """
    logits = logits.float()
    label = batch["label"]
    if "share" not in batch:
        plain: Tensor = functional.cross_entropy(logits, label, class_weights, label_smoothing=smoothing)
        return plain
    first = functional.cross_entropy(
        logits, label, class_weights, label_smoothing=smoothing, reduction="none"
    )
    second = functional.cross_entropy(
        logits, batch["label_other"], class_weights, label_smoothing=smoothing, reduction="none"
    )
    share = batch["share"]
    mixed: Tensor = share * first + (1 - share) * second
    if class_weights is None:
        return mixed.mean()
    weight = share * class_weights[label] + (1 - share) * class_weights[batch["label_other"]]
    weighted: Tensor = mixed.sum() / weight.sum()
    return weighted


def balancing_weights(counts: Tensor) -> Tensor:
    """Class weights in inverse proportion to counts (K), of mean 1 over the examples; 0 where none is."""
    present = counts > 0
    weights = torch.where(present, counts.sum() / (present.sum() * counts.clamp_min(1)), 0.0)
    return weights.float()
