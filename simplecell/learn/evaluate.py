"""Rows of what a net answers over a whole side of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from simplecell.data.batches import Batch, Examples
from simplecell.learn.streams import all_batches
from simplecell.nets.modes import eval_mode

#: Bytes of pictures in a batch of evaluation: it moves the last bits of the figures, so it is fixed.
_BATCH_BYTES = 2_000_000


@contextmanager
def evaluating(net: nn.Module) -> Iterator[nn.Module]:
    """Within, the net is in eval mode and no gradients are kept."""
    with eval_mode(net), torch.inference_mode():
        yield net


def collect(
    measure: Callable[[nn.Module, Batch], Mapping[str, Any]],
    net: nn.Module,
    examples: Examples,
    device: torch.device,
) -> dict[str, Any]:
    """The rows of ``measure`` for every example: arrays (or lists) by column, "id" among them."""
    first = examples.batch(np.arange(1))
    size = sum(v.nbytes for v in first.values() if isinstance(v, torch.Tensor))
    batch_size = max(1, min(512, _BATCH_BYTES // max(1, size)))
    with evaluating(net):
        parts = [measure(net, batch) for batch in all_batches(examples, batch_size, device)]
    return join(parts)


def join(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of several batches or machines as one, each id once, in the order of first appearance."""
    columns: dict[str, Any] = {}
    for name, first in parts[0].items():
        if isinstance(first, np.ndarray):
            columns[name] = np.concatenate([part[name] for part in parts])
        else:
            columns[name] = [value for part in parts for value in part[name]]
    ids = columns["id"]
    rows = sorted({key: row for row, key in reversed(list(enumerate(ids)))}.values())
    if len(rows) == len(ids):
        return columns
    return {
        name: c[rows] if isinstance(c, np.ndarray) else [c[r] for r in rows] for name, c in columns.items()
    }
