"""What size, channels and augmentation suit the pictures, where the settings leave it open."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from simplecell.data.augment import Augmentation, choose, preset
from simplecell.data.batches import spread
from simplecell.data.geometry import Geometry
from simplecell.data.settings import AugmentSettings, PictureSettings
from simplecell.data.sources import Table
from simplecell.errors import UserError

#: Pictures that are looked at.
_SAMPLE = 64


def choose_geometry(asked: PictureSettings, table: Table, where: str) -> Geometry:
    """Size, way and channels for a net, from a sample of the training pictures.

    Raises UserError, naming ``where``, if none of the sample can be read.
    """
    rows = spread(len(table), _SAMPLE)
    shapes: list[tuple[int, int, int]] = []
    for row in rows:
        try:
            height, width, channels = table.pictures.read(int(row)).shape
        except UserError:
            continue  # told with its name when all are prepared
        shapes.append((height, width, channels))
    if not shapes:
        raise UserError("no picture can be read", where=where, remedy="look at `simplecell data check`")
    shorter = int(np.median([min(h, w) for h, w, _ in shapes]))
    longer = int(np.median([max(h, w) for h, w, _ in shapes]))
    size = asked.size if asked.size != "auto" else _usual_size(shorter)
    cut_out = longer < 160  # small pictures are cut-outs (digits, signs): their rim matters
    way = asked.fit if asked.fit != "auto" else ("squash" if cut_out else "crop")
    grey = all(channels == 1 for _, _, channels in shapes)
    channels = asked.channels if asked.channels != "auto" else (1 if grey else 3)
    return Geometry(size, size, way, channels)


def _usual_size(shorter: int) -> int:
    """The side a net gets: small pictures as they are, cut-outs at 64, photos at 128 pixels."""
    if shorter <= 64:
        return max(28, 4 * round(shorter / 4))
    return 64 if shorter <= 128 else 128


def choose_augmentation(
    asked: AugmentSettings, geometry: Geometry, classes: Sequence[str], count: int
) -> tuple[Augmentation, str]:
    """The augmentation for so many training pictures, and the reason in a sentence for the run."""
    if asked.augment == "auto":
        name, base, why = choose(geometry.height, geometry.width, geometry.channels, classes, count)
    else:
        name, base, why = asked.augment, preset(asked.augment, geometry.height), "as asked"
    values = dataclasses.asdict(asked)
    values.pop("augment")
    own = {key: value for key, value in values.items() if value != "auto"}
    said = "".join(f"; {key} {value} as asked" for key, value in own.items())
    return dataclasses.replace(base, **own), f"{name}: {why}{said}"
