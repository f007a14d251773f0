"""Sides written as a table and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from simplecell.data.pictures import ArrayPictures
from simplecell.data.sources import Source, Table, read_source
from simplecell.data.split_table import split_tables, table_text
from simplecell.errors import UserError


def make_pictures(folder: Path, names: list[str]) -> Source:
    """A folder of small PNGs, each of other noise."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    return read_source(folder)


def divided(source: Source, folds: int = 0, group: str = "") -> list[dict[str, set[tuple[str, str]]]]:
    """Sides as sets of (path, class)."""
    tables, _ = split_tables(source, validation=0.2, test=0.2, group=group, test_last=0, folds=folds)
    return [
        {
            side: {(name, source.classes[label]) for name, label in zip(table.ids, table.labels, strict=True)}
            for side, table in division.items()
        }
        for division in tables
    ]


NAMES = st.text("aé, \"'%#\n;=b", min_size=1, max_size=6).map(str.strip).filter(bool)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(NAMES, min_size=2, max_size=3), st.integers(min_value=3, max_value=5))
def test_the_table_reads_back_as_the_same_sides(
    tmp_path_factory: pytest.TempPathFactory, classes: set[str], count: int
) -> None:
    place = tmp_path_factory.mktemp("back")
    source = make_pictures(
        place / "photos", [f"{name}/{number}.png" for name in sorted(classes) for number in range(count)]
    )
    tables, _ = split_tables(source, validation=0.2, test=0.2, group="", test_last=0, folds=0)
    for folder in (place, place / "photos", place / "elsewhere"):
        folder.mkdir(exist_ok=True)
        table = folder / "split.csv"
        table.write_text(table_text(tables[0], source, folder), encoding="utf-8", newline="")
        back = read_source(table)
        for side, expected in tables[0].items():
            if not len(expected):
                continue
            found = back.tables[side]
            assert [back.classes[label] for label in found.labels] == [
                source.classes[label] for label in expected.labels
            ]
            for row in range(len(expected)):
                np.testing.assert_array_equal(found.pictures.read(row), expected.pictures.read(row))


def test_every_picture_that_is_not_tested_on_validates_in_one_fold(tmp_path: Path) -> None:
    source = make_pictures(tmp_path, [f"{name}/{number}.png" for name in "ab" for number in range(10)])
    folds = divided(source, folds=4)
    assert len(folds) == 4
    test = folds[0]["test"]
    assert len(test) == 4
    everything = set().union(*folds[0].values())
    assert len(everything) == 20
    held_out = [fold["validation"] for fold in folds]
    assert set().union(*held_out) == everything - test
    assert sum(map(len, held_out)) == 16
    for fold in folds:
        assert fold["test"] == test
        assert fold["train"] == everything - test - fold["validation"]


def test_other_columns_and_groups_are_kept(tmp_path: Path) -> None:
    names = [f"{name}/{number}.png" for name in "ab" for number in range(6)]
    make_pictures(tmp_path, names)
    lines = [f"{name},{name[0]},patient{number % 3}" for number, name in enumerate(names)]
    (tmp_path / "all.csv").write_text("\n".join(["path,label,patient", *lines]))
    source = read_source(tmp_path / "all.csv")
    tables, _ = split_tables(source, validation=0.3, test=0.3, group="patient", test_last=0, folds=0)
    text = table_text(tables[0], source, tmp_path)
    assert text.startswith("path,label,split,patient\n")
    sides: dict[str, set[str]] = {}
    for line in text.splitlines()[1:]:
        _, _, side, patient = line.split(",")
        sides.setdefault(patient, set()).add(side)
    assert all(len(found) == 1 for found in sides.values())


def test_pictures_that_are_no_files_cannot_be_put_in_a_table(tmp_path: Path) -> None:
    array = ArrayPictures(np.zeros((2, 4, 4, 1), np.uint8))
    table = Table(("all/0", "all/1"), np.array([0, 1]), array).take([1, 0])
    source = Source(tmp_path, "idx", ("0", "1"), {"all": table})
    with pytest.raises(UserError, match="a table names files, and the pictures of this idx are none"):
        table_text({"train": table}, source, tmp_path)


def test_folding_a_validation_side_that_the_data_bring_is_refused(tmp_path: Path) -> None:
    names = [f"{side}/{name}/{row}.png" for side in ("train", "val") for name in "ab" for row in range(3)]
    source = make_pictures(tmp_path, names)
    with pytest.raises(UserError, match="bring their own validation side"):
        divided(source, folds=2)


def test_a_name_that_a_table_cannot_hold_is_said_so(tmp_path: Path) -> None:
    source = make_pictures(tmp_path, ["a/1\\2.png", "b/1.png"])
    tables, _ = split_tables(source, validation=0, test=0, group="", test_last=0, folds=0)
    with pytest.raises(UserError, match="a table cannot hold this name"):
        table_text(tables[0], source, tmp_path)
