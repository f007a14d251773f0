"""What is wrong with this data: counts, sizes, broken files, repeated pictures, and a verdict on each.

``review`` is pure: it judges what one pass over the pictures has found. Its result is JSON values all
through, and every verdict is a sentence with what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Below so many training pictures a class is called tiny. Not measured: with fewer, the share kept for
#: validation and test is one or two pictures, and their figures say next to nothing.
TINY = 20
#: From this ratio of the largest to the smallest class on, an imbalance is worth a word.
IMBALANCED = 3.0

#: The sides that a net is trained and judged by; a picture on two of them is a leak.
JUDGED = ("train", "validation", "test")

Grade = Literal["fault", "warning", "note"]


@dataclass(frozen=True)
class Side:
    """What one pass over the pictures of a side has found; row i of every field is one picture.

    labels: int64, N, indices into the classes. sizes: int64, N × 3, height, width and channels; the rows of
    broken pictures count for nothing. broken: index → what is wrong, a sentence that names the file.
    """

    ids: Sequence[str]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    broken: Mapping[int, str]


class Pair(NamedTuple):
    """Two pictures that are equal, or nearly so: sides, and indices into them."""

    first: tuple[str, int]
    second: tuple[str, int]
    kind: Literal["equal", "near"]


@dataclass(frozen=True)
class Seen:
    """A picture that a finding speaks of; label is the class's name."""

    side: str
    id: str
    label: str


@dataclass(frozen=True)
class Repeat:
    """Two pictures that are equal pixel by pixel, or nearly so ("near")."""

    kind: str
    first: Seen
    second: Seen

    @property
    def across(self) -> bool:
        """Whether it stands on two sides."""
        return self.first.side != self.second.side

    @property
    def leaks(self) -> bool:
        """Whether a net would be judged on a picture that it, or its stopping, was fitted to."""
        return self.across and self.first.side in JUDGED and self.second.side in JUDGED

    @property
    def conflicts(self) -> bool:
        """Whether the two have different labels."""
        return self.first.label != self.second.label


@dataclass(frozen=True)
class Broken:
    """A picture that cannot be read, and why."""

    picture: Seen
    fault: str


@dataclass(frozen=True)
class Verdict:
    """A sentence on the data. A fault spoils a training, a warning its figures, a note is good to know."""

    grade: Grade
    sentence: str


@dataclass(frozen=True)
class Spread:
    """Least, median and greatest of a length in pixels."""

    least: int
    median: float
    greatest: int

    def __str__(self) -> str:
        if self.least == self.greatest:
            return str(self.least)
        return f"{self.least:,}–{self.greatest:,} (median {self.median:g})"


@dataclass(frozen=True)
class Review:
    """All findings on a data set.

    counts: class → side → pictures, broken ones included; classes and sides in the order of the source.
    height, width: None where no picture can be read. channels: "1" (grey) and "3" (colour) → pictures.
    repeats: the gravest first, as ``verdicts`` are.
    imbalance: the largest training class over the smallest that has any; None with fewer than two.
    """

    path: str
    format: str
    sides: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    height: Spread | None
    width: Spread | None
    channels: dict[str, int]
    imbalance: float | None
    broken: tuple[Broken, ...]
    repeats: tuple[Repeat, ...]
    verdicts: tuple[Verdict, ...]

    def total(self, side: str) -> int:
        """Pictures on a side."""
        return sum(by_side[side] for by_side in self.counts.values())

    @property
    def sound(self) -> bool:
        """Whether there is neither fault nor warning."""
        return all(verdict.grade == "note" for verdict in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """JSON values: the fields, and ``sound``."""
        return {**asdict(self), "sound": self.sound}


def review(
    path: str,
    format: str,
    classes: Sequence[str],
    sides: Mapping[str, Side],
    pairs: Iterable[Pair],
    notes: Sequence[str] = (),
) -> Review:
    """Judge a data set by what was found in it; ``notes`` are sentences from reading the source."""

    def seen(place: tuple[str, int]) -> Seen:
        name, index = place
        return Seen(name, sides[name].ids[index], classes[int(sides[name].labels[index])])

    counts = {name: np.bincount(side.labels, minlength=len(classes)) for name, side in sides.items()}
    whole = [np.delete(side.sizes, list(side.broken), axis=0) for side in sides.values()]
    sizes = np.concatenate(whole) if whole else np.empty((0, 3), np.int64)
    broken = tuple(
        Broken(seen((name, index)), fault)
        for name, side in sides.items()
        for index, fault in sorted(side.broken.items())
    )
    repeats = sorted(
        (Repeat(pair.kind, seen(pair.first), seen(pair.second)) for pair in pairs), key=_harmlessness
    )
    training = counts.get("train", counts.get("all", np.zeros(len(classes), np.int64)))
    channels = {str(count): int((sizes[:, 2] == count).sum()) for count in np.unique(sizes[:, 2]).tolist()}
    imbalance = _imbalance(training)
    verdicts = [
        *_on_broken(broken, sum(len(side.ids) for side in sides.values())),
        *_on_repeats(repeats),
        *_on_classes(classes, counts, training, imbalance),
        *_on_channels(channels),
        *(Verdict("note", sentence) for sentence in notes),
    ]
    return Review(
        path=path,
        format=format,
        sides=tuple(sides),
        counts={
            name: {side: int(numbers[index]) for side, numbers in counts.items()}
            for index, name in enumerate(classes)
        },
        height=_spread(sizes[:, 0]),
        width=_spread(sizes[:, 1]),
        channels=channels,
        imbalance=imbalance,
        broken=broken,
        repeats=tuple(repeats),
        verdicts=tuple(
            sorted(verdicts, key=lambda verdict: ("fault", "warning", "note").index(verdict.grade))
        ),
    )


def _spread(lengths: NDArray[np.int64]) -> Spread | None:
    if len(lengths) == 0:
        return None
    return Spread(int(lengths.min()), float(np.median(lengths)), int(lengths.max()))


def _imbalance(training: NDArray[np.int64]) -> float | None:
    present = training[training > 0]
    return float(present.max() / present.min()) if len(present) > 1 else None


def _harmlessness(repeat: Repeat) -> tuple[bool, bool, bool, bool]:
    """Sorts different labels first, then leaks, then what else is on two sides; equal before nearly equal."""
    return not repeat.conflicts, not repeat.leaks, not repeat.across, repeat.kind != "equal"


def _on_broken(broken: Sequence[Broken], total: int) -> list[Verdict]:
    if not broken:
        return []
    names = _few([found.picture.id for found in broken])
    files = f"{len(broken):,} of {total:,} pictures cannot be read ({names})"
    return [Verdict("fault", f"{files}; restore or remove them, or train with --skip-broken.")]


def _on_repeats(repeats: Sequence[Repeat]) -> list[Verdict]:
    same = [repeat for repeat in repeats if not repeat.conflicts]
    kinds: list[tuple[Grade, str, list[Repeat], str]] = [
        (
            "fault",
            "Different labels for one picture",
            [repeat for repeat in repeats if repeat.conflicts and repeat.kind == "equal"],
            "decide for one label and remove the other picture",
        ),
        (
            "warning",
            "Different labels for pictures much alike",
            [repeat for repeat in repeats if repeat.conflicts and repeat.kind == "near"],
            "look whether one of the labels is wrong",
        ),
        (
            "warning",
            "Pictures on two sides, where they flatter the figures",
            [repeat for repeat in repeats if repeat.leaks],
            "train with --drop-leaks",
        ),
        (
            "note",
            "Pictures on a further side, too",
            [repeat for repeat in repeats if repeat.across and not repeat.leaks],
            "keep that side out of training and evaluation",
        ),
        (
            "note",
            "Pictures twice on one side",
            [repeat for repeat in same if not repeat.across],
            "remove one of each to give all pictures the same weight",
        ),
    ]
    return [
        Verdict(grade, f"{what}: {_pairs(found)}; {remedy}.") for grade, what, found, remedy in kinds if found
    ]


def _pairs(found: Sequence[Repeat]) -> str:
    """ "1 equal and 2 nearly equal pairs (a and b, c and d, e and f)"."""
    equal = sum(repeat.kind == "equal" for repeat in found)
    counts = [(equal, "equal"), (len(found) - equal, "nearly equal")]
    numbers = " and ".join(f"{count:,} {kind}" for count, kind in counts if count)
    names = _few([f"{repeat.first.id} and {repeat.second.id}" for repeat in found])
    return f"{numbers} pair{'s' if len(found) > 1 else ''} ({names})"


def _on_classes(
    classes: Sequence[str],
    counts: Mapping[str, NDArray[np.int64]],
    training: NDArray[np.int64],
    imbalance: float | None,
) -> list[Verdict]:
    verdicts = []
    if len(classes) < 2:
        verdicts.append(
            Verdict("fault", "There is one class only; add pictures of a second: telling apart takes two.")
        )
    if "train" not in counts and "all" not in counts:
        verdicts.append(
            Verdict("note", "There is no training side; to train, give one of the sides the name train.")
        )
    for side, numbers in counts.items():
        missing = [classes[index] for index in np.flatnonzero(numbers == 0).tolist()]
        if not missing or side not in (*JUDGED, "all"):
            continue
        has = (
            f"{_classes(missing)} no picture in {side}"
            if side != "all"
            else f"{_classes(missing)} no picture"
        )
        if side in ("train", "all"):
            verdicts.append(Verdict("fault", f"{has}; add pictures or remove the class."))
        else:
            verdicts.append(Verdict("warning", f"{has}; no figures can be had there: add pictures."))
    tiny = [classes[index] for index in np.flatnonzero((training > 0) & (training < TINY)).tolist()]
    if tiny:
        verdicts.append(
            Verdict("warning", f"{_classes(tiny)} fewer than {TINY} pictures to train on; add pictures.")
        )
    if imbalance is not None and imbalance >= IMBALANCED:
        present = np.where(training > 0, training, np.iinfo(np.int64).max)
        most, least = int(training.argmax()), int(present.argmin())
        verdicts.append(
            Verdict(
                "warning",
                f"{classes[most]!r} has {training[most]:,} training pictures, {imbalance:.1f} times the "
                f"{training[least]:,} of {classes[least]!r}; judge by balanced accuracy, and weigh the "
                "classes or draw them evenly in training.",
            )
        )
    return verdicts


def _on_channels(channels: Mapping[str, int]) -> list[Verdict]:
    if len(channels) < 2:
        return []
    mixture = f"Grey and colour are mixed, {channels['1']:,} and {channels['3']:,} pictures"
    return [Verdict("note", f"{mixture}; grey ones are trained on as colour.")]


def _classes(names: Sequence[str]) -> str:
    """ "Class 'a' has", "2 classes ('a', 'b') have"."""
    quoted = [repr(name) for name in names]
    return f"Class {quoted[0]} has" if len(names) == 1 else f"{len(names)} classes ({_few(quoted)}) have"


def _few(names: Sequence[str]) -> str:
    """The first three, and whether there are more."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
