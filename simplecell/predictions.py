"""What a net answers for one picture, as plain values: to JSON, to a row of a table. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Prediction(Protocol):
    """One answer. ``to_json`` has "path" first; ``to_row`` is the same for a table, by column name."""

    @property
    def path(self) -> str: ...

    def to_json(self) -> dict[str, Any]: ...

    def to_row(self) -> dict[str, str]: ...


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
