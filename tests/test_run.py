"""The run folder: whole files or none, one process at a time, and a record that a crash does not spoil."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from simplecell.errors import UserError
from simplecell.run import Run, runs_in, write_atomically

# ---- files


def test_a_file_is_written_whole_as_text_or_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "grün")
    assert path.read_bytes() == b"gr\xc3\xbcn"
    write_atomically(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(*words: Any) -> None:
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """The new content is complete under another name, and on the disk, before it takes the file's name."""
    path = tmp_path / "a.txt"
    script = (
        "import os, signal, sys; from pathlib import Path; from simplecell.run import write_atomically\n"
        "os.replace = lambda old, new: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(Path(sys.argv[1]), b'n' * 100_000)"
    )
    path.write_text("old")
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    [left] = [p for p in tmp_path.iterdir() if p != path]
    assert left.read_bytes() == b"n" * 100_000


def test_a_full_disk_leaves_the_old_file_and_names_it(disk: Any) -> None:
    path = disk(size=64 << 10) / "a.bin"
    write_atomically(path, b"o" * 40_000)
    with pytest.raises(OSError, match="No space left on device") as told:
        write_atomically(path, b"n" * 40_000)
    assert told.value.filename == str(path)
    assert path.read_bytes() == b"o" * 40_000
    assert os.listdir(path.parent) == ["a.bin"]


def test_a_read_only_folder_leaves_the_old_file_and_names_it(disk: Any) -> None:
    path = disk(size=64 << 10) / "a.bin"
    write_atomically(path, "old")
    disk.protect(path.parent)
    with pytest.raises(OSError, match="Read-only file system") as told:
        write_atomically(path, "new")
    assert told.value.filename == str(path)
    assert path.read_text() == "old"


def test_a_folder_that_is_absent_is_no_reason_for_half_a_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "gone" / "a.txt", "new")
    assert os.listdir(tmp_path) == []


# ---- making and opening


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", "classify", {"data": "pictures", "training": {"epochs": 2.0}})


def test_settings_are_what_was_asked_and_what_was_measured(run: Run) -> None:
    asked = {"data": "pictures", "training": {"epochs": 2.0}}
    assert run.settings() == {"format": 1, "task": "classify", "settings": asked}
    run.write_settings("classify", asked, {"batch_size": 32})
    assert run.settings()["measured"] == {"batch_size": 32}
    assert Run.open(run.path).settings()["settings"] == asked


def test_an_empty_folder_is_taken_and_a_new_one_made_with_those_above_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Run.create(tmp_path / "empty", "classify", {})
    Run.create(tmp_path / "a" / "b" / "c", "classify", {})
    assert (tmp_path / "a" / "b" / "c" / "settings.toml").is_file()


def test_a_folder_that_holds_anything_is_refused_and_left(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="this exists already; choose another --out or go on with `resume`"):
        Run.create(tmp_path, "classify", {})
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_file_in_the_folders_place_is_refused_and_left(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    with pytest.raises(UserError, match="this exists already"):
        Run.create(tmp_path / "run", "classify", {})
    assert (tmp_path / "run").read_text() == "x"


def test_what_is_no_run_is_told_from_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this is no run folder"):
        Run.open(tmp_path)
    with pytest.raises(UserError, match="there is no such run"):
        Run.open(tmp_path / "gone")


@pytest.mark.parametrize(
    "text", ['task = "classify"\n[settings]\n', 'format = 2\ntask = "classify"\n[settings]\n', "format = 1\n"]
)
def test_settings_of_another_format_are_refused(run: Run, text: str) -> None:
    (run.path / "settings.toml").write_text(text)
    with pytest.raises(UserError, match=r"settings\.toml: this is not a settings\.toml of format 1"):
        run.settings()


def test_runs_are_listed_oldest_first_without_other_folders(tmp_path: Path) -> None:
    for age, name in enumerate(["c", "a", "b"]):
        Run.create(tmp_path / name, "classify", {})
        os.utime(tmp_path / name, (age, age))
    (tmp_path / "notes").mkdir()
    (tmp_path / "README").touch()
    assert [r.path.name for r in runs_in(tmp_path)] == ["c", "a", "b"]
    assert runs_in(tmp_path / "gone") == []


# ---- states and the lock

HOLD = """
import sys
from pathlib import Path
from simplecell.run import Run

with Run(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(run: Run) -> Iterator[subprocess.Popen[bytes]]:
    """Within, another process holds the run's lock."""
    words = [sys.executable, "-c", HOLD, str(run.path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_states_of_a_run(run: Run) -> None:
    assert run.state == "begun"
    with held_elsewhere(run):
        assert run.state == "running"
    run.checkpoint.parent.mkdir()
    run.checkpoint.touch()
    assert run.state == "stopped"
    with held_elsewhere(run):
        assert run.state == "running"
    run.artefact.touch()
    assert run.finished
    assert run.state == "finished"


def test_a_second_process_is_refused(run: Run) -> None:
    with (
        held_elsewhere(run),
        pytest.raises(
            UserError, match="run: another process is training in this run; wait for it or stop it"
        ),
        run.lock(),
    ):
        pytest.fail("two processes hold one lock")


def test_the_lock_of_a_process_that_was_killed_is_free(run: Run) -> None:
    with held_elsewhere(run) as process:
        process.kill()
        process.wait()
        with run.lock():
            pass


def test_the_lock_is_free_after_an_error(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), run.lock():
        raise ZeroDivisionError
    with run.lock():
        pass


def test_a_run_on_a_read_only_disk_has_a_state(disk: Any) -> None:
    begun = Run.create(disk(size=64 << 10) / "run", "classify", {})
    disk.protect(begun.path.parent)
    assert begun.state == "begun"


# ---- the record


def test_what_a_killed_process_left_half_written_is_swept_and_nothing_else(run: Run) -> None:
    run.checkpoint.parent.mkdir()
    run.checkpoint.touch()
    (run.path / "own.tmp").touch()
    for path in (run.path / "data.json", run.checkpoint):
        path.with_name(f".{path.name}.0123abcd.tmp").touch()
    run.sweep()
    assert sorted(p.name for p in run.path.rglob("*") if p.is_file()) == [
        "last.safetensors",
        "own.tmp",
        "settings.toml",
    ]


def test_json_is_written_in_order_and_read_back(run: Run) -> None:
    assert run.read("data.json") is None
    run.write("data.json", {"b": [1, None], "a": "é"})
    assert run.read("data.json") == {"a": "é", "b": [1, None]}
    text = (run.path / "data.json").read_text("utf-8")
    assert text.index('"a"') < text.index('"b"')
    assert "é" in text


def test_json_that_is_none_is_named(run: Run) -> None:
    (run.path / "data.json").write_text('{"a": ')
    with pytest.raises(UserError, match=r"data\.json: this is not JSON"):
        run.read("data.json")


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_last_line_that_was_cut_off_is_left_out(run: Run, cut: int) -> None:
    whole = [{"step": 1}, {"step": 2, "train": {"a/b": 0.5}}]
    last = json.dumps({"step": 31, "é": "ü"}, ensure_ascii=False).encode()
    assert len(last) == 24
    text = b"".join(json.dumps(line).encode() + b"\n" for line in whole)
    (run.path / "metrics.jsonl").write_bytes(text + last[:cut])
    assert run.metrics() == whole
    (run.path / "metrics.jsonl").write_bytes(text + last)
    assert run.metrics() == [*whole, {"step": 31, "é": "ü"}]


def test_a_run_without_a_journal_has_no_metrics(run: Run) -> None:
    assert run.metrics() == []
