"""A number for each picture: how many, how old, how far. A task of one's own in one file.

    simplecell train examples/estimate.py:Estimate counts.csv

counts.csv names a picture and its number a line: ``path,number`` and, if wanted, ``split``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simplecell import nets
from simplecell.data.addressed import Address
from simplecell.data.augment import Augmentation
from simplecell.data.geometry import Geometry
from simplecell.data.loading import PictureExamples
from simplecell.data.prepare import prepare_one, prepare_splits
from simplecell.data.sources import Source, read_source
from simplecell.data.splits import divide
from simplecell.errors import UserError
from simplecell.learn.usual import one_update, settled
from simplecell.metrics.intervals import bootstrap
from simplecell.settings import setting
from simplecell.tasks.task import At, Batch, Examples, Figure, Machine, Rows, Splits, Stage, Terms, Training
from simplecell.telling import tell


@dataclass(frozen=True)
class Ask:
    """Options of predict: each is a flag of ``simplecell predict``."""

    decimals: int = setting(2, "digits after the point", at_least=0, at_most=9)


@dataclass(frozen=True)
class Estimate:
    """Train a net to tell a number for a picture."""

    data: str = setting("", "table of path,number", place=True)
    net: str = setting("first-cnn", "lenet5, first-cnn, dense, small, or my.py:build")
    size: int = setting(64, "side in pixels", at_least=16, at_most=1024)
    flip: bool = setting(False, "mirror half of the training pictures")
    skip_broken: bool = setting(False, "go on without pictures that cannot be read")
    training: Training = Training()
    machine: Machine = Machine()

    Ask: ClassVar[type] = Ask
    headline: ClassVar[tuple[str, str]] = ("MAE", "min")

    def load(self) -> Splits:
        """Read, divide, decode once; what is not pixels but needed to understand them is the meaning."""
        source, numbers = _read(self.data)
        tables, facts = divide(source)
        geometry = Geometry(self.size, self.size, "letterbox", 3)  # nothing to be counted is cut off
        augmentation = Augmentation(flip=self.flip, shift=self.size // 16)
        pictures, prepared = prepare_splits(
            tables, set(facts["made"]), geometry, augmentation,
            skip_broken=self.skip_broken, tell=partial(tell, "pictures"),
        )  # fmt: skip
        sides = {name: Numbered.of(side, numbers) for name, side in pictures.items()}
        meaning = {
            "geometry": geometry.to_json(),
            "pixels": [prepared["mean"], prepared["deviation"]],
            "number": [float(sides["train"].numbers.mean()), float(sides["train"].numbers.std())],
        }
        return Splits(sides["train"], sides["validation"], sides["test"], meaning, {**facts, **prepared})

    def open(self, data: str, meaning: Mapping[str, Any]) -> Examples:
        """Other data, for ``simplecell evaluate RUN DATA``."""
        source, numbers = _read(data)
        table = source.tables.get("test") or next(iter(source.tables.values()))
        geometry = Geometry.from_json(meaning["geometry"])
        return Numbered.of(prepare_one(table, geometry, skip_broken=self.skip_broken), numbers)

    def settle(self, splits: Splits) -> Estimate:
        """What is "auto" gets a value here, and stays so for ``resume`` and ``repeat``."""
        return replace(self, training=settled(self.training, len(splits.train)))

    def build(self, meaning: Mapping[str, Any]) -> nn.Module:
        """The net from its meaning alone: so the artefact needs no data to be opened."""
        body = nets.build(self.net, channels=3, classes=1, height=self.size, width=self.size)
        return Estimator(body, *meaning["pixels"], *meaning["number"])

    def stages(self, net: Any, splits: Splits) -> list[Stage]:
        """One stage of one update; the loss is on the scale of the numbers' spread."""

        def loss(net: Any, batch: Batch, at: At) -> Terms:
            error = (net(batch["picture"]) - batch["number"]) / net.spread
            return Terms({"squared_error": error.square().mean()}, count=len(error))

        return [one_update("estimator", net, lambda: splits.train, loss, self.training)]

    def measure(self, net: nn.Module, batch: Batch, at: At | None = None) -> Rows:
        """A row for each picture …"""
        error = net(batch["picture"]) - batch["number"]
        return {"id": list(batch["id"]), "error": error.double().cpu().numpy()}

    def figures(self, rows: Rows, meaning: Mapping[str, Any]) -> dict[str, Figure]:
        """… and from all rows the figures, so that an interval costs nothing."""
        return {
            "MAE": bootstrap(np.abs(rows["error"])),
            "RMSE": bootstrap(rows["error"], lambda error: float(np.sqrt(np.mean(error**2)))),
        }

    def predict(
        self, net: nn.Module, meaning: Mapping[str, Any], inputs: Iterable[tuple[str, NDArray[np.uint8]]], ask: Ask
    ) -> Iterator[Number]:  # fmt: skip
        """Answers one by one, as the pictures come."""
        geometry, device = Geometry.from_json(meaning["geometry"]), next(net.buffers()).device
        for path, picture in inputs:
            fitted = torch.from_numpy(geometry.fit(picture)[None].copy()).permute(0, 3, 1, 2)
            yield Number(path, round(net(fitted.to(device)).item(), ask.decimals))


class Estimator(nn.Module):
    """uint8 N, C, H, W → (x/255 − mean) / deviation → body → N, 1 → middle + spread · y → numbers N."""

    mean: Tensor
    deviation: Tensor
    spread: Tensor
    middle: Tensor

    def __init__(
        self, body: nn.Module, mean: list[float], deviation: list[float], middle: float, spread: float
    ) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("mean", 255 * torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("deviation", 255 * torch.tensor(deviation).view(-1, 1, 1))
        self.register_buffer("middle", torch.tensor(middle))
        self.register_buffer("spread", torch.tensor(spread or 1.0))

    def forward(self, picture: Tensor) -> Tensor:
        body = self.body((picture.float() - self.mean) / self.deviation)
        return self.middle + self.spread * body.squeeze(1)


@dataclass(frozen=True, eq=False)
class Numbered:
    """Examples: pictures with a number each. What ``batch`` gives is what ``loss`` and ``measure`` get."""

    pictures: PictureExamples
    numbers: NDArray[np.float32]

    @classmethod
    def of(cls, pictures: PictureExamples, numbers: Mapping[str, float]) -> Numbered:
        return cls(pictures, np.array([numbers[name] for name in pictures.ids], dtype=np.float32))

    @property
    def ids(self) -> Any:
        return self.pictures.ids

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, indices: NDArray[np.int64], address: Address | None = None) -> Batch:
        return {**self.pictures.batch(indices, address), "number": torch.from_numpy(self.numbers[indices])}


@dataclass(frozen=True)
class Number:
    """A prediction: for JSON, and for a row of a table."""

    path: str
    number: float

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "number": self.number}

    def to_row(self) -> dict[str, str]:
        return {"path": self.path, "number": f"{self.number:g}"}


def _read(data: str) -> tuple[Source, dict[str, float]]:
    """The pictures as one class, to be divided as such, and the number of each by its id."""
    source = read_source(Path(data))
    numbers: dict[str, float] = {}
    for table in source.tables.values():
        for name, label in zip(table.ids, table.labels.tolist(), strict=True):
            try:
                numbers[name] = float(source.classes[label])
            ...
    return source, numbers
