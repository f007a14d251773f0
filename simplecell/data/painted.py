"""Pictures that the package paints itself, for trying a whole training in two seconds."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from simplecell.data import cache

_SIDE, _EACH = 28, 48
_CLASSES = ("cross", "flat", "upright")


def bars() -> str:
    """A folder of three classes with 48 noisy grey pictures each: a flat bar, an upright one, or both.

    It is painted once, into the cache; the same pictures always.
    """
    folder = cache.folder() / "painted" / "bars-1"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=folder.parent))
        _paint(half)
        try:
            half.rename(folder)
        except OSError:  # another process has painted it meanwhile
            shutil.rmtree(half)
    return str(folder)


def _paint(folder: Path) -> None:
    numbers = np.random.Generator(np.random.PCG64(7))
    for name in _CLASSES:
        (folder / name).mkdir()
        for number in range(_EACH):
            picture = numbers.normal(60, 25, (_SIDE, _SIDE))
            row, column = numbers.integers(6, _SIDE - 8, 2)
            if name != "upright":
                picture[row : row + 3, 4:-4] += 130
            if name != "flat":
                picture[4:-4, column : column + 3] += 130
            grey = np.clip(picture, 0, 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / name / f"{number:02}.png")
