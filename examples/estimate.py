"""A number for each picture: how many, how old, how far. A task of one's own in one file.

    simplecell train examples/estimate.py:Estimate counts.csv

counts.csv has a line a picture, ``path,number`` and, if wanted, ``split``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from simplecell import nets
from simplecell.data.augment import Augmentation
from simplecell.data.geometry import Geometry
from simplecell.data.loading import PictureExamples
from simplecell.data.prepare import prepare_one, prepare_splits
from simplecell.data.sources import Source, read_source
from simplecell.data.splits import divide
from simplecell.errors import UserError
from simplecell.export.exportable import Exportable
from simplecell.learn.usual import one_update, settled
from simplecell.metrics.intervals import bootstrap
from simplecell.nets.normalising import Normalised
from simplecell.predictions import Values
from simplecell.settings import setting
from simplecell.tasks.task import Figure, Machine, Splits, Stage, Terms, Training
from simplecell.telling import tell


@dataclass(frozen=True)
class Ask:
    """Options of predict: each is a flag of ``simplecell predict``."""

    decimals: int = setting(2, "digits after the point", at_least=0, at_most=9)


@dataclass(frozen=True)
class Estimate:
    """Train a net to tell a number for a picture."""

    data: str = setting("", "table of path,number", place=True)
    net: str = setting("small", "lenet5, first-cnn, dense, small, or my.py:build")
    size: int = setting(64, "side in pixels", at_least=16, at_most=1024)
    skip_broken: bool = setting(False, "go on without pictures that cannot be read")
    training: Training = Training()
    machine: Machine = Machine()

    Ask: ClassVar[type] = Ask
    headline: ClassVar[tuple[str, str]] = ("MAE", "min")

    def load(self) -> Splits:
        """The sides; and the meaning, without which no answer can be understood."""
        source, numbers = read(self.data)
        tables, facts = divide(source)
        geometry = Geometry(self.size, self.size, "letterbox", 3)  # what is to be counted is not cut off
        made, shifts = set(facts["made"]), Augmentation(shift=self.size // 16)
        pictures, prepared = prepare_splits(
            tables, made, geometry, shifts, skip_broken=self.skip_broken, tell=partial(tell, "pictures")
        )
        sides = {name: Numbered(side, numbers) for name, side in pictures.items()}
        known = [numbers[name] for name in sides["train"].ids]
        meaning = {
            "geometry": geometry.to_json(),
            "pixels": [prepared["mean"], prepared["deviation"]],
            "number": [float(np.mean(known)), float(np.std(known)) or 1.0],
        }
        return Splits(sides["train"], sides["validation"], sides["test"], meaning, {**facts, **prepared})

    def open(self, data: str, meaning: Any) -> Numbered:
        """Other data, for ``evaluate RUN DATA``."""
        source, numbers = read(data)
        table = source.tables.get("test") or next(iter(source.tables.values()))
        geometry = Geometry.from_json(meaning["geometry"])
        return Numbered(prepare_one(table, geometry, skip_broken=self.skip_broken), numbers)

    def settle(self, splits: Splits) -> Estimate:
        """Every "auto" gets its value."""
        normalised = nets.normalised(self.net)  # such nets bear a higher rate
        return replace(self, training=settled(self.training, len(splits.train), normalised=normalised))

    def build(self, meaning: Any) -> nn.Module:
        """The net with its first weights, from settings and meaning alone."""
        body = nets.build(self.net, channels=3, classes=1, height=self.size, width=self.size)
        return Estimator(body, *meaning["pixels"], *meaning["number"])

    def stages(self, net: nn.Module, splits: Splits) -> list[Stage]:
        """What is learnt, in order: here one stage of one update."""

        def loss(net: Any, batch: Any, at: Any) -> Terms:
            error = (net(batch["picture"]) - batch["number"]) / net.spread
            return Terms({"squared_error": error.square().mean()}, count=len(error))

        return [one_update("estimator", net, lambda: splits.train, loss, self.training)]

    def measure(self, net: nn.Module, batch: Any, at: Any = None) -> dict[str, Any]:
        """A row for each example."""
        error = net(batch["picture"]) - batch["number"]
        return {"id": list(batch["id"]), "error": error.double().cpu().numpy()}

    def figures(self, rows: Any, meaning: Any) -> dict[str, Figure]:
        """Figures of all rows together."""
        rms = bootstrap(rows["error"], lambda error: float(np.sqrt(np.mean(error**2))))
        return {"MAE": bootstrap(np.abs(rows["error"])), "RMSE": rms}

    def predict(self, net: nn.Module, meaning: Any, inputs: Any, ask: Any) -> Any:
        """An answer for each (path, picture uint8 H, W, C)."""
        geometry, device = Geometry.from_json(meaning["geometry"]), next(net.buffers()).device
        for path, picture in inputs:
            fitted = torch.from_numpy(geometry.fit(picture)[None].copy()).permute(0, 3, 1, 2)
            yield Values(path, {"number": round(net(fitted.to(device)).item(), ask.decimals)})

    def export(self, net: nn.Module, meaning: Any) -> Exportable:
        """What ``simplecell export`` writes: whole pictures to their numbers."""
        return Exportable(net, Geometry.from_json(meaning["geometry"]), ("number",), "values")

    def exported(self, outputs: Any) -> Tensor:
        """What the net would give, from what the file gives, so that ``evaluate`` takes the file too."""
        return outputs["number"]


class Estimator(Normalised):
    """uint8 N, C, H, W  →  classify's net of one class: y  →  middle + spread · y, numbers N."""

    def __init__(self, body: Any, mean: Any, deviation: Any, middle: float, spread: float) -> None:
        super().__init__(body, mean, deviation)
        self.middle, self.spread = middle, spread  # not learnt, and known from the meaning: no buffers

    def forward(self, picture: Tensor) -> Tensor:
        return self.middle + self.spread * self.body(self.normalise(picture)).float().squeeze(1)


@dataclass(frozen=True, eq=False)
class Numbered:
    """Examples: what ``batch`` gives is what ``loss`` and ``measure`` get."""

    pictures: PictureExamples
    numbers: dict[str, float]

    @property
    def ids(self) -> Any:
        return self.pictures.ids

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, indices: Any, address: Any = None) -> dict[str, Any]:
        batch = self.pictures.batch(indices, address)
        return {**batch, "number": torch.tensor([self.numbers[name] for name in batch["id"]])}


def read(data: str) -> tuple[Source, dict[str, float]]:
    """The pictures as if of one class, so that any number may stand on any side; and their numbers by id."""
    source = read_source(Path(data))
    try:
        values = [float(name) for name in source.classes]
    except ValueError as error:
        raise UserError(f"a label is no number ({error})", where=data, remedy="correct it") from None
    if not np.isfinite(values).all():
        raise UserError("a label is not finite", where=data, remedy="correct it")
    tables = source.tables.items()
    numbers = {i: values[k] for _, table in tables for i, k in zip(table.ids, table.labels, strict=True)}
    one = {side: replace(table, labels=np.zeros_like(table.labels)) for side, table in tables}
    return replace(source, classes=("picture",), tables=one), numbers
