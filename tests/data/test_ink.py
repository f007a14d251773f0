"""Ink on paper becomes what MNIST's digits look like."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simplecell.data.ink import ink


def stroke(height: int, width: int, rows: slice, columns: slice, paper: int = 230) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), paper, np.uint8)
    picture[rows, columns] = 40
    return picture


def test_the_longer_side_fills_20_of_28_and_the_paper_is_black() -> None:
    made = ink(stroke(300, 200, slice(20, 220), slice(120, 160)))[:, :, 0]
    rows, columns = np.flatnonzero(made.any(axis=1)), np.flatnonzero(made.any(axis=0))
    assert len(rows) == pytest.approx(made.shape[0] * 20 / 28, abs=1)
    assert len(columns) == pytest.approx(len(rows) / 5, abs=1)
    assert made[0].max() == 0
    assert made.max() == 255


@pytest.mark.parametrize(("top", "left"), [(10, 10), (150, 100), (240, 140)])
def test_wherever_the_ink_is_its_centre_of_mass_is_in_the_middle(top: int, left: int) -> None:
    made = ink(stroke(300, 200, slice(top, top + 50), slice(left, left + 50)))[:, :, 0].astype(float)
    for axis in (0, 1):
        weight = made.sum(axis=1 - axis)
        assert (weight * np.arange(len(weight))).sum() / weight.sum() == pytest.approx(
            made.shape[0] / 2, abs=1
        )


def test_shadow_and_grain_of_the_paper_are_no_ink() -> None:
    picture = stroke(200, 200, slice(60, 140), slice(90, 110))
    grain = np.random.Generator(np.random.PCG64(0)).integers(-12, 12, picture.shape)
    shaded = (picture + grain - np.linspace(0, 30, 200)[None, :, None]).clip(0, 255).astype(np.uint8)
    made, clean = ink(shaded)[:, :, 0], ink(picture)[:, :, 0]
    assert np.abs(made.astype(float) - clean).mean() < 12


@pytest.mark.parametrize("level", [0, 128, 255])
def test_paper_without_ink_is_black(level: int) -> None:
    assert not ink(np.full((50, 60, 1), level, np.uint8)).any()
