"""What the layers of a net do over a sample of pictures: statistics, dead units, favourite pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from simplecell.nets.walk import visit
from simplecell.nets.watching import ACTIVATIONS, Layer

#: Pictures at a time.
_BATCH = 16
#: Favourite pictures that are kept of each unit.
FAVOURITES = 6
#: Where an activation with ends is said to be at one: within so much of its range.
_AT_END = 0.02
#: The ends of activations that have them, by their names in aten. ReLU6 is a hard tanh, whose lower end is
#: that of any ReLU and counts as a nought.
_ENDS: dict[str, tuple[float | None, float]] = {
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hardtanh": (None, 6.0),
}
#: Activations below which a unit is off: where its output is never above 0 it never took part.
_RECTIFIERS = ("relu", "leaky_relu", "prelu", "elu", "celu", "gelu", "silu", "mish", "hardtanh", "hardswish")


@dataclass
class Activity:
    """What one layer gave over the sample.

    name, kind, shape (without N): of the layer. values, total, squares, noughts: counts and sums over all
    values. at_end: values at an end of an activation that has ends; None for others. rectifies: it is an
    activation that turns units off. peaks: float, U, the largest value of each unit. best, best_at: float
    and int, FAVOURITES, U: each unit's largest values over pictures, and the places of these pictures.
    """

    name: str
    kind: str
    op: str
    shape: tuple[int, ...]
    values: int = 0
    total: float = 0.0
    squares: float = 0.0
    noughts: int = 0
    at_end: int | None = None
    activates: bool = False
    rectifies: bool = False
    peaks: Tensor = field(default_factory=lambda: torch.empty(0))
    best: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    best_at: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.int64))

    @property
    def mean(self) -> float:
        return self.total / self.values

    @property
    def deviation(self) -> float:
        return math.sqrt(max(0.0, self.squares / self.values - self.mean**2))

    @property
    def zeros(self) -> float:
        """Share of values that are 0."""
        return self.noughts / self.values

    @property
    def saturated(self) -> float | None:
        """Share of values at an end of the activation; None where it has none."""
        return None if self.at_end is None else self.at_end / self.values

    @property
    def units(self) -> int:
        return len(self.peaks)

    @property
    def dead(self) -> list[int] | None:
        """Units that no picture turned on; None where the layer turns none off."""
        return torch.nonzero(self.peaks <= 0)[:, 0].tolist() if self.rectifies else None

    def strongest(self, count: int) -> list[int]:
        """Units whose favourites rise furthest over what the layer usually gives, the furthest first."""
        order: list[int] = self.best.mean(0).argsort(descending=True, stable=True)[:count].tolist()
        return order


Pictures = Callable[[int, int], Tensor]


def activity(net: nn.Module, pictures: Pictures, count: int, told: Callable[[int], None]) -> list[Activity]:
    """What each layer gives over so many pictures.

    net: takes pictures N, C, H, W. pictures: gives those from one place to another, on the net's device.
    told: hears how many are done. Layers that only pass on what they are given are left out.
    """
    found: dict[str, Activity] = {}
    for start in range(0, count, _BATCH):
        batch = pictures(start, min(start + _BATCH, count))

        def hear(layer: Layer, output: Tensor, start: int = start, count: int = len(batch)) -> None:
            # Windows of attention lie in the batch: which picture they are of is not known.
            if layer.kind in ("Dropout", "Identity", "Flatten") or len(output) != count:
                return
            made = found.setdefault(layer.name, _begun(layer))
            _add(made, layer, output.detach(), start)

        visit(net, batch, hear)
        told(min(start + _BATCH, count))
    return list(found.values())


def _begun(layer: Layer) -> Activity:
    activates = layer.op in ACTIVATIONS and ", itself" not in layer.kind
    return Activity(
        layer.name or "the net itself",
        layer.kind,
        layer.op,
        (layer.shape or ())[1:],
        at_end=0 if activates and layer.op in _ENDS else None,
        activates=activates,
        rectifies=activates and layer.op in _RECTIFIERS,
    )


def _add(made: Activity, layer: Layer, output: Tensor, start: int) -> None:
    units = by_unit(layer, output.float())  # N, U, places
    made.values += units.numel()
    made.total += float(units.sum(dtype=torch.float64))
    made.squares += float(units.square().sum(dtype=torch.float64))
    made.noughts += int((units == 0).sum())
    if made.at_end is not None:
        low, high = _ENDS[made.op]
        room = _AT_END * (high - (low or 0.0))
        made.at_end += int((units >= high - room).sum())
        if low is not None:
            made.at_end += int((units <= low + room).sum())
    peaks = units.amax(2).cpu()  # N, U
    at = torch.arange(start, start + len(peaks))[:, None].expand_as(peaks)
    if made.units:
        made.peaks = torch.maximum(made.peaks, peaks.amax(0))
        peaks, at = torch.cat([made.best, peaks]), torch.cat([made.best_at, at])
    else:
        made.peaks = peaks.amax(0)
    made.best, places = peaks.topk(min(FAVOURITES, len(peaks)), dim=0)
    made.best_at = at.gather(0, places)


def by_unit(layer: Layer, output: Tensor) -> Tensor:
    """A layer's output as N, units, places: channels are units, and so are the values of a dense layer."""
    axis = unit_axis(layer, output)
    moved = output.movedim(axis, 1)
    return moved.reshape(len(output), moved.shape[1], -1)


def unit_axis(layer: Layer, output: Tensor) -> int:
    """The dimension that counts units: the last that is no place of the picture, 1 where that is not known.

    Channels come second in most nets, and last in those of tokens.
    """
    if layer.seen is None or output.dim() <= 2:
        return 1
    dims = layer.seen.dims[1:]
    free = [k for k, dim in enumerate(dims, 1) if not any(any(f.step) for f in dim)]
    return free[0] if free else 1


def feature_maps(
    net: nn.Module, picture: Tensor, most: int, side: int
) -> list[tuple[str, str, tuple[int, ...], Tensor]]:
    """What the layers make of one picture: name, kind, shape and the ``most`` most active maps, U, h, w.

    picture: 1, C, H, W. Maps with more than ``side`` places a side are averaged to so many. Layers without
    places, and those that change nothing, are left out.
    """
    found: list[tuple[str, str, tuple[int, ...], Tensor]] = []

    def hear(layer: Layer, output: Tensor) -> None:
        if output.dim() != 4 or not output.is_floating_point() or layer.kind in ("Dropout", "Identity"):
            return
        maps = output.detach().float().movedim(unit_axis(layer, output), 1)[0]  # U, h, w
        if maps.shape[1:].numel() == 1:
            return
        order = maps.abs().mean((1, 2)).argsort(descending=True, stable=True)[:most]
        kept = maps[order]
        if max(kept.shape[1:]) > side:
            scale = side / max(kept.shape[1:])
            height, width = (max(1, round(length * scale)) for length in kept.shape[1:])
            kept = nn.functional.adaptive_avg_pool2d(kept, (height, width))
        found.append((layer.name or "the net itself", layer.kind, tuple(maps.shape), kept.cpu()))

    visit(net, picture, hear)
    return found


def dead_units(layers: Sequence[Activity]) -> tuple[int, int]:
    """How many units of how many are dead, over all layers that turn units off."""
    judged = [layer for layer in layers if layer.dead is not None]
    return sum(len(layer.dead or ()) for layer in judged), sum(layer.units for layer in judged)
