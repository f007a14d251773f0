"""Activation checkpointing: activations are computed twice instead of being kept (Chen et al. 2016)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

#: A chain shorter than this has nothing between its ends worth forgetting.
_SHORTEST = 4


class _Tight(nn.Sequential):
    """A chain that keeps the inputs of about √n segments and computes what is between anew."""

    def forward(self, input: Any) -> Any:
        layers = list(self.children())
        if not self.training:
            for layer in layers:
                input = layer(input)
            return input
        length = math.ceil(math.sqrt(len(layers)))
        for start in range(0, len(layers), length):
            input = checkpoint(
                _run, layers[start : start + length], input, use_reentrant=False, context_fn=self._contexts
            )
        return input

    def _contexts(
        self,
    ) -> tuple[contextlib.AbstractContextManager[None], contextlib.AbstractContextManager[None]]:
        return contextlib.nullcontext(), _without_statistics(self)


def _run(layers: list[nn.Module], value: Tensor) -> Any:
    for layer in layers:
        value = layer(value)
    return value


@contextlib.contextmanager
def _without_statistics(net: nn.Module) -> Iterator[None]:
    """Within, batch norms normalise as in training but leave their running statistics as they are.

    The second computation of a layer must not count its batch twice. At momentum 0 a statistic becomes
    itself, and the same tensors are saved as in the first computation, which checkpointing insists on.
    """
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    # The count is put back, not taken down: the computation ends early, before layers it does not need.
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    counts = [None if count is None else count.clone() for _, count in before]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, count), counted in zip(norms, before, counts, strict=True):
            norm.momentum = momentum
            if count is not None and counted is not None:
                count.copy_(counted)


def tighten(net: nn.Module) -> nn.Module:
    """Make the outermost long chains of the net tight, in place; names and numbers stay as they are."""
    for child in net.children():
        if type(child) is nn.Sequential and len(child) >= _SHORTEST:
            child.__class__ = _Tight
        else:
            tighten(child)
    if (
        type(net) is nn.Sequential
        and len(net) >= _SHORTEST
        and not any(isinstance(c, _Tight) for c in net.children())
    ):
        net.__class__ = _Tight
    return net
