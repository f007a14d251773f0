"""What a net answers for one picture, as plain values: to JSON, to a row of a table. Imports no torch."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from simplecell.errors import UserError
from simplecell.settings import setting


class Prediction(Protocol):
    """One answer. ``to_json`` has "path" first; ``to_row`` is the same for a table, by column name."""

    @property
    def path(self) -> str: ...

    def to_json(self) -> dict[str, Any]: ...

    def to_row(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class ClassAsk:
    """What is asked of a net that tells classes."""

    top: int = setting(5, "classes to tell", at_least=1)
    reject_below: float = setting(0.0, "tell no class where its score is lower", at_least=0, at_most=1)
    ink: bool = setting(False, "photos of dark ink on paper, for a net that learnt light digits on black")


@dataclass(frozen=True)
class ClassPrediction:
    """A class with its score (a probability, 0 to 1), and the best classes in order.

    name: the class; None where the score is below what was asked for (the picture is rejected).
    """

    path: str
    name: str | None
    score: float
    top: Sequence[tuple[str, float]]

    def to_json(self) -> dict[str, Any]:
        top = [{"class": name, "score": score} for name, score in self.top]
        return {"path": self.path, "class": self.name, "score": self.score, "top": top}

    def to_row(self) -> dict[str, str]:
        others = ", ".join(f"{name} {score:.3f}" for name, score in self.top[1:])
        name = "(rejected)" if self.name is None else self.name
        return {"path": self.path, "class": name, "score": f"{self.score:.4f}", "then": others}


@dataclass(frozen=True)
class Values:
    """An answer that is a few named values (JSON values) and needs no class of its own."""

    path: str
    values: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, **self.values}

    def to_row(self) -> dict[str, str]:
        shown = {k: f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in self.values.items()}
        return {"path": self.path, **shown}


def names_classes(about: Mapping[str, Any]) -> bool:
    """Whether there are "classes", each a text."""
    classes = about.get("classes")
    return isinstance(classes, list) and bool(classes) and all(isinstance(name, str) for name in classes)


def class_predictions(
    paths: Sequence[str], outputs: Mapping[str, Any], about: Mapping[str, Any], ask: ClassAsk
) -> list[ClassPrediction]:
    """The best classes of each picture.

    outputs: "scores", an array N, classes of probabilities. about: "classes", their names.
    Raises UserError where these are not as many.
    """
    classes = about["classes"]
    shape = tuple(outputs["scores"].shape) if "scores" in outputs else ()
    if shape != (len(paths), len(classes)):
        raise UserError(
            f"the net gives scores of the shape {shape} for {len(paths)} pictures and {len(classes)} classes",
            remedy="export it again",
        )
    answers = []
    for path, scores in zip(paths, outputs["scores"].tolist(), strict=True):
        order = heapq.nlargest(ask.top, range(len(classes)), key=scores.__getitem__)
        top = [(classes[k], scores[k]) for k in order]
        name = top[0][0] if top[0][1] >= ask.reject_below else None
        answers.append(ClassPrediction(path, name, top[0][1], top))
    return answers


@dataclass(frozen=True)
class ValuesAsk:
    """Nothing is asked of a net that tells values."""


def value_predictions(
    paths: Sequence[str], outputs: Mapping[str, Any], about: Mapping[str, Any], ask: ValuesAsk
) -> list[Values]:
    """The outputs, one number each for a picture, by their names."""
    columns = {name: each.reshape(len(paths)).tolist() for name, each in outputs.items()}
    return [Values(path, {name: each[k] for name, each in columns.items()}) for k, path in enumerate(paths)]


def _near(a: Values, b: Values) -> bool:
    return all(abs(a.values[k] - b.values[k]) <= 1e-2 * max(1.0, abs(a.values[k])) for k in a.values)


class Answer(NamedTuple):
    """A kind of prediction: what may be asked, and what an exported net's outputs become.

    suits: whether what a file says about its outputs is enough for ``make``.
    make: paths, outputs (arrays by name, N first), what the file says about them, and the ask.
    same: whether two predictions answer alike.
    """

    ask: type
    suits: Callable[[Mapping[str, Any]], bool]
    make: Callable[[Sequence[str], Mapping[str, Any], Mapping[str, Any], Any], Sequence[Any]]
    same: Callable[[Any, Any], bool]


#: By the name that an exported file has for it.
ANSWERS: dict[str, Answer] = {
    "classes": Answer(ClassAsk, names_classes, class_predictions, lambda a, b: a.name == b.name),
    "values": Answer(ValuesAsk, lambda about: True, value_predictions, _near),
}
