"""reproduce: the list, the runs of several seeds, going on where it was cut off."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from simplecell import cli
from simplecell import settings as typed
from simplecell.commands import reproduce
from simplecell.commands.reproduce import ENTRIES, Entry
from simplecell.run import Run
from simplecell.tasks.task import load_task

TINY = Entry(
    "nobody's",
    "accuracy",
    "90 %",
    "99 % ± 1",
    "classify",
    "shapes",
    {"epochs": 1.0, "batch_size": 16, "threads": 1, "precision": "float32", "device": "cpu"},
    seeds=2,
    hours=0.01,
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(ENTRIES, "tiny", TINY)
    return load_task("classify").tiny().data


def say(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["reproduce", *(str(word) for word in words)])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_without_a_name_it_lists_every_result(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = say(capsys, "--json")
    rows = json.loads(out)
    assert status == 0
    assert [row["name"] for row in rows] == list(ENTRIES)
    assert {"reference", "published", "ours", "command", "hours"} <= set(rows[0])
    _, table, _ = say(capsys)
    assert all(name in table for name in ENTRIES)


@pytest.mark.parametrize("name", list(ENTRIES))
def test_every_recipe_is_of_known_settings(name: str) -> None:
    entry = ENTRIES[name]
    task = typed.replace(load_task(entry.task)(), dict(entry.settings))
    typed.check(task)
    assert {key: typed.flatten(task)[key] for key in entry.settings} == dict(entry.settings)


def test_seeds_are_trained_once_and_their_mean_has_an_interval(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = say(capsys, "tiny", "--data", tiny, "--out", tmp_path / "runs", "--json")
    told: dict[str, Any] = json.loads(first[1])
    assert first[0] == 0
    assert len(told["values"]) == 2
    assert told["accuracy"]["value"] == pytest.approx(sum(told["values"]) / 2)
    assert told["accuracy"]["low"] <= told["accuracy"]["value"] <= told["accuracy"]["high"]
    seeds = [Run.open(tmp_path / "runs" / f"seed-{k}").settings()["settings"] for k in range(2)]
    assert [s["machine"].get("seed", 0) for s in seeds] == [0, 1]

    def trained_again(*_: object, **__: object) -> None:
        raise AssertionError("a finished seed was trained again")

    monkeypatch.setattr("simplecell.commands.train._carry_on", trained_again)
    assert json.loads(say(capsys, "tiny", "--data", tiny, "--out", tmp_path / "runs", "--json")[1]) == told


def test_what_was_stopped_goes_on(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplecell.commands.train._carry_on", lambda *_: False)
    status, _, err = say(capsys, "tiny", "--data", tiny, "--out", tmp_path / "runs")
    assert status == 1
    assert "the same command goes on" in err
    monkeypatch.undo()
    monkeypatch.setitem(ENTRIES, "tiny", dataclasses.replace(TINY, seeds=1))
    status, out, err = say(capsys, "tiny", "--data", tiny, "--out", tmp_path / "runs")
    assert status == 0
    assert "published" in out and "90 %" in out


def test_an_unknown_result_and_absent_data_are_told(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = say(capsys, "mnist-smal")
    assert (status, out) == (2, "")
    assert "did you mean mnist-small" in err
    monkeypatch.chdir(tmp_path)
    status, out, err = say(capsys, "tiny")
    assert (status, out) == (2, "")
    assert "simplecell data get shapes" in err
    assert not (tmp_path / "runs").exists()
    assert say(capsys, "tiny", "--data", tiny, "--seeds", 11)[0] == 2


def test_the_list_shows_ours_beside_the_published_figure() -> None:
    for entry in ENTRIES.values():
        assert entry.seeds >= 1
        assert "%" in entry.ours
    assert reproduce.ENTRIES["mnist-small"].seeds == 5
