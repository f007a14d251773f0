"""Runs that are killed, interrupted, starved of disk or spoilt: what is left goes on bitwise."""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from simplecell.cli import main
from simplecell.commands.train import carry_on, new_run, task_of
from simplecell.learn import checkpoints
from simplecell.run import Run
from simplecell.tasks.classify import Classify

EXACT = ["--epochs", "4", "--batch-size", "8", "--threads", "1", "--device", "cpu", "--precision", "float32"]
#: Everything that a checkpoint can hold: two moments a weight, an average of the weights, the best so far.
HOW = [*EXACT, "--optimiser", "adamw", "--ema", "0.9", "--patience", "9"]
ALWAYS, NEVER = ["--checkpoint-every", "0"], ["--checkpoint-every", "3600"]
PAGE = 4096  # bytes; what a file of any size takes on a small disk is a multiple
#: Seconds after which a process that should have got somewhere is given up.
PATIENCE = 240.0


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def started(folder: Path, *words: object, script: str = "") -> subprocess.Popen[bytes]:
    """simplecell in its own process, which speaks into ``folder/said``; script: Python that runs before."""
    begin = ["-c", f"{script}\nfrom simplecell.cli import main\nmain()"] if script else ["-m", "simplecell"]
    with open(folder / "said", "wb") as said:
        return subprocess.Popen([sys.executable, *begin, *map(str, words)], stdout=said, stderr=said)


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    """Wait for a condition; False where the process ended before."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < end, "the process got nowhere"
        time.sleep(0.001)
    return True


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(PATIENCE)


def status_of(*words: object) -> int:
    """The exit status of a command in this process."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


def lines(run: Path) -> int:
    """Lines in the run's journal."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def grew(run: Path, before: int) -> bool:
    """Whether the journal has more lines than before: a step was done."""
    return lines(run) > before


def temporaries(run: Path) -> list[str]:
    return sorted(p.name for p in run.rglob("*.tmp"))


def in_writing(run: Path) -> bool:
    """Whether a checkpoint is being written at this moment."""
    return any(name.startswith(".last") for name in temporaries(run))


@dataclass(frozen=True)
class Whole:
    """An unbroken run: its folder, and the seconds from its first step to its end."""

    path: Path
    seconds: float

    def is_what_became_of(self, run: Path) -> bool:
        names = ("model.safetensors", "metrics.jsonl")
        return all(sha256(run / name) == sha256(self.path / name) for name in names)


@pytest.fixture(scope="module")
def bars() -> Path:
    return Path(Classify.tiny().data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, bars: Path) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    process = started(folder, "train", "classify", bars, *HOW, *ALWAYS, "--out", folder / "run")
    until(lambda: lines(folder / "run") > 0, process)
    begun = time.monotonic()
    assert ended(process) == 0, (folder / "said").read_text()
    return Whole(folder / "run", time.monotonic() - begun)


# ---- killed


def test_a_run_killed_in_mid_training_goes_on_to_the_same_bytes(
    whole: Whole, bars: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = started(tmp_path, "train", "classify", bars, *HOW, *ALWAYS, "--out", run)
    assert until(lambda: lines(run) > 15, process)
    process.kill()
    assert ended(process) == -signal.SIGKILL
    assert Run(run).state == "stopped"
    assert ended(started(tmp_path, "resume", run)) == 0
    assert whole.is_what_became_of(run)


@pytest.mark.parametrize("moment", ["load", "settle", "build", "stages"])
def test_a_run_killed_before_its_first_step_begins_from_its_settings(
    whole: Whole, bars: Path, tmp_path: Path, moment: str
) -> None:
    run = tmp_path / "run"
    script = (
        "import os, signal\nfrom simplecell.tasks.classify import Classify\n"
        f"Classify.{moment} = lambda *words: os.kill(os.getpid(), signal.SIGKILL)"
    )
    words = ["train", "classify", bars, *HOW, *ALWAYS, "--out", run]
    assert ended(started(tmp_path, *words, script=script)) == -signal.SIGKILL
    assert Run(run).state == "begun"
    assert status_of("resume", run) == 0
    assert whole.is_what_became_of(run)


KILLED_IN_WRITING = """
import os, signal
from simplecell import artefact
from simplecell.learn import checkpoints

left = {left}

def write(path, data):
    global left
    left -= 1
    temporary = path.with_name(f".{{path.name}}.00000000.tmp")
    with open(temporary, "wb") as file:
        file.write(data if left else data[: int({share} * len(data))])
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    os.replace(temporary, path)

{module}.write_atomically = write
"""


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("module", "number", "step"), [("checkpoints", 21, 20), ("artefact", 1, 0)])
def test_a_run_killed_while_it_writes_goes_on_to_the_same_bytes(
    whole: Whole, bars: Path, tmp_path: Path, share: float, module: str, number: int, step: int
) -> None:
    """Killed when a share of the checkpoint, or of the artefact, stands under its other name."""
    run = tmp_path / "run"
    script = KILLED_IN_WRITING.format(left=number, share=share, module=module)
    words = ["train", "classify", bars, *HOW, *ALWAYS, "--out", run]
    assert ended(started(tmp_path, *words, script=script)) == -signal.SIGKILL
    assert checkpoints.load(Run(run).checkpoint).step == step
    assert len(temporaries(run)) == 1
    assert status_of("resume", run) == 0
    assert whole.is_what_became_of(run)
    assert temporaries(run) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(30))
def test_a_run_killed_at_any_moment_ends_in_the_bytes_of_the_unbroken_one(
    whole: Whole, bars: Path, tmp_path: Path, number: int
) -> None:
    """One to three kills a run: by the clock from its start or first step, or in writing a checkpoint."""
    drawn = random.Random(number)
    planned, sighted, from_start = 1 + number % 3, number % 3 == 2, number % 5 == 0
    landed: list[str] = []
    for attempt in range(5):
        run = tmp_path / f"run{attempt}"
        train = ["train", "classify", bars, *HOW, *ALWAYS, "--out", run]
        for _ in range(planned):
            if Run(run).finished:
                break
            before = lines(run)
            process = started(tmp_path, *(["resume", run] if (run / "settings.toml").exists() else train))
            if not from_start:
                until(partial(grew, run, before), process)
            time.sleep(drawn.uniform(0, whole.seconds * (2 if from_start else 1) / planned))
            if sighted:
                until(partial(in_writing, run), process)
            process.kill()
            if ended(process) == -signal.SIGKILL:
                step = checkpoints.load(Run(run).checkpoint).step if run.exists() else 0
                landed.append(f"step {step}" + (" in writing" if temporaries(run) else ""))
        if landed:
            break
    assert landed
    print(f"run {number}: killed at {', '.join(landed)}")
    if not (run / "settings.toml").exists():  # killed before it had a folder
        assert ended(started(tmp_path, *train)) == 0
    assert ended(started(tmp_path, "resume", run)) == 0
    assert whole.is_what_became_of(run)
    assert temporaries(run) == []


# ---- interrupted


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(whole: Whole, bars: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = started(tmp_path, "train", "classify", bars, *HOW, *NEVER, "--out", run)
    assert until(lambda: lines(run) > 5, process)
    process.send_signal(signal.SIGINT)
    assert ended(process) == 1
    said = (tmp_path / "said").read_text()
    assert "stopping after this step" in said
    assert f"simplecell resume {run}" in said
    assert "Traceback" not in said
    assert Run(run).state == "stopped"
    assert status_of("resume", run) == 0
    assert whole.is_what_became_of(run)


NET_THAT_DWELLS = """
import time
from pathlib import Path
from torch import nn

HERE = Path(__file__).parent

class Net(nn.Sequential):
    def forward(self, picture):
        if self.training and not (HERE / "dwelt").exists():
            (HERE / "dwelt").touch()
            time.sleep(600)
        return super().forward(picture)

def build(channels, classes, height, width):
    return Net(nn.Flatten(), nn.Linear(channels * height * width, classes))
"""


def test_ctrl_c_twice_stops_in_mid_step(bars: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET_THAT_DWELLS)
    run, said = tmp_path / "run", tmp_path / "said"
    words = ["train", "classify", bars, *HOW, *NEVER, "--net", f"{tmp_path / 'net.py'}:build"]
    process = started(tmp_path, *words, "--out", run)
    assert until(lambda: (tmp_path / "dwelt").exists(), process)
    process.send_signal(signal.SIGINT)
    assert until(lambda: "again to stop at once" in said.read_text(), process)
    process.send_signal(signal.SIGINT)
    assert ended(process) == 1
    assert said.read_text().splitlines()[-1] == "stopped."
    assert Run(run).state == "begun"
    assert status_of("resume", run) == 0


# ---- data that changed meanwhile


def stopped_run(bars: Path, folder: Path) -> Run:
    """A run with one step done on a copy of the data, in ``folder/data``."""
    shutil.copytree(bars, folder / "data")
    tiny = Classify.tiny()
    task = Classify(str(folder / "data"), training=tiny.training, machine=tiny.machine)
    run = new_run(task, folder / "run")
    assert not carry_on(run, quiet=True, stop=lambda: True)
    return run


def removed(data: Path) -> None:
    (data / "flat" / "07.png").unlink()


def added(data: Path) -> None:
    shutil.copy(data / "flat" / "07.png", data / "flat" / "99.png")


def another_class(data: Path) -> None:
    (data / "flat").rename(data / "level")


def repainted(path: Path) -> None:
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)


@pytest.mark.parametrize("change", [removed, added, another_class])
def test_a_run_is_not_resumed_on_other_data(
    bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None]
) -> None:
    run = stopped_run(bars, tmp_path)
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    change(tmp_path / "data")
    assert status_of("resume", run.path) == 2
    assert "the data are not those that this run began with" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}


@pytest.mark.parametrize("side", ["train", "validation", "test"])
def test_one_repainted_picture_on_any_side_makes_other_data(
    bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], side: str
) -> None:
    run = stopped_run(bars, tmp_path)
    task, _ = task_of(run)
    repainted(tmp_path / "data" / task.load()[side].ids[0])
    assert status_of("resume", run.path) == 2
    assert "the data are not those that this run began with" in capsys.readouterr().err


# ---- losses that are not numbers, disks that are full


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(
    bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "run")
    how = [*EXACT, *ALWAYS, "--optimiser", "sgd", "--learning-rate", "1e30"]
    assert status_of("train", "classify", bars, *how, "--out", run.path) == 2
    said = capsys.readouterr().err
    assert "not finite" in said
    assert "--learning-rate" in said
    assert "Traceback" not in said
    assert not run.finished
    assert run.state == "stopped"
    assert "the last good checkpoint is kept" in said
    kept = checkpoints.load(run.checkpoint)
    assert kept.step >= 1
    assert all(torch.isfinite(t).all() for t in kept.groups["net"].values())


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(
    whole: Whole, bars: Path, disk: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    in_stage = _checkpoint_bytes(whole, bars)
    # Room for one checkpoint and for half of the next one beside it.
    folder = disk(size=int(1.5 * in_stage))
    run = Run(folder / "run")
    assert status_of("train", "classify", bars, *HOW, *ALWAYS, "--out", run.path) == 2
    said = capsys.readouterr().err
    assert f"{run.checkpoint}: No space left on device" in said
    assert "Traceback" not in said
    assert checkpoints.load(run.checkpoint).step >= 1
    assert temporaries(run.path) == []
    assert run.state == "stopped"
    disk.resize(folder, 20 * in_stage)
    assert status_of("resume", run.path) == 0
    assert whole.is_what_became_of(run.path)


def _checkpoint_bytes(whole: Whole, bars: Path) -> int:
    """The size of a checkpoint within the stage: weights, two moments, the average, the best."""
    weights = (whole.path / "checkpoints" / "last.safetensors").stat().st_size
    return 4 * weights


def test_a_full_disk_at_the_journal_is_named_too(
    whole: Whole,
    bars: Path,
    disk: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simplecell.learn.journal.installed", lambda: False)  # its file would fill the disk
    folder = disk(size=5 * PAGE)  # settings, data, environment, and less than the journal takes
    run = Run(folder / "run")
    assert status_of("train", "classify", bars, *HOW, *NEVER, "--out", run.path) == 2
    said = capsys.readouterr().err
    assert f"{run.path / 'metrics.jsonl'}: No space left on device" in said
    assert "Traceback" not in said
    disk.resize(folder, 64 << 20)
    assert status_of("resume", run.path) == 0
    assert whole.is_what_became_of(run.path)


def test_what_a_killed_process_locked_is_free_again(bars: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET_THAT_DWELLS)
    run = tmp_path / "run"
    words = ["train", "classify", bars, *HOW, *NEVER, "--net", f"{tmp_path / 'net.py'}:build"]
    process = started(tmp_path, *words, "--out", run)
    assert until(lambda: (tmp_path / "dwelt").exists(), process)
    assert Run(run).state == "running"
    assert status_of("resume", run) == 2
    process.kill()
    ended(process)
    assert Run(run).state == "begun"
    assert status_of("resume", run) == 0
