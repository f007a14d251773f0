"""``data get``, ``data check`` and ``data split`` as a person meets them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simplecell.commands import check_page, data
from simplecell.data import known
from simplecell.data.known import Known, Remote
from simplecell.data.sources import read_source
from simplecell.errors import UserError


def scene(seed: int, size: tuple[int, int] = (60, 80)) -> Image.Image:
    """A picture of large shapes, so that a thumbnail tells it from others, with a little noise."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return coarse.resize(size[::-1], Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """20 + 20 training and 3 + 3 test pictures, sound."""
    folder = tmp_path / "photos"
    for number, name in enumerate(
        f"{side}/{label}/{row}.jpg"
        for side, count in (("train", 20), ("test", 3))
        for label in ("cat", "dog")
        for row in range(count)
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        scene(number).save(folder / name, quality=92)
    return folder


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """The JSON document on stdout; nothing may be on stderr beside it."""
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


# get -----------------------------------------------------------------------------------------------------


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Known:
    """A known data set "toy" whose archive is downloaded already: no network is needed."""
    monkeypatch.chdir(tmp_path)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in ("toy/cat/1.png", "toy/dog/1.png"):
            picture = io.BytesIO()
            scene(len(name)).save(picture, "PNG")
            info = tarfile.TarInfo(name)
            info.size = len(picture.getvalue())
            archive.addfile(info, io.BytesIO(picture.getvalue()))
    packed = content.getvalue()
    checksum = "sha256:" + hashlib.sha256(packed).hexdigest()
    remote = Remote("toy.tgz", ("http://127.0.0.1:1/toy.tgz",), len(packed), checksum)
    made = Known("toy", "a cat and a dog", "CC0", "http://127.0.0.1:1/", (remote,), "toy", note="tiny")
    monkeypatch.setattr(known, "KNOWN", {"toy": made})
    (tmp_path / "toy.download").mkdir()
    (tmp_path / "toy.download" / "toy.tgz").write_bytes(packed)
    return made


def test_without_a_name_the_known_sets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert data.get() == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert all(name in err for name in known.KNOWN)
    data.get(json=True)
    assert [entry["name"] for entry in told(capsys)] == list(known.KNOWN)


def test_what_is_got_can_be_read_and_says_how_to_train(
    toy: Known, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data.get("toy") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "simplecell train classify toy" in err
    assert "CC0" in err
    assert read_source(Path("toy")).classes == ("cat", "dog")
    data.get("toy", json=True)
    assert told(capsys)["path"] == "toy"


def test_without_a_network_nothing_is_left_behind(toy: Known, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be reached"):
        data.get("toy", out=tmp_path / "new" / "toy")
    assert list((tmp_path / "new").iterdir()) == []


# check ---------------------------------------------------------------------------------------------------


def test_sound_data_pass_even_strictly(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.check(photos, strict=True) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "Pixels: 60 high, 80 wide; 46 colour." in err
    assert "Nothing is wrong with these data." in err


@pytest.fixture
def faulty(photos: Path) -> Path:
    """The sound photos made unsound in every way that ``check`` knows."""
    (photos / "train/cat/3.jpg").write_bytes((photos / "train/cat/3.jpg").read_bytes()[:400])
    (photos / "train/dog/notes.txt").write_text("no picture")
    (photos / "train/dog/4.jpg").write_bytes(b"no picture")
    (photos / "test/cat/1.jpg").write_bytes((photos / "train/cat/1.jpg").read_bytes())  # a leak, equal
    with Image.open(photos / "train/dog/2.jpg") as picture:  # a leak, nearly equal
        picture.resize((76, 57)).save(photos / "test/dog/2.jpg", quality=60)
    (photos / "train/dog/6.jpg").write_bytes((photos / "train/cat/6.jpg").read_bytes())  # two labels
    (photos / "train/emu").mkdir()
    scene(1000, (20, 30)).convert("L").save(photos / "train/emu/1.png")
    return photos


def test_all_that_is_wrong_is_found_and_named(faulty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.check(faulty, json=True) == 0
    found = told(capsys)
    assert not found["sound"]
    assert {item["picture"]["id"] for item in found["broken"]} == {"train/cat/3.jpg", "train/dog/4.jpg"}
    assert all(item["picture"]["id"] in item["fault"] for item in found["broken"])
    pairs = {(item["kind"], item["first"]["id"], item["second"]["id"]) for item in found["repeats"]}
    assert pairs == {
        ("equal", "train/cat/1.jpg", "test/cat/1.jpg"),
        ("near", "train/dog/2.jpg", "test/dog/2.jpg"),
        ("equal", "train/cat/6.jpg", "train/dog/6.jpg"),
    }
    assert found["counts"]["emu"] == {"train": 1, "test": 0}
    assert found["channels"] == {"1": 1, "3": 44}
    verdicts = [(item["grade"], item["sentence"]) for item in found["verdicts"]]
    for grade, words in [
        ("fault", "2 of 47 pictures cannot be read"),
        ("fault", "Different labels for one picture: 1 equal pair"),
        ("warning", "Pictures on two sides, where they flatter the figures: 1 equal and 1 nearly equal"),
        ("warning", "Class 'emu' has no picture in test"),
        ("warning", "Class 'emu' has fewer than 20 pictures"),
        ("warning", "20.0 times the 1 of 'emu'"),
        ("note", "Grey and colour are mixed, 1 and 44 pictures"),
        ("note", read_source(faulty).notes[0]),
    ]:
        assert any(grade == given and words in sentence for given, sentence in verdicts), words


def test_the_text_names_every_broken_file_and_strict_sets_the_status(
    faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data.check(faulty, strict=True) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "train/cat/3.jpg" in err
    assert "train/dog/4.jpg" in err
    assert "fault: " in err


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text = ""
        self.alternatives: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if name == "alt":
                self.alternatives.append(value or "")

    def handle_data(self, text: str) -> None:
        self.text += text


def test_the_page_stands_alone_and_shows_what_was_found(faulty: Path, tmp_path: Path) -> None:
    data.check(faulty, page=tmp_path / "check.html")
    text = (tmp_path / "check.html").read_text(encoding="utf-8")
    page = Page(text)
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert not re.search(r"url\(|@import|<script", text)
    # Three pairs, and a sheet for each of the three classes: 8 + 8 + 1.
    assert len(page.addresses) == 2 * 3 + 8 + 8 + 1
    assert all(page.alternatives)
    for words in ("Broken (2)", "Equal, labels differ", "Nearly equal, two sides", "train/dog/4.jpg", "emu"):
        assert words in page.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["check.html", "photos"]


def test_names_on_the_page_are_text_and_not_markup(photos: Path, tmp_path: Path) -> None:
    os.rename(photos / "train/cat", photos / "train/<b onclick=x>&")
    data.check(photos, page=tmp_path / "check.html")
    text = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert "<b onclick" not in text
    assert "&lt;b onclick=x&gt;&amp;" in text


def test_the_page_keeps_to_its_budget_and_says_what_it_leaves_out(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_page, "BUDGET", 2_000)
    data.check(photos, page=tmp_path / "check.html")
    text = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert len(text) < 20_000
    assert "1 more classes are not shown" in text


def test_a_page_that_cannot_be_written_is_one_sentence(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the page cannot be written"):
        data.check(photos, page=tmp_path / "no such folder" / "check.html")


def test_real_photographs_are_sound_and_real_signs_have_their_known_gaps(
    shared: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data.check(shared("dogs-vs-cats") / "dogs-vs-cats.tar", json=True)
    found = told(capsys)
    assert found["counts"] == {name: {"test": 130, "train": 350} for name in ("cats", "dogs")}
    assert found["broken"] == []
    data.check(shared("belgium-traffic-signs") / "belgium-traffic-signs.tar", json=True)
    found = told(capsys)
    assert len(found["counts"]) == 62
    assert sum(counts["test"] == 0 for counts in found["counts"].values()) == 9
    assert any(sentence["sentence"].startswith("9 classes (") for sentence in found["verdicts"])


# split ---------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(photos: Path) -> Path:
    """Photos without sides."""
    return photos / "train"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_split_is_a_table_beside_the_data_that_trains(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = whole.with_name("train.csv")
    assert data.split(whole) == 0
    assert "simplecell train classify" in capsys.readouterr().err
    found = rows(target)
    assert len(found) == 40
    assert {row["split"] for row in found} == {"train", "validation", "test"}
    assert all((target.parent / row["path"]).is_file() for row in found)
    assert {side: len(table) for side, table in read_source(target).tables.items()} == {
        "train": 30,
        "validation": 4,
        "test": 6,
    }


def test_a_table_that_exists_is_kept_unless_forced(whole: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.csv"
    target.write_text("mine")
    with pytest.raises(UserError, match="this exists already; choose another --out or pass --force"):
        data.split(whole, out=target)
    assert target.read_text() == "mine"
    data.split(whole, out=target, force=True)
    assert len(rows(target)) == 40


def test_folds_are_one_table_each_and_none_is_written_when_one_exists(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cv-fold2.csv").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        data.split(whole, out=tmp_path / "cv.csv", folds=3)
    assert not (tmp_path / "cv-fold1.csv").exists()
    data.split(whole, out=tmp_path / "cv.csv", folds=3, force=True, json=True)
    answer = told(capsys)
    assert [Path(name).name for name in answer["tables"]] == [f"cv-fold{number}.csv" for number in (1, 2, 3)]
    held_out = [
        row["path"] for name in answer["tables"] for row in rows(Path(name)) if row["split"] == "validation"
    ]
    assert len(held_out) == len(set(held_out)) == 34


def test_the_last_pictures_by_name_can_test(whole: Path, tmp_path: Path) -> None:
    data.split(whole, out=tmp_path / "last.csv", test_last=2)
    tested = {Path(row["path"]).name for row in rows(tmp_path / "last.csv") if row["split"] == "test"}
    assert tested == {"18.jpg", "19.jpg"}


@pytest.mark.parametrize("out", ["split.txt", "no/such/folder/split.csv"])
def test_a_table_needs_a_csv_name_and_a_folder(whole: Path, tmp_path: Path, out: str) -> None:
    with pytest.raises(UserError, match="no place for a table"):
        data.split(whole, out=tmp_path / out)


def test_a_full_disk_is_one_sentence(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        data.split(whole, out=tmp_path / "split.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_the_commands_load_nothing_heavy_before_they_run() -> None:
    heavy = ("torch", "PIL", "numpy", "jinja2")
    code = f"import sys, simplecell.commands.data; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
