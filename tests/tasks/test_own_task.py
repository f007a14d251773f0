"""A task of one's own in one file, the one that CONTRIBUTING explains: under contract, and as a command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from contract import TaskContract

from simplecell.cli import main
from simplecell.commands.train import carry_on, new_run, task_of
from simplecell.data import cache
from simplecell.learn.settings import Machine, Training
from simplecell.run import Run
from simplecell.tasks.task import load_task

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "examples" / "estimate.py"
Estimate: Any = load_task(f"{FILE}:Estimate")

QUICK = ["--size", "32", "--epochs", "8", "--batch-size", "16", "--threads", "1", "--device", "cpu"]
QUICK += ["--precision", "float32"]


def blobs(count: int, seed: int) -> Any:
    """A dark picture, uint8 32 × 32 × 3, with so many bright discs, which do not touch."""
    numbers = np.random.Generator(np.random.PCG64(seed))
    picture = numbers.normal(40, 10, (32, 32, 3))
    rows, columns = np.mgrid[:32, :32]
    for place in numbers.permutation(9)[:count]:
        row, column = 5 + 11 * (place // 3), 5 + 11 * (place % 3)
        picture[(rows - row) ** 2 + (columns - column) ** 2 <= 9] += 150
    return np.clip(picture, 0, 255).astype(np.uint8)


def paint(folder: Path, each: int) -> Path:
    """Pictures of 0 to 9 blobs, so many of each, and the table that tells how many."""
    folder.mkdir(parents=True)
    lines = ["path,number"]
    for k in range(10 * each):
        Image.fromarray(blobs(k % 10, k)).save(folder / f"{k:03}.png")
        lines.append(f"{k:03}.png,{k % 10}")
    table = folder / "counts.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def tiny() -> Any:
    """Two seconds of counting."""
    folder = cache.folder() / "painted" / "blobs"
    table = folder / "counts.csv" if folder.is_dir() else paint(folder, 14)
    training = Training(epochs=4.0, batch_size=16)
    machine = Machine(threads=1, device="cpu", precision="float32")
    return Estimate(data=str(table), size=32, training=training, machine=machine)


Estimate.tiny = staticmethod(tiny)


class TestEstimate(TaskContract):
    task = Estimate

    def inputs(self) -> list[tuple[str, Any]]:
        return [(f"{count} blobs", blobs(count, 1000 + count)) for count in range(0, 10, 3)]


# ---- from the command line, in another folder


class Told:
    """What a command printed, and its status."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has neither the file nor the data, with a run that a process of its own has finished."""
    folder = tmp_path_factory.mktemp("elsewhere")
    paint(folder / "data" / "blobs", 14)
    words = ["train", f"{FILE}:Estimate", "data/blobs/counts.csv", *QUICK, "-o", "run", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "simplecell", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in a folder."""

    def run(folder: Path, *words: object) -> Told:
        monkeypatch.chdir(folder)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return Told(int(ended.value.code or 0), printed.out, printed.err)

    return run


def test_its_help_has_its_own_settings_and_loads_nothing_heavy(tmp_path: Path) -> None:
    check = (
        "import sys\nfrom simplecell.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, "train", f"{FILE}:Estimate", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(flag in done.stdout for flag in ("--size", "--skip-broken", "--batch-size", "--seed"))
    assert "Train a net to tell a number" in done.stdout


def test_it_learns_to_count(say: Any, elsewhere: Path) -> None:
    told = say(elsewhere, "evaluate", "run", "--json")
    figures = json.loads(told.out)
    # Always saying 4.5 for numbers from 0 to 9 is wrong by 2.5 on average.
    assert figures["MAE"]["high"] < 2.0
    assert figures["RMSE"]["value"] >= figures["MAE"]["value"]


def test_it_evaluates_on_other_data(say: Any, elsewhere: Path) -> None:
    told = say(elsewhere, "evaluate", "run", "data/blobs/counts.csv", "--json")
    assert told.status == 0, told.err
    assert json.loads(told.out)["MAE"]["value"] < 2.0


def test_it_predicts_with_options_of_its_own(say: Any, elsewhere: Path) -> None:
    told = say(
        elsewhere, "predict", "run", "data/blobs/009.png", "data/blobs/000.png", "--decimals", "1", "--json"
    )
    assert told.status == 0, told.err
    nine, none = map(json.loads, told.out.splitlines())
    assert list(nine) == ["path", "number"]
    assert nine["number"] > none["number"]
    assert nine["number"] == round(nine["number"], 1)
    assert "--decimals" in say(elsewhere, "predict", "run", "--help").out
    shown = say(elsewhere, "predict", "run", "data/blobs/009.png").out
    assert "number" in shown
    assert "009.png" in shown


def test_its_model_alone_answers_beside_its_file(say: Any, elsewhere: Path, tmp_path: Path) -> None:
    model, picture = elsewhere / "run" / "model.safetensors", elsewhere / "data" / "blobs" / "009.png"
    beside = say(FILE.parent, "predict", model, picture, "--json")
    assert beside.status == 0, beside.err
    assert (
        beside.out.split(" ", 2)[-1]
        == say(elsewhere, "predict", "run", picture, "--json").out.split(" ", 2)[-1]
    )
    told = say(tmp_path, "predict", model, picture, "--json")
    assert told.status == 2
    assert "estimate.py: there is no such file" in told.err


def test_a_stopped_run_is_resumed_to_the_same_bytes_and_repeated(
    say: Any, elsewhere: Path, tmp_path: Path
) -> None:
    whole = Run(elsewhere / "run")
    asked, _ = task_of(whole)
    cut = new_run(asked, elsewhere / "cut")
    left = iter(range(10))
    assert not carry_on(cut, quiet=True, stop=lambda: next(left) == 7)
    told = say(tmp_path, "resume", cut.path, "--json")
    assert told.status == 0, told.err
    assert cut.artefact.read_bytes() == whole.artefact.read_bytes()
    told = say(tmp_path, "repeat", whole.path, "--out", tmp_path / "again", "--json")
    assert told.status == 0, told.err
    assert Run(tmp_path / "again").artefact.read_bytes() == whole.artefact.read_bytes()


def test_a_label_that_is_no_number_is_told_in_one_sentence(say: Any, tmp_path: Path) -> None:
    table = paint(tmp_path / "blobs", 1)
    table.write_text(table.read_text().replace("005.png,5", "005.png,five"))
    told = say(tmp_path, "train", f"{FILE}:Estimate", table, *QUICK, "-o", "run")
    assert told.status == 2
    assert "counts.csv: a label is no number" in told.err
    assert "'five'" in told.err
    table.write_text(table.read_text().replace("005.png,five", "005.png,nan"))
    told = say(tmp_path, "train", f"{FILE}:Estimate", table, *QUICK, "-o", "run2")
    assert told.status == 2
    assert "counts.csv: a label is not finite" in told.err
    assert "Traceback" not in told.err


def test_a_class_that_is_no_task_is_told_what_it_lacks(say: Any, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("WORD = 'one'\n")
    (tmp_path / "mine.py").write_text(
        "from beside import WORD\n\nclass Mine:\n    headline = (WORD, 'max')\n"
    )
    told = say(tmp_path, "train", "mine.py:Mine", "x")
    assert told.status == 2
    assert "Mine lacks load, build" in told.err
    assert "headline" not in told.err
    told = say(tmp_path, "train", "mine.py:Yours", "x")
    assert "it has no task named Yours" in told.err


# ---- what is written about it


def test_contributing_shows_the_file_as_it_is() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = FILE.read_text(encoding="utf-8")
    pieces = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(pieces) >= 4
    for piece in pieces:
        assert piece.rstrip("\n") in code, piece


def test_the_file_can_be_read_in_one_sitting() -> None:
    assert len(FILE.read_text(encoding="utf-8").splitlines()) <= 170
