"""An exported file beside the net it came from, on real pictures: two figures, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplecell.errors import UserError
from simplecell.export.exportable import Exportable
from simplecell.export.session import Exported, Halves, Outputs
from simplecell.predictions import ANSWERS

#: From equal fitted pictures, of the largest value that the net gives: rounding in another order.
MOST_DIFFERENCE = 1e-4
#: Levels of 255 that a fitted pixel may differ by, see ``simplecell.export.fitting``.
MOST_LEVELS = 2
#: Pictures that lie between two answers may fall to the other side by a level of a pixel.
LEAST_AGREEMENT = 0.95


@dataclass(frozen=True)
class Comparison:
    """What the file answers beside the net.

    pictures: how many were compared. difference: of outputs from equal fitted pictures, the largest, as a
    share of the largest value. levels: the largest difference of fitted pixels, of 255. agreement: the share
    of whole pictures that both answer alike.
    """

    pictures: int
    difference: float
    levels: int
    agreement: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    path: Path, exportable: Exportable, pictures: Sequence[NDArray[np.uint8]], meaning: Callable[[Any], Any]
) -> Comparison:
    """Run the file at ``path`` and the net on whole pictures, each uint8 H, W, 1 or 3.

    meaning: a task's ``exported``. What it makes of outputs is compared: of probabilities the logits, since
    0.9999 and 0.999 are far apart.
    """
    halves, exported = Halves(path), Exported(path)
    fitted = np.stack([exportable.geometry.fit(picture) for picture in pictures]).transpose(0, 3, 1, 2)
    theirs = outputs_of(exportable, fitted)
    ours = halves.answer(fitted)
    levels = np.abs(halves.fit(pictures).astype(np.int16) - fitted).max()
    both = [_tensors(meaning({k: torch.from_numpy(v) for k, v in given.items()})) for given in (theirs, ours)]
    difference = max(_relative(a, b) for a, b in zip(*both, strict=True))
    alike = _alike(exportable, theirs, exported.outputs(pictures))
    return Comparison(len(pictures), difference, int(levels), alike)


def check(found: Comparison, where: str) -> None:
    """Raise UserError where the file does not answer as the net does."""
    faults = [
        (
            not found.difference <= MOST_DIFFERENCE,  # so that what is no number is refused too
            f"its outputs differ by {found.difference:.1e} of their largest",
        ),
        (found.levels > MOST_LEVELS, f"it fits pictures otherwise, by up to {found.levels} levels of 255"),
        (
            found.agreement < LEAST_AGREEMENT,
            f"of {found.pictures} pictures it answers {100 * (1 - found.agreement):.0f} % otherwise",
        ),
    ]
    for wrong, what in faults:
        if wrong:
            raise UserError(
                f"the exported net does not answer as the net does: {what}; nothing was written",
                where=where,
                remedy="report it, naming the net, and use the run itself meanwhile",
            )


def outputs_of(exportable: Exportable, fitted: NDArray[np.uint8]) -> Outputs:
    """What the net gives for fitted pictures, uint8 N, C, h, w, by name, N first."""
    device = next((t.device for t in exportable.net.buffers()), torch.device("cpu"))
    with torch.inference_mode():
        given = exportable.net(torch.from_numpy(fitted).to(device))
    several = given if isinstance(given, tuple) else (given,)
    return {name: each.cpu().numpy() for name, each in zip(exportable.outputs, several, strict=True)}


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value
    return [tensor for item in items for tensor in _tensors(item)]


def _relative(theirs: Tensor, ours: Tensor) -> float:
    """The largest difference as a share of the largest value; not a number where either has none."""
    if theirs.shape != ours.shape:
        return float("inf")
    largest = float(theirs.abs().max()) or 1.0
    return float((theirs.double() - ours.double()).abs().max()) / largest


def _alike(exportable: Exportable, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> float:
    kind = ANSWERS[exportable.answer]
    names = [""] * len(next(iter(theirs.values())))
    both = [kind.make(names, outputs, exportable.about, kind.ask()) for outputs in (theirs, ours)]
    return float(np.mean([kind.same(a, b) for a, b in zip(*both, strict=True)]))
