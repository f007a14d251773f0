"""What surrounds a training goes away: one sentence, status 2, and the run goes on once all is back."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from simplecell.cli import main
from simplecell.commands import report
from simplecell.data import filling
from simplecell.learn import checkpoints
from simplecell.learn.journal import Journal
from simplecell.run import Run
from simplecell.tasks.classify import Classify

HOW = ["--epochs", "3", "--batch-size", "8", "--threads", "1", "--device", "cpu", "--precision", "float32"]
HOW += ["--augment", "none", "--checkpoint-every", "0", "--optimiser", "sgd", "--learning-rate", "0.01"]
MEBIBYTE = 1 << 20


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The bars of the task's own tiny data, in a folder that may be spoilt."""
    return Path(shutil.copytree(Classify.tiny().data, tmp_path / "data"))


@pytest.fixture
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are read from their files in every epoch."""
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", "0")


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that has to fail as bad input does; gives its sentence."""

    def run(*words: object) -> str:
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        said = capsys.readouterr().err
        assert end.value.code == 2, said
        return sentence(said)

    return run


def sentence(said: str) -> str:
    """The last line that a person reads: the fault, its place, and what to do."""
    last = said.strip().splitlines()[-1]
    print(last)
    assert "Traceback" not in said
    assert "fault of simplecell" not in said
    assert last.endswith(".")
    assert ";" in last
    return last


def done(*words: object) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert not end.value.code


def fill_up(path: Path) -> None:
    """A file that takes all the room of its disk."""
    with suppress(OSError), path.open("wb", 0) as file:
        while True:
            file.write(bytes(4096))


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, event: Callable[[], object]) -> None:
    """Let something happen once, after so many steps of the training."""
    whole = Journal.step

    def stepped(journal: Journal, number: int) -> None:
        whole(journal, number)
        if number == step:
            event()

    monkeypatch.setattr(Journal, "step", stepped)


def bytes_of(run: Path) -> list[str]:
    names = ("model.safetensors", "metrics.jsonl")
    return [hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names]


# ---- data that change under a training


def test_a_data_folder_that_vanishes_in_mid_epoch_is_named_and_the_run_goes_on_when_it_is_back(
    data: Path, tmp_path: Path, uncached: None
) -> None:
    """In a process of its own, as people have it."""
    away, run, whole = tmp_path / "away", tmp_path / "run", tmp_path / "whole"
    done("train", "classify", data, *HOW, "--out", whole)
    script = (
        "import os\nfrom simplecell.learn.journal import Journal\n"
        f"Journal.step = lambda self, n: n == 5 and os.rename({str(data)!r}, {str(away)!r})\n"
        "from simplecell.cli import main\nmain()"
    )
    words = ["train", "classify", data, *HOW, "--out", run]
    process = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2, process.stderr
    assert f"{data}/" in (last := sentence(process.stderr))
    assert "No such file or directory" in last
    assert Run(run).state == "stopped"
    assert checkpoints.load(Run(run).checkpoint).step >= 5
    away.rename(data)
    done("resume", run)
    assert bytes_of(run) == bytes_of(whole)


def shrunk(path: Path) -> None:
    Image.open(path).resize((5, 3)).save(path)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(("change", "crop"), [(emptied, []), (shrunk, []), (shrunk, ["--crop", "0.5"])])
def test_pictures_that_are_replaced_in_mid_epoch_are_named(
    data: Path,
    tmp_path: Path,
    uncached: None,
    told: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    crop: list[str],
) -> None:
    kept = shutil.copytree(data, tmp_path / "kept")

    def spoil() -> None:
        for path in data.rglob("*.png"):
            change(path)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, 5, spoil)
        last = told("train", "classify", data, *HOW, *crop, "--out", run)
    assert ".png: " in last
    assert checkpoints.load(Run(run).checkpoint).step >= 5
    shutil.rmtree(data)
    kept.rename(data)
    done("resume", run)


def test_a_data_folder_that_vanishes_while_the_cache_fills_is_named(
    data: Path, tmp_path: Path, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_cache(tmp_path / "cache", monkeypatch)
    whole = filling.Plan.carry_out

    def vanish(plan: filling.Plan, picture: Any) -> Any:
        if data.exists():
            data.rename(tmp_path / "away")
        return whole(plan, picture)

    monkeypatch.setattr(filling.Plan, "carry_out", vanish)
    last = told("train", "classify", data, *HOW, "--out", tmp_path / "run")
    assert "143 pictures are broken: " in last
    assert "No such file or directory" in last
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "cache").glob("*.part"))


def fresh_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMPLECELL_CACHE", str(folder))
    return folder


# ---- disks that are full or read-only


def test_a_disk_that_fills_up_with_the_cache_is_named_and_leaves_nothing(
    data: Path, tmp_path: Path, disk: Any, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes the room that there was when the cache began."""
    place = disk(MEBIBYTE)
    cache = fresh_cache(place / "cache", monkeypatch)
    whole = filling.Plan.carry_out

    def crowded(plan: filling.Plan, picture: Any) -> Any:
        if not (place / "other").exists():
            fill_up(place / "other")
        return whole(plan, picture)

    with monkeypatch.context() as patch:
        patch.setattr(filling.Plan, "carry_out", crowded)
        last = told("train", "classify", data, *HOW, "--out", tmp_path / "run")
    assert last.startswith(f"{cache}: the disk is full; free some space, set SIMPLECELL_CACHE")
    assert list(cache.iterdir()) == []
    assert not (tmp_path / "run").exists()
    (place / "other").unlink()
    done("train", "classify", data, *HOW, "--out", tmp_path / "run")


def test_a_read_only_cache_is_named_with_the_ways_out(
    data: Path, tmp_path: Path, disk: Any, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = disk(MEBIBYTE)
    disk.protect(place)
    fresh_cache(place / "cache", monkeypatch)
    last = told("train", "classify", data, *HOW, "--out", tmp_path / "run")
    assert f"{place / 'cache'}: the cache of pictures cannot be written (Read-only file system)" in last
    assert "SIMPLECELL_CACHE" in last
    assert not (tmp_path / "run").exists()


def test_a_read_only_folder_for_the_run_is_named(data: Path, disk: Any, told: Callable[..., str]) -> None:
    place = disk(MEBIBYTE)
    disk.protect(place)
    last = told("train", "classify", data, *HOW, "--out", place / "run")
    assert str(place / "run") in last
    assert "Read-only file system" in last


def test_a_disk_that_turns_read_only_in_mid_training_leaves_the_last_checkpoint_whole(
    data: Path, disk: Any, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Linux does with a disk that has errors. Files that are open for writing must be closed first."""
    place = disk(64 * MEBIBYTE)
    run = place / "run"
    with monkeypatch.context() as patch:
        at_step(patch, 4, stop_at_once)
        with pytest.raises(SystemExit):
            main(["train", "classify", str(data), *HOW, "--out", str(run)])
    assert checkpoints.load(Run(run).checkpoint).step >= 3
    disk.protect(place)
    last = told("resume", run)
    assert str(run) in last
    assert "Read-only file system" in last
    assert checkpoints.load(Run(run).checkpoint).step >= 3


def stop_at_once() -> None:
    raise KeyboardInterrupt


def test_a_disk_that_is_full_when_the_report_is_written_is_named_and_the_net_is_there(
    data: Path, disk: Any, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = disk(64 * MEBIBYTE)
    run = place / "run"
    whole = report.write_file

    def crowded(path: Path, content: str) -> Any:
        fill_up(place / "other")
        return whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(report, "write_file", crowded)
        last = told("train", "classify", data, *HOW, "--out", run)
    assert f"{run / 'report.html'}: the page cannot be written (No space left on device)" in last
    assert Run(run).finished
    assert not (run / "report.html").exists()
    assert not list(run.rglob("*.tmp"))
    (place / "other").unlink()
    done("report", run)
    assert (run / "report.html").stat().st_size > 10_000
