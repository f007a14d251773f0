"""Data as people have them, from the command line: recognised without a flag, and the same net from each."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simplecell import artefact
from simplecell import settings as typed
from simplecell.cli import main
from simplecell.commands.train import run_training
from simplecell.data.painted import bars
from simplecell.run import Run
from simplecell.tasks.classify import Classify

QUICK = ["--epochs", "2", "--batch-size", "16", "--threads", "1", "--device", "cpu", "--precision", "float32"]
# What is chosen by the classes' names and by the channels is not what these tests compare.
QUICK += ["--augment", "none", "--channels", "1", "--validation", "0"]
CLASSES = ("cross", "flat", "upright")
SIDES = {"train": range(32), "test": range(32, 48)}


def picture(name: str, number: int) -> Path:
    return Path(bars()) / name / f"{number:02}.png"


def pixels(name: str, number: int) -> NDArray[np.uint8]:
    with Image.open(picture(name, number)) as opened:
        return np.asarray(opened)


def rows(side: str) -> list[tuple[str, int]]:
    """The pictures of a side, in the order in which class folders are read."""
    return [(name, number) for name in CLASSES for number in SIDES[side]]


# ---- each format, made of the same pictures with the same sides


def folder(place: Path) -> Path:
    for side in SIDES:
        for name, number in rows(side):
            target = place / side / name / f"{number:02}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture(name, number), target)
    return place


def table(place: Path, delimiter: str, suffix: str) -> Path:
    folder(place / "pictures")
    lines = [delimiter.join(("path", "label", "split"))]
    lines += [
        delimiter.join((f"pictures/{side}/{name}/{number:02}.png", name, side))
        for side in SIDES
        for name, number in rows(side)
    ]
    path = place / f"bars{suffix}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def csv(place: Path) -> Path:
    return table(place, ",", ".csv")


def tsv(place: Path) -> Path:
    return table(place, "\t", ".tsv")


def idx(place: Path, packed: bool = False) -> Path:
    place.mkdir()
    for side, prefix in (("train", "train"), ("test", "t10k")):
        images = np.stack([pixels(*row) for row in rows(side)])
        labels = np.array([CLASSES.index(name) for name, _ in rows(side)], dtype=np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            content = header + array.tobytes()
            name = f"{prefix}-{kind}-ubyte"
            if packed:
                (place / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (place / name).write_bytes(content)
    return place


def idx_gz(place: Path) -> Path:
    return idx(place, packed=True)


def tar(place: Path, mode: str = "w", suffix: str = ".tar") -> Path:
    inside = folder(place / "unpacked")
    path = place / f"bars{suffix}"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for file in sorted(inside.rglob("*.png")):
            archive.add(file, file.relative_to(inside).as_posix())
    shutil.rmtree(inside)
    return path


def tar_gz(place: Path) -> Path:
    return tar(place, "w:gz", ".tar.gz")


def shards(place: Path) -> Path:
    place.mkdir()
    for side in SIDES:
        halves = np.array_split(np.arange(len(rows(side))), 2)
        for shard, chosen in enumerate(halves):
            with tarfile.open(place / f"{side}-{shard:03}.tar", "w") as archive:
                for row in chosen.tolist():
                    name, number = rows(side)[row]
                    _add(archive, f"{row:04}.png", picture(name, number).read_bytes())
                    _add(archive, f"{row:04}.cls", name.encode())
    return place


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    archive.addfile(about, io.BytesIO(content))


def cifar(place: Path) -> Path:
    """CIFAR's records hold 32 × 32 pixels in colour: the bars with a black rim, in equal planes."""
    place.mkdir()
    (place / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n")
    for side, file in (("train", "data_batch_1.bin"), ("test", "test_batch.bin")):
        records = [
            bytes([CLASSES.index(name)]) + 3 * np.pad(pixels(name, number), 2).tobytes()
            for name, number in rows(side)
        ]
        (place / file).write_bytes(b"".join(records))
    return place


MAKERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "folder": (folder, "folder"),
    "csv": (csv, "table"),
    "tsv": (tsv, "table"),
    "idx": (idx, "idx"),
    "idx.gz": (idx_gz, "idx"),
    "tar": (tar, "archive"),
    "tar.gz": (tar_gz, "archive"),
    "shards": (shards, "shards"),
}


def say(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def train(capsys: pytest.CaptureFixture[str], data: Path, out: Path, *words: object) -> dict[str, Any]:
    """Train, and give the figures; what ``evaluate`` says of the run must be the same."""
    status, told, complaint = say(capsys, "train", "classify", data, *QUICK, "-o", out, "--json", *words)
    assert status == 0, complaint
    document: dict[str, Any] = json.loads(told)
    figures = {name: figure for name, figure in document.items() if isinstance(figure, dict)}
    status, told, complaint = say(capsys, "evaluate", out, "--json")
    assert status == 0, complaint
    assert json.loads(told) == figures
    return figures


@pytest.fixture(scope="module")
def folder_figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a net of the folder with sides comes to."""
    place = tmp_path_factory.mktemp("reference")
    run = run_training(task(folder(place / "data")), place / "run")
    return dict(artefact.read_header(run.artefact).figures)


def task(data: Path) -> Classify:
    """What QUICK says, from Python."""
    flags = dict(zip([word[2:].replace("-", "_") for word in QUICK[::2]], QUICK[1::2], strict=True))
    numbers = {name: json.loads(value) for name, value in flags.items() if value[0].isdigit()}
    return typed.replace(Classify(), {**flags, **numbers, "data": str(data)})


@pytest.mark.parametrize("name", MAKERS)
def test_a_format_is_recognised_and_gives_the_figures_that_its_pictures_give(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], folder_figures: dict[str, Any]
) -> None:
    make, expected = MAKERS[name]
    data = make(tmp_path / "data")
    figures = train(capsys, data, tmp_path / "run")
    assert figures == folder_figures
    facts = Run(tmp_path / "run").read("data.json")
    assert facts["format"] == expected
    assert facts["pictures"] == {"train": 96, "validation": 0, "test": 48}
    # Of data with a test side, that side is what a net is asked about.
    status, told, complaint = say(capsys, "evaluate", tmp_path / "run", data, "--json")
    assert status == 0, complaint
    assert json.loads(told) == figures


def test_shards_are_named_by_a_pattern_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder_figures: dict[str, Any]
) -> None:
    pattern = shards(tmp_path / "data") / "{train,test}-{000..001}.tar"
    assert train(capsys, pattern, tmp_path / "run") == folder_figures


def test_cifar_is_recognised_and_equals_a_folder_of_its_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = train(capsys, cifar(tmp_path / "data"), tmp_path / "run")
    assert Run(tmp_path / "run").read("data.json")["format"] == "cifar"
    padded = folder(tmp_path / "padded")
    for file in padded.rglob("*.png"):
        with Image.open(file) as opened:
            grey = np.pad(np.asarray(opened), 2)
        Image.fromarray(grey).convert("RGB").save(file)
    assert train(capsys, padded, tmp_path / "second") == figures


def test_data_without_sides_are_divided_alike_in_folder_table_and_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(bars(), plain)
    figures = train(capsys, plain, tmp_path / "run")
    assert Run(tmp_path / "run").read("data.json")["pictures"]["test"] > 0
    lines = ["file;class", *(f"plain/{name}/{n:02}.png;{name}" for name in CLASSES for n in range(48))]
    (tmp_path / "bars.csv").write_text("\n".join(lines) + "\n")
    with tarfile.open(tmp_path / "bars.tgz", "w:gz") as archive:
        archive.add(plain, "bars")
    for name in ("bars.csv", "bars.tgz"):
        assert train(capsys, tmp_path / name, tmp_path / f"run of {name}") == figures


# ---- --format overrules


def test_format_makes_a_table_of_a_file_with_another_suffix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder_figures: dict[str, Any]
) -> None:
    listing = csv(tmp_path / "data").rename(tmp_path / "data" / "listing.txt")
    status, _, complaint = say(capsys, "train", "classify", listing, *QUICK, "-o", tmp_path / "run")
    assert status == 2
    assert "not a kind of data set that is known" in complaint
    assert "--format" in complaint
    assert train(capsys, listing, tmp_path / "second", "--format", "csv") == folder_figures


def test_format_reads_the_labels_beside_pictures_where_folders_would_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.tar"
    with tarfile.open(path, "w") as archive:
        for name, number in rows("train"):
            label = "crossed" if name == "cross" else "single"
            _add(archive, f"{name}/{number:02}.png", picture(name, number).read_bytes())
            _add(archive, f"{name}/{number:02}.txt", label.encode())
    train(capsys, path, tmp_path / "folders")
    train(capsys, path, tmp_path / "labels", "--format", "webdataset")
    assert Run(tmp_path / "folders").read("data.json")["meaning"]["classes"] == list(CLASSES)
    assert Run(tmp_path / "labels").read("data.json")["meaning"]["classes"] == ["crossed", "single"]
    assert Run(tmp_path / "labels").read("data.json")["format"] == "shards"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("idx", "there are no idx files in it"),
        ("cifar", "there are no CIFAR batches in it"),
        ("table", "a table is a file, this is a folder"),
        ("archive", "an archive is a file, this is a folder"),
        ("shards", "there are no shards (.tar) in it"),
        ("foldr", "did you mean folder"),
    ],
)
def test_a_format_that_the_data_are_not_gets_a_sentence(
    name: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "classify", bars(), *QUICK, "--format", name, "-o", tmp_path / "run"]
    status, told, complaint = say(capsys, *words)
    assert status == 2
    assert told == ""
    assert expected in " ".join(complaint.split())
    assert not (tmp_path / "run" / "data.json").exists()
