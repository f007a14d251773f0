"""Run folders whose settings.toml, data.json or metrics.jsonl is spoilt, and settings of one's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

sys.path.insert(0, str(Path(__file__).parent))

from judging import judged
from mutation import EXAMPLES, mutated

from simplecell.commands.train import task_of
from simplecell.errors import UserError
from simplecell.run import Run
from simplecell.settings import flatten, from_table, read_toml, replace, to_table, to_toml
from simplecell.tasks.classify import Classify

TOML = to_toml(to_table(Classify(data="photos", net="small"))).encode()
RECORD = to_toml(
    {"format": 1, "task": "classify", "settings": to_table(Classify("photos")), "measured": {"epochs": 3.0}}
)
SIGNS = [
    b"[",
    b"]",
    b"[[",
    b"]]",
    b"=",
    b'"',
    b"'",
    b'"""',
    b"\n",
    b"\r",
    b"#",
    b".",
    b"{",
    b"}",
    b",",
    b"\\u0000",
]
SIGNS += [
    b"0x" + b"f" * 5000,
    b"9" * 5000,
    b"1e999",
    b"nan",
    b"-1",
    b"true",
    b"1979-05-27T07:32:00Z",
    b"\xff",
    b"[" * 2000,
]
SIGNS += [b'"\\n"', b"training", b"epochs", b"net", b"task", b"format", b"settings", b"measured", b"a.b.c"]


@settings(max_examples=2 * EXAMPLES)
@given(content=mutated([TOML], SIGNS))
def test_spoilt_settings_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "settings-of-mine.toml"
    path.write_bytes(content)
    task = judged(lambda: from_table(Classify, read_toml(path), str(path)), path.name)
    if not isinstance(task, UserError):
        path.write_text(to_toml(to_table(task)), "utf-8")
        assert flatten(from_table(Classify, read_toml(path))) == flatten(task)


def opened(run: Run) -> object:
    """The task as a training takes it from the run: what was asked and what was measured."""
    asked, measured = task_of(run)
    return replace(asked, measured or {}, str(run.path / "settings.toml"))


@settings(max_examples=2 * EXAMPLES)
@given(content=mutated([RECORD.encode()], SIGNS))
def test_a_run_with_spoilt_settings_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    run = Run(tmp_path_factory.getbasetemp() / "spoilt-run")
    run.path.mkdir(exist_ok=True)
    (run.path / "settings.toml").write_bytes(content)
    judged(lambda: opened(run), "settings.toml", "no task named", ".py")


JSON_SIGNS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b"\n",
    b"null",
    b"NaN",
    b"-1",
    b"1e999",
    b"9" * 5000,
    b"\xff",
    b"[" * 3000,
]
JOURNAL = b"".join(
    json.dumps(line).encode() + b"\n"
    for line in (
        {
            "stage": "classifier",
            "step": 10,
            "epoch": 0.5,
            "train": {"loss": 1.5},
            "rate": {"classifier": 0.1},
        },
        {
            "stage": "classifier",
            "step": 20,
            "epoch": 1,
            "train": {"loss": 0.5},
            "validation": {"accuracy": 0.75},
        },
    )
)
DATA = json.dumps(
    {"digest": "0a", "meaning": {"classes": ["a", "b"]}, "notes": [], "format": "folder"}, indent=1
).encode()


@settings(max_examples=EXAMPLES)
@given(content=mutated([JOURNAL], JSON_SIGNS))
def test_a_spoilt_journal_gives_the_lines_that_are_whole(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    run = Run(tmp_path_factory.getbasetemp() / "journal-run")
    run.path.mkdir(exist_ok=True)
    (run.path / "metrics.jsonl").write_bytes(content)
    lines = judged(run.metrics, "metrics.jsonl")
    assert isinstance(lines, list)
    assert all(isinstance(line, dict) for line in lines)
    assert all(isinstance(line.get("validation", {}), dict) for line in lines)
    assert all(isinstance(line.get("train", {}), dict) for line in lines)


@settings(max_examples=EXAMPLES)
@given(content=mutated([DATA], JSON_SIGNS))
def test_a_spoilt_record_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    run = Run(tmp_path_factory.getbasetemp() / "record-run")
    run.path.mkdir(exist_ok=True)
    (run.path / "data.json").write_bytes(content)
    assert isinstance(judged(lambda: run.read("data.json"), "data.json"), dict | UserError)


# ---- lies, one by one

LIES: dict[str, tuple[bytes, str]] = {
    "deep lists": (b"net = " + b"[" * 100_000, "nested"),
    "deep tables": (b"net = " + b"{a=" * 100_000, "nested"),
    "a path of a thousand keys": (b"a." * 2_000 + b"a = 1", "there is no setting named a"),
    "an unknown key": (b"[training]\nepoch = 3", "there is no setting named epoch; did you mean epochs"),
    "an unknown key with a line end": (b'"ep\\nochs" = 3', r"there is no setting named ep\nochs"),
    "an unknown table": (
        b"[trainings]\nepochs = 3",
        "there is no setting named trainings; did you mean training",
    ),
    "a table for a number": (b"[training.epochs]\na = 1", "epochs cannot be"),
    "a list for a number": (b"epochs = [1, 2]", "epochs cannot be [1, 2]"),
    "a date for a number": (b"epochs = 1979-05-27", "epochs cannot be"),
    "a day that is none": (b"epochs = 1979-02-30", "is not TOML"),
    "a number that is none": (b"epochs = nan", "epochs cannot be nan"),
    "a hexadecimal number of 5,000 digits": (b"epochs = 0x" + b"f" * 5000, "epochs cannot be"),
    "a number of 5,000 digits": (b"epochs = " + b"9" * 5000, "is not TOML"),
    "text of a megabyte for a number": (b'epochs = "' + b"x" * 1_000_000 + b'"', "epochs cannot be"),
    "a key twice": (b"net = 1\nnet = 2", "is not TOML"),
    "a table twice": (b"[training]\n[training]\n", "is not TOML"),
    "an open quote": (b'net = "small', "is not TOML"),
    "a control character": (b'net = "sm\x00all"', "is not TOML"),
    "UTF-16": ('net = "small"'.encode("utf-16"), "is not UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbfnet = 1", "is not TOML"),
    "nothing but noise": (bytes(range(1, 128)), "is not TOML"),
}


@pytest.mark.parametrize("lie", LIES)
def test_settings_that_lie_get_their_sentence(tmp_path: Path, lie: str) -> None:
    content, words = LIES[lie]
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    error = judged(lambda: from_table(Classify, read_toml(path), str(path)), path.name)
    print(error)
    assert words in str(error)


def test_settings_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.symlink_to("/dev/zero")
    assert "too long for settings" in str(judged(lambda: read_toml(path), path.name))


@pytest.mark.parametrize(
    "table",
    [
        {"format": 1, "task": 3, "settings": {}},
        {"format": 1, "task": "classify", "settings": 3},
        {"format": 1, "task": "classify", "settings": {}, "measured": [1]},
        {"format": 1, "task": "clasify", "settings": {}},
        {"format": 1, "task": "nowhere.py:Task", "settings": {}},
        {"format": 1, "task": "\x1b[2J", "settings": {}},
        {"format": 1, "task": "classify", "settings": {"training": {"epochs": [1]}}},
        {"format": 1, "task": "classify", "settings": {}, "measured": {"epoch": 1}},
    ],
)
def test_a_run_whose_settings_are_of_other_types_is_refused(tmp_path: Path, table: dict[str, Any]) -> None:
    (tmp_path / "settings.toml").write_text(to_toml(table))
    error = judged(lambda: opened(Run(tmp_path)), "settings.toml", "clasify", "nowhere.py", r"\x1b[2J")
    print(error)
    assert isinstance(error, UserError)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"3", b"null", b"\xff", b"{" * 100, b'{"a": ' * 100_000])
def test_a_record_that_is_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.json").write_bytes(content)
    (tmp_path / "metrics.jsonl").write_bytes(content + b"\n" + JOURNAL)
    assert isinstance(judged(lambda: Run(tmp_path).read("data.json"), "data.json"), UserError)
    assert len(judged(Run(tmp_path).metrics)) == 2  # type: ignore[arg-type]
