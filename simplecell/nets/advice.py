"""Advice on a net from a walk through it: faults that its numbers show, each with what to do.

A rule speaks only where its number leaves little doubt: the well-known nets, on pictures of the size they
were made for, get none, but for the dense layers of AlexNet and VGG.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simplecell.nets.sight import Extent, places
from simplecell.nets.walk import Walk
from simplecell.nets.watching import Weighted

#: Share of all parameters that one dense layer may have, and how many are worth a word.
_DENSE, _WORTH = 0.5, 100_000
#: A convolution adds no sight when the shortest path to it already sees so many times the picture. Half as
#: much would blame the last convolution of airbench, which is none the worse for it.
_WHOLE = 2.0
#: Places a side that are few for three quarters of a net: ImageNet's nets end with 7.
_FEW = 7
#: Places a side on which a kernel that is larger than one sees mostly padding.
_FEWEST = 2
#: Sigmoids in a row: each lets at most a quarter of the gradient through, four at most a 256th.
_SIGMOIDS = 4

_ENDINGS = {
    "_softmax": "a softmax",
    "_log_softmax": "a log-softmax",
    "sigmoid": "a sigmoid",
    "relu": "a ReLU, so no logit can be negative",
    "dropout": "a dropout, so a step leaves classes out",
}


@dataclass(frozen=True)
class Advice:
    """What is amiss: a word for the kind of fault, the layer, the number that shows it, one sentence."""

    kind: str
    layer: str
    number: float
    sentence: str


def advise(walk: Walk, object_size: float | None = None) -> list[Advice]:
    """What to change in a net, the most costly first; nothing where nothing is amiss.

    object_size: pixels, the longer side of what is to be known; half the picture's shorter side otherwise.
    """
    rules = [
        _dense(walk),
        _narrow(walk, object_size),
        _wide(walk),
        _early(walk),
        _remains(walk),
        _bias(walk),
        _dropout(walk),
        _straight(walk),
        _sigmoids(walk),
        _ending(walk),
    ]
    return [found for rule in rules for found in rule]


def _dense(walk: Walk) -> Iterator[Advice]:
    """Most parameters in one dense layer that takes every place of a map."""
    dense = [w for w in walk.weighted if w.places > 1 and w.weights >= _WORTH]
    if len(walk.weighted) < 2 or not dense:
        return
    largest = max(dense, key=lambda w: w.weights)
    share = (largest.weights + largest.bias) / max(1, walk.parameters)
    if share <= _DENSE:
        return
    held = (
        f"{_named(largest.layer)} holds {largest.weights + largest.bias:,} of {walk.parameters:,} parameters "
        f"({100 * share:.0f} %), since it has weights of its own for each of {largest.places:,} "
    )
    remedy = (
        "pixels: let convolutions, which share theirs over the picture, come first"
        if largest.depth == 0
        else f"places: average the maps before it (global average pooling), which leaves "
        f"{largest.weights // largest.places + largest.bias:,}"
    )
    yield Advice("dense", largest.layer, share, f"{held}{remedy}.")


def _narrow(walk: Walk, object_size: float | None) -> Iterator[Advice]:
    """What is told of a place, or averaged over all, sees less than an object."""
    convolutions = [w for w in walk.weighted if w.kind == "convolution"]
    field = _last_field(walk)
    if field is None or not convolutions:
        return
    wanted = object_size or min(walk.picture[1:]) / 2
    sees, layer = min(field), convolutions[-1].layer
    if sees >= wanted:
        return
    taken = "" if object_size else " (half the picture; --object tells another size)"
    yield Advice(
        "narrow", layer, sees,
        f"{_named(layer)} sees {sees:.0f} px and no more, less than an object of {wanted:.0f} px{taken}: add "
        "convolutions, or halve the maps earlier.",
    )  # fmt: skip


def _last_field(walk: Walk) -> Extent | None:
    """What one place sees before all are averaged, or in an answer that has places."""
    output = walk.output
    if output is None:
        return None
    spatial = len(output.dims) == 4 and places(sum(output.dims, ())) > 1
    return output.field if spatial else output.pooled


def _wide(walk: Walk) -> Iterator[Advice]:
    """Convolutions behind a place that sees far more than the picture on every path."""
    late = [
        w for w in _convolutions(walk)
        if all(seen >= _WHOLE * side for seen, side in zip(w.seen.least, walk.picture[1:], strict=True))
    ]  # fmt: skip
    if len(late) < 2:
        return
    sees, side = min(late[0].seen.least), min(walk.picture[1:])
    yield Advice(
        "wide", late[0].layer, sees,
        f"{_named(late[0].layer)} gets maps whose every place sees {sees:.0f} px of a picture of {side} px, "
        f"so that it and {_more(len(late) - 1, 'convolution')} after it add no sight: leave them out, give "
        "larger pictures, or halve the maps later.",
    )  # fmt: skip


def _early(walk: Walk) -> Iterator[Advice]:
    """Few places are left for most of the net."""
    convolutions = _convolutions(walk)
    if len(convolutions) < 4:
        return
    before = -(-len(convolutions) // 4)
    at = convolutions[before]
    side = max(at.side)
    if side > _FEW or min(walk.picture[1:]) < 4 * side:
        return
    first = next(w for w in convolutions if max(w.side) <= _FEW)
    yield Advice(
        "early", first.layer, side,
        f"{_named(first.layer)} gets maps of only {_by(first.side)}, after "
        f"{_more(convolutions.index(first), 'convolution')} of {len(convolutions)}: let the strides and "
        "pooling before it wait, so that more layers see fine detail.",
    )  # fmt: skip


def _remains(walk: Walk) -> Iterator[Advice]:
    """Kernels on maps so small that they meet padding alone, or little else."""
    dead = [w for w in walk.weighted if w.live < 1 - 1e-9]
    if dead:
        first, taps = dead[0], dead[0].kernel[0] * dead[0].kernel[1]
        yield Advice(
            "padding", first.layer, first.live,
            f"{_named(first.layer)} reads a map of {_by(first.side)} with kernels of {_by(first.kernel)}, of "
            f"whose {taps} weights only {round(first.live * taps)} ever meet it and the others padding"
            f"{_and_more(dead)}: downsample less before it, give larger pictures, or take a smaller kernel.",
        )  # fmt: skip
        return
    small = [w for w in _convolutions(walk) if max(w.side) <= _FEWEST]
    if len(small) > 1:
        yield Advice(
            "padding", small[0].layer, max(small[0].side),
            f"{_named(small[0].layer)} reads a map of {_by(small[0].side)} with kernels of "
            f"{_by(small[0].kernel)}, which mostly meet padding{_and_more(small)}: downsample less before "
            "it, or give larger pictures.",
        )  # fmt: skip


def _bias(walk: Walk) -> Iterator[Advice]:
    """A bias that a batch norm subtracts again."""
    undone = [norm.undone for norm in walk.norms if norm.undone is not None]
    if undone:
        count = sum(each.bias for each in undone)
        yield Advice(
            "bias", undone[0].layer, count,
            f"{_named(undone[0].layer)} has a bias that the batch norm after it subtracts again"
            f"{_and_more(undone)}: make it with bias=False, {count:,} parameters fewer.",
        )  # fmt: skip


def _dropout(walk: Walk) -> Iterator[Advice]:
    """Dropout ahead of a batch norm, whose variance it shifts (Li, Chen, Hu, Yang: CVPR 2019)."""
    shifted = [norm for norm in walk.norms if norm.dropped]
    if shifted:
        yield Advice(
            "dropout", shifted[0].dropped, len(shifted),
            f"{_named(shifted[0].dropped)} drops values before {_more(len(shifted), 'batch norm')}, the "
            f"first of them {_named(shifted[0].layer)}, whose variance is then another in training than in "
            "use: put the dropout after the last batch norm.",
        )  # fmt: skip


def _straight(walk: Walk) -> Iterator[Advice]:
    """Two layers with weights that are one, since nothing between them bends.

    Not meant: a bottleneck, which lowers the rank; the parts of a separable convolution; what follows a
    1×1 convolution, which ends the blocks of MobileNets on purpose (Sandler et al.: CVPR 2018).
    """
    for second in walk.weighted:
        first = second.source
        if first is None or first.groups > 1 or second.groups > 1:
            continue
        projects = first.kind == "convolution" and first.kernel == (1, 1)
        square = all(w.kernel[0] == w.kernel[1] for w in (first, second))
        if square and not projects and first.width_out >= min(first.width_in, second.width_out):
            yield Advice(
                "linear", second.layer, first.weights + second.weights,
                f"{_named(second.layer)} follows {_named(first.layer)} without an activation between, so "
                f"that the two, with {first.weights + second.weights:,} weights, can tell no more than one "
                "layer: put an activation between them, or leave one out.",
            )  # fmt: skip
            return


def _sigmoids(walk: Walk) -> Iterator[Advice]:
    layer, count = walk.squashed
    if count >= _SIGMOIDS:
        yield Advice(
            "sigmoid", layer, count,
            f"{_named(layer)} is the last of {count} sigmoids in a row, which let at most 1/{4**count:,} of "
            "the gradient through: take ReLU, or put batch norms between.",
        )  # fmt: skip


def _ending(walk: Walk) -> Iterator[Advice]:
    output = walk.output
    if walk.end.op in _ENDINGS and output is not None and len(output.dims) == 2:
        yield Advice(
            "ending", walk.end.layer, 1,
            f"{_named(walk.end.layer)} ends the net in {_ENDINGS[walk.end.op]}: leave it out, since the loss "
            "takes the logits of a last dense layer or convolution.",
        )  # fmt: skip


def _convolutions(walk: Walk) -> list[Weighted]:
    """Those that look around: with kernels larger than one."""
    return [w for w in walk.weighted if w.kind == "convolution" and max(w.kernel) > 1]


def _named(layer: str) -> str:
    return layer or "the net itself"


def _by(sides: tuple[int, int]) -> str:
    return f"{sides[0]} × {sides[1]}"


def _more(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _and_more(layers: Sequence[Weighted]) -> str:
    """What stands for the others that have the same fault."""
    others = len({each.layer for each in layers}) - 1
    return f" (and {_more(others, 'more layer')} like it)" if others else ""
