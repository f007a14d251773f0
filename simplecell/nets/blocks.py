"""What the book's nets are made of: a layer, its norm and its activation, in the order that is asked for.

Batch normalisation: Ioffe and Szegedy, ICML 2015, who put it between convolution and activation; the book
(chapter 3) puts it after the activation; He et al. (Identity Mappings, ECCV 2016) put norm and activation
before the convolution.
"""

from __future__ import annotations

from typing import TypedDict, get_args

from torch import nn

from simplecell.errors import UserError
from simplecell.nets import activations
from simplecell.nets.settings import Activation, Order

#: Widths stop doubling at this multiple of the first: wider late layers cost most of the parameters.
_WIDEST = 8


class Style(TypedDict):
    """What follows each hidden layer, and in which order."""

    activation: Activation
    batch_norm: bool
    order: Order


def widths(first: int, depth: int) -> list[int]:
    """Maps of each convolution: twice as many as of the one before, up to 8 × the first."""
    return [first * min(2**number, _WIDEST) for number in range(depth)]


def convolution(
    channels: int,
    maps: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    pool: bool,
    activation: Activation,
    batch_norm: bool,
    order: Order,
) -> list[nn.Module]:
    """A convolution with what follows it: norm where wanted, activation, max-pooling 2×2 where wanted.

    In a net without shortcuts, norm and activation *before* each convolution but the first (whose picture
    is normalised already) are norm and activation *after* the pooling of the one before. So that is what
    "bn-act-conv" means here; norm and activation then have a quarter of the pixels to do.
    """
    layer = nn.Conv2d(channels, maps, kernel, stride, padding, bias=_needs_bias(batch_norm, order))
    pooling: list[nn.Module] = [nn.MaxPool2d(2)] if pool else []
    after = _ordered(nn.BatchNorm2d(maps) if batch_norm else None, activation, order)
    return [layer, *pooling, *after] if order == "bn-act-conv" else [layer, *after, *pooling]


def dense(
    units: int, wanted: int, *, activation: Activation, batch_norm: bool, order: Order, dropout: float
) -> list[nn.Module]:
    """A dense layer with what follows it: norm where wanted, activation, dropout."""
    layer = nn.Linear(units, wanted, bias=_needs_bias(batch_norm, order))
    after = _ordered(nn.BatchNorm1d(wanted) if batch_norm else None, activation, order)
    return [layer, *after, nn.Dropout(dropout)]


def _needs_bias(batch_norm: bool, order: Order) -> bool:
    """Whether a bias does anything: a norm that comes next subtracts it again."""
    return not batch_norm or order == "conv-act-bn"


def _ordered(norm: nn.Module | None, activation: Activation, order: Order) -> list[nn.Module]:
    if order not in get_args(Order):
        words = " or ".join(get_args(Order))
        raise UserError(f"there is no order {order!r}", where="order", remedy=f"take {words}")
    function = activations.activation(activation)
    if norm is None:
        return [function]
    return [function, norm] if order == "conv-act-bn" else [norm, function]
