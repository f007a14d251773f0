"""The journal: lines that can be taken back, and progress for whoever looks."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import pytest

from simplecell.learn import journal as module
from simplecell.learn.journal import Journal

STEP = {"stage": "learn", "step": 3, "epoch": 0.5, "train": {"net/loss": 0.25}, "rate": {"net": 0.1}}
EPOCH = {"stage": "learn", "step": 6, "epoch": 1.0, "validation": {"accuracy": 0.75}}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Time that goes on only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


# ---- the record


def test_a_line_is_on_the_disk_as_soon_as_it_is_written(path: Path) -> None:
    with Journal(path, quiet=True) as journal:
        journal.record(STEP)
        assert json.loads(path.read_text()) == STEP
        journal.record(EPOCH)
        assert [json.loads(line) for line in path.read_text().splitlines()] == [STEP, EPOCH]


def test_equal_lines_are_equal_bytes_whatever_their_order(path: Path) -> None:
    with Journal(path, quiet=True) as journal:
        journal.record(STEP)
        journal.record(dict(reversed(STEP.items())))
    first, second = path.read_bytes().splitlines()
    assert first == second


def test_a_cut_takes_back_what_came_after_and_writing_goes_on_there(path: Path) -> None:
    with Journal(path, quiet=True) as journal:
        journal.record(STEP)
        kept = journal.position()
        journal.record(EPOCH)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 9, "tr')  # as a killed process leaves it
    with Journal(path, quiet=True) as journal:
        journal.cut(kept)
        assert journal.position() == kept
        journal.record(EPOCH)
    assert path.read_bytes() == whole


def test_a_cut_to_the_beginning_empties_it(path: Path) -> None:
    path.write_text("something\n")
    with Journal(path, quiet=True) as journal:
        journal.cut(0)
    assert path.read_bytes() == b""


def test_a_journal_that_was_lost_is_not_filled_with_zeros(path: Path) -> None:
    with Journal(path, quiet=True) as journal:
        journal.cut(500)
        journal.record(STEP)
    assert json.loads(path.read_text()) == STEP


# ---- progress


def test_quiet_shows_nothing(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Journal(path, quiet=True) as journal:
        journal.begin("learn", 6, 0, 32)
        journal.step(1)
        journal.record(EPOCH)
    assert capfd.readouterr() == ("", "")


def test_progress_goes_to_stderr_unless_told_otherwise(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Journal(path) as journal:
        journal.begin("learn", 6, 0, 32)
        journal.record(STEP)
        journal.record(EPOCH)
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "learn: epoch 1, loss 0.25; validation accuracy 0.7500\n"


def test_without_a_validation_side_an_epoch_tells_its_losses_alone(path: Path) -> None:
    out = io.StringIO()
    with Journal(path, out=out) as journal:
        journal.begin("learn", 6, 0, 32)
        journal.record(STEP)
        journal.record({**EPOCH, "validation": {}})
    assert out.getvalue() == "learn: epoch 1, loss 0.25\n"


def test_where_nobody_looks_there_is_a_plain_line_now_and_then(path: Path, clock: Clock) -> None:
    out = io.StringIO()
    with Journal(path, out=out) as journal:
        journal.begin("learn", 1000, 100, 32)
        journal.record(STEP)
        for step in range(101, 151):
            clock.now += 0.5
            journal.step(step)
    lines = out.getvalue().splitlines()
    # 25 seconds: a line after 10 and one after 20; two steps a second, counted from the 100 done before.
    assert lines == [
        "learn: step 120 of 1000, 64 pictures/s, 7:20 left, loss 0.25",
        "learn: step 140 of 1000, 64 pictures/s, 7:10 left, loss 0.25",
    ]


def test_hours_are_told_as_such(path: Path, clock: Clock) -> None:
    out = io.StringIO()
    with Journal(path, out=out) as journal:
        journal.begin("learn", 1001, 0, 1)
        clock.now += 10.0
        journal.step(1)
    assert "1 of 1001, 0 pictures/s, 2:46:40 left" in out.getvalue()


def test_on_a_terminal_there_is_a_bar_and_the_epochs_stand_above_it(path: Path, clock: Clock) -> None:
    out = Terminal()
    with Journal(path, out=out) as journal:
        journal.begin("learn", 6, 0, 32)
        clock.now += 1.0
        journal.step(2)
        journal._show._bar.refresh()  # type: ignore[union-attr]
        assert "━" in out.getvalue()
        assert "64 pictures/s, 0:02 left" in out.getvalue()
        journal.record(EPOCH)
        journal.begin("second", 9, 0, 32)
        journal._show._bar.refresh()  # type: ignore[union-attr]
    assert "validation accuracy 0.7500" in out.getvalue()
    assert "second" in out.getvalue()
    assert "step 2 of 6" not in out.getvalue()


def test_the_bar_is_taken_away_after_an_error(path: Path) -> None:
    bars: list[Any] = []

    def break_within() -> None:
        with Journal(path, out=Terminal()) as journal:
            journal.begin("learn", 6, 0, 32)
            bars.append(journal._show._bar)  # type: ignore[union-attr]
            assert bars[0].live.is_started
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_within()
    assert not bars[0].live.is_started


# ---- TensorBoard


def test_tensorboard_gets_the_scalars_where_it_is_installed(path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with Journal(path, quiet=True) as journal:
        journal.record(STEP)
        journal.record(EPOCH)
    events = reader.EventAccumulator(str(path.parent)).Reload()
    told = {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert told == {
        "learn/train/net/loss": [(3, 0.25)],
        "learn/rate/net": [(3, pytest.approx(0.1))],
        "learn/validation/accuracy": [(6, 0.75)],
    }


def test_without_tensorboard_nothing_is_written_and_showing_does_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> Any:
        return None if name == "tensorboard" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with Journal(path, quiet=True) as journal:
        nothing: Any = None  # whatever is touched would raise
        journal.show_beginning(nothing, nothing, 0)
        journal.record(STEP)
        journal.show_end(nothing, nothing)
    assert [p.name for p in path.parent.iterdir()] == ["metrics.jsonl"]


def test_a_run_that_goes_on_does_not_show_its_beginning_again(path: Path) -> None:
    pytest.importorskip("tensorboard")
    path.write_text(json.dumps(STEP) + "\n")
    with Journal(path, quiet=True) as journal:
        nothing: Any = None
        journal.show_beginning(nothing, nothing, 0)
