"""The benchmarks' verdicts: what counts as reached, and that none passes without its peer."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runs(*seconds: float, arrived: bool = True) -> list[dict[str, Any]]:
    return [{"seconds": each, "accuracies": [0.99], "arrived": arrived} for each in seconds]


@pytest.fixture
def summary(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0")
    return load("mnist").summary


def test_the_race_is_judged_by_the_median_of_the_seeds(summary: Any) -> None:
    peers = {"pytorch": runs(99, 100, 1), "keras": runs(50, 50, 50), "fastai": runs(51, 50, 500)}
    figures = summary({"simplecell": runs(1, 10, 99), **peers})
    assert figures["simplecell"]["seconds"] == 10
    assert {name: peer["times"] for name, peer in figures["peers"].items()} == {
        "pytorch": 9.9,
        "keras": 5,
        "fastai": 5.1,
    }
    assert [peer["reached"] for peer in figures["peers"].values()] == [False, True, True]
    assert not figures["reached"]


def test_a_race_that_simplecell_does_not_finish_is_lost(summary: Any) -> None:
    peers = {side: runs(900, 900, 900) for side in ("pytorch", "keras", "fastai")}
    assert summary({"simplecell": runs(1, 1, 1), **peers})["reached"]
    assert not summary({"simplecell": runs(1, 1, 1, arrived=False), **peers})["reached"]


@pytest.mark.parametrize("peer", ["keras", "fastai"])
def test_a_race_without_a_peer_fails_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], peer: str
) -> None:
    found = object()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == peer else found)
    race = load("mnist")
    monkeypatch.setattr("sys.argv", ["mnist.py"])
    monkeypatch.setattr(race, "measure", lambda: pytest.fail("it ran"))
    with pytest.raises(SystemExit) as stopped:
        race.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"{peer}, a peer of this benchmark, is not installed; pip install simplecell[bench]"
    )
