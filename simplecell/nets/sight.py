"""What each value of a net sees of the picture: its receptive field, carried through the net's operations.

A tensor's dimension is a product of *factors*, each so many steps of so many pixels down and to the right.
The 14 × 14 places of a vision transformer are one dimension of two factors, and a window of a Swin
transformer is a factor split in two. So views, transpositions, shuffles and attention need no special case:
whatever sums over a dimension widens the field by the pixels that the dimension spans.

Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019, has the
arithmetic for convolutions and pooling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

#: Pixels down and to the right.
Extent = tuple[float, float]


@dataclass(frozen=True)
class Factor:
    """Part of a dimension: ``size`` steps, each of so many pixels down and right (0, 0: channels, batch)."""

    size: int
    step: Extent = (0.0, 0.0)


Dim = tuple[Factor, ...]


@dataclass(frozen=True)
class Sight:
    """What the values of a tensor see.

    dims: of the tensor, in order; their sizes multiply to the tensor's. field: pixels, rows and columns, that
    one value depends on along the longest path; least: along the shortest, through the shortcuts. Both
    are as if the picture went on for ever.
    pooled: the field of a place when all places were averaged, or their maximum taken; None where they were
    not, or where weights summed over what is left of them.
    """

    dims: tuple[Dim, ...]
    field: Extent = (1.0, 1.0)
    least: Extent = (1.0, 1.0)
    pooled: Extent | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(size_of(dim) for dim in self.dims)

    @property
    def jump(self) -> Extent:
        """Pixels from one place to the next, down and right; 0 where there is no next."""
        steps = [factor.step for dim in self.dims for factor in dim]
        down, right = (min((s[axis] for s in steps if s[axis]), default=0.0) for axis in (0, 1))
        return down, right

    def wider(self, by: Extent, dims: Sequence[Dim]) -> Sight:
        """With other dimensions, and a field that is wider by so many pixels."""
        return replace(self, dims=tuple(dims), field=_plus(self.field, by), least=_plus(self.least, by))


def picture(shape: Sequence[int]) -> Sight:
    """A picture N, C, H, W: each value sees its own pixel."""
    count, channels, height, width = shape
    return Sight(
        (
            (Factor(count),),
            (Factor(channels),),
            (Factor(height, (1.0, 0.0)),),
            (Factor(width, (0.0, 1.0)),),
        )
    )


def size_of(dim: Dim) -> int:
    """Its number of steps."""
    return math.prod(factor.size for factor in dim)


def span(dim: Dim) -> Extent:
    """Pixels from its first step to its last."""
    down, right = (sum((f.size - 1) * f.step[axis] for f in dim) for axis in (0, 1))
    return down, right


def places(dim: Dim) -> int:
    """How many places of the picture it goes through."""
    return math.prod(f.size for f in dim if any(f.step))


def regrouped(dims: Sequence[Dim], shape: Sequence[int]) -> tuple[Dim, ...] | None:
    """The dimensions after a view of another shape; None where it cuts through a factor unevenly."""
    waiting = _merged([f for dim in dims for f in dim if f.size > 1])
    made = []
    for size in shape:
        dim: list[Factor] = []
        left = size
        while left > 1:
            if not waiting:
                return None
            factor = waiting.pop(0)
            if left % factor.size == 0:
                dim.append(factor)
                left //= factor.size
            elif factor.size % left == 0:
                inner = factor.size // left
                dim.append(Factor(left, (factor.step[0] * inner, factor.step[1] * inner)))
                waiting.insert(0, Factor(inner, factor.step))
                left = 1
            else:
                return None
        made.append(tuple(dim))
    return tuple(made)


def _merged(factors: Sequence[Factor]) -> list[Factor]:
    """Neighbours that lie in the picture as one factor would, as one: channels most of all."""
    made: list[Factor] = []
    for factor in factors:
        before = made[-1] if made else None
        if before is not None and before.step == (factor.step[0] * factor.size, factor.step[1] * factor.size):
            made[-1] = Factor(before.size * factor.size, factor.step)
        else:
            made.append(factor)
    return made


def resized(dim: Dim, size: int, scale: float = 1.0) -> Dim:
    """The dimension with so many steps, each ``scale`` times as long."""
    if size_of(dim) == size and scale == 1.0:
        return dim
    step = _step(dim)
    return (Factor(size, (step[0] * scale, step[1] * scale)),)


def _step(dim: Dim) -> Extent:
    """The step of a dimension; of several factors the mean one."""
    if len(dim) == 1:
        return dim[0].step
    count = max(1, size_of(dim) - 1)
    down, right = span(dim)
    return down / count, right / count


def _plus(one: Extent, other: Extent) -> Extent:
    return one[0] + other[0], one[1] + other[1]


def _times(step: Extent, count: float) -> Extent:
    return step[0] * count, step[1] * count


# ---- operations: from the arguments, in which a tracked tensor has become its Sight, and a result's shape

Rule = Callable[[Sequence[Any], tuple[int, ...]], "Sight | None"]


def convolution(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    """aten.convolution(input, weight, bias, stride, padding, dilation, transposed, …, groups)."""
    seen, weight, _, stride, _, dilation, transposed, *_ = arguments
    if not isinstance(seen, Sight):
        return None
    kernel = weight.shape[2:]
    batch, channels, *spatial = seen.dims
    # Channels that are places of the picture, as pixel_unshuffle makes them, are summed over too.
    by = span(channels) if size_of(channels) == weight.shape[1] else (0.0, 0.0)
    made: list[Dim] = [batch, (Factor(shape[1]),)]
    for axis, dim in enumerate(spatial):
        pace, reach = cycled(stride, axis), (kernel[axis] - 1) * cycled(dilation, axis)
        if transposed:
            by = _plus(by, _times(_step(dim), math.ceil((reach + 1) / pace) - 1))
            made.append(resized(dim, shape[2 + axis], 1 / pace))
        else:
            by = _plus(by, _times(_step(dim), reach))
            made.append(resized(dim, shape[2 + axis], pace))
    return seen.wider(by, made)


def pool(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    """Of windows: aten.max_pool2d_with_indices, aten.avg_pool2d (input, kernel, stride, …)."""
    seen, kernel, *rest = arguments
    stride = (rest[0] if rest and rest[0] else None) or kernel
    spatial = seen.dims[2:]
    by = (0.0, 0.0)
    made = list(seen.dims[:2])
    for axis, dim in enumerate(spatial):
        by = _plus(by, _times(_step(dim), cycled(kernel, axis) - 1))
        made.append(resized(dim, shape[2 + axis], cycled(stride, axis)))
    return _collapsed(seen, seen.wider(by, made))


def scaled(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    """To another size of the map: adaptive pooling to a smaller, interpolation to a larger one."""
    seen = arguments[0]
    by = (0.0, 0.0)
    made = list(seen.dims[:2])
    for dim, size in zip(seen.dims[2:], shape[2:], strict=True):
        before = size_of(dim)
        reach = math.ceil(before / size) - (before % size == 0) if size < before else int(size > before)
        by = _plus(by, _times(_step(dim), reach))
        made.append(resized(dim, size, before / size))
    return _collapsed(seen, seen.wider(by, made))


def reduction(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    """Over dimensions: aten.mean(input, dims, keepdim) and its like."""
    seen, *rest = arguments
    asked = rest[0] if rest and rest[0] is not None else range(len(seen.dims))
    gone = {d % len(seen.dims) for d in ([asked] if isinstance(asked, int) else asked)}
    by = (0.0, 0.0)
    for d in gone:
        by = _plus(by, span(seen.dims[d]))
    keep = len(shape) == len(seen.dims)
    made = [() if d in gone else dim for d, dim in enumerate(seen.dims) if keep or d not in gone]
    return _collapsed(seen, seen.wider(by, made))


def product(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    """Of matrices: sums over the last dimension of the left, the last but one of the right."""
    left, right = arguments
    if isinstance(left, Sight) and isinstance(right, Sight):
        dims = (*left.dims[:-1], right.dims[-1])
        (a, b), (c, d) = span(left.dims[-1]), span(right.dims[-2])
        return united([left, right], dims).wider((max(a, c), max(b, d)), dims)
    if isinstance(left, Sight):
        return replace(
            left.wider(span(left.dims[-1]), (*left.dims[:-1], (Factor(shape[-1]),))),
            pooled=None if places(left.dims[-1]) > 1 else left.pooled,
        )
    if isinstance(right, Sight):
        return right.wider(span(right.dims[-2]), (*right.dims[:-2], (Factor(shape[-2]),), right.dims[-1]))
    return None


def united(seen: Sequence[Sight], dims: tuple[Dim, ...]) -> Sight:
    """Of several tensors that become one, place by place."""
    kept = [one.pooled for one in seen if one.pooled is not None]
    return Sight(
        dims,
        (max(one.field[0] for one in seen), max(one.field[1] for one in seen)),
        (min(one.least[0] for one in seen), min(one.least[1] for one in seen)),
        kept[0] if len(kept) == len(seen) else None,
    )


def elementwise(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    """Sums, products, activations, norms, and joining along a dimension: place by place.

    A tensor that was summed up to one place and is now laid over all of them, as the gate of a
    squeeze-and-excitation block, is not counted: it tells of the whole picture, but shows no place of it.
    """
    seen = [a for a in _flat(arguments) if isinstance(a, Sight)]
    whole = [one for one in seen if len(one.dims) == len(shape)] or seen
    largest = max(places(sum(one.dims, ())) for one in whole)
    shown = [one for one in whole if places(sum(one.dims, ())) == largest or one.shape == shape]
    first = next((one for one in shown if one.shape == shape), shown[0])
    dims = _aligned(first, shape)
    return None if dims is None else united(shown, dims)


def _aligned(seen: Sight, shape: tuple[int, ...]) -> tuple[Dim, ...] | None:
    """A tensor's dimensions in a result of this shape: from the last on, as broadcasting has it."""
    if len(seen.dims) > len(shape):
        return None
    added: list[Dim] = [(Factor(size),) for size in shape[: len(shape) - len(seen.dims)]]
    kept = [resized(d, size) for d, size in zip(seen.dims, shape[len(added) :], strict=True)]
    return (*added, *kept)


def _view(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    dims = regrouped(arguments[0].dims, shape)
    return None if dims is None else replace(arguments[0], dims=dims)


def _permute(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    seen: Sight = arguments[0]
    order = arguments[1]
    return replace(seen, dims=tuple(seen.dims[d] for d in order))


def _transpose(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    seen, *two = arguments
    order = list(range(len(seen.dims)))
    one, other = two or (0, -1)
    order[one], order[other] = order[other], order[one]
    return _permute([seen, order], shape)


def _select(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    seen: Sight = arguments[0]
    gone = arguments[1] % len(seen.dims)
    return replace(seen, dims=seen.dims[:gone] + seen.dims[gone + 1 :])


def _unsqueeze(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    seen: Sight = arguments[0]
    at = arguments[1] % (len(seen.dims) + 1)
    return replace(seen, dims=(*seen.dims[:at], (), *seen.dims[at:]))


def _slice(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    seen: Sight = arguments[0]
    at = (arguments[1] if len(arguments) > 1 else 0) % len(seen.dims)
    step = arguments[4] if len(arguments) > 4 else 1
    dims = list(seen.dims)
    dims[at] = resized(dims[at], shape[at], step)
    return replace(seen, dims=tuple(dims))


def _any(arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    """An operation that is not known: place by place where the shape allows it; a map may shrink or grow."""
    seen = [a for a in _flat(arguments) if isinstance(a, Sight)]
    if any(one.shape == shape for one in seen) or len(seen) != 1 or len(seen[0].dims) != len(shape):
        return elementwise(arguments, shape)
    dims = [resized(d, n, size_of(d) / n if n else 1.0) for d, n in zip(seen[0].dims, shape, strict=True)]
    return replace(seen[0], dims=tuple(dims))


#: By the name of the operation in aten, without its overload.
RULES: dict[str, Rule] = {
    "convolution": convolution,
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), pool),
    **dict.fromkeys(
        (
            *("_adaptive_avg_pool2d", "adaptive_max_pool2d", "upsample_nearest2d", "upsample_bilinear2d"),
            *("upsample_bicubic2d", "_upsample_nearest_exact2d", "_upsample_bilinear2d_aa"),
        ),
        scaled,
    ),
    **dict.fromkeys(("mean", "amax", "amin", "sum", "max", "min", "logsumexp", "var", "std"), reduction),
    **dict.fromkeys(("mm", "bmm"), product),
    **dict.fromkeys(("addmm", "baddbmm"), lambda arguments, shape: product(arguments[1:], shape)),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze"), _view),
    **dict.fromkeys(
        ("cat", "constant_pad_nd", "reflection_pad2d", "replication_pad2d", "expand", "split", "roll"),
        elementwise,
    ),
    "permute": _permute,
    **dict.fromkeys(("transpose", "t"), _transpose),
    **dict.fromkeys(("select", "unbind"), _select),
    "unsqueeze": _unsqueeze,
    "slice": _slice,
}


def after(name: str, arguments: Sequence[Any], shape: tuple[int, ...]) -> Sight | None:
    """What the values of a result see.

    name: of the operation in aten. arguments: its own, each tracked tensor replaced by its Sight. shape: of
    the result. None where it cannot be told.
    """
    rule = RULES.get(name, _any)
    if not isinstance(arguments[0], Sight) and rule not in (elementwise, _any, product, RULES["addmm"]):
        return None
    made = rule(arguments, shape)
    return made if made is not None and made.shape == shape else None


def _collapsed(before: Sight, now: Sight) -> Sight:
    """Remember what a place saw when all places became one."""
    if places(sum(before.dims, ())) > 1 and places(sum(now.dims, ())) == 1 and before.pooled is None:
        return replace(now, pooled=before.field)
    return now


def cycled(numbers: Any, axis: int) -> int:
    """The number for an axis; one stands for all."""
    if isinstance(numbers, int):
        return numbers
    return int(numbers[axis] if len(numbers) > 1 else numbers[0])


def _flat(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found += _flat(value) if isinstance(value, list | tuple) else [value]
    return found
