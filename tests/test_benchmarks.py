"""The benchmarks' verdicts: what counts as reached, and that none passes without its peer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks its module up
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


def test_an_answers_ratio_is_of_turns_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow minute that hits both sides of a turn leaves the ratio as it is."""
    inference = load("inference")
    now = 0.0
    slow = [1, 1, 1, 50, 1, 1, 1]  # two of these turns warm up

    def tick() -> float:
        return now

    def spend(factor: float) -> Any:
        turns = iter(slow)

        def answer() -> None:
            nonlocal now
            now += factor * next(turns)

        return answer

    monkeypatch.setattr(inference.time, "perf_counter", tick)
    found = inference.ratio_of({"torchvision": spend(3.0), "ours": spend(2.0)}, turns=5)
    assert found["ratio"] == pytest.approx(1.5)
    assert found["quartiles"] == pytest.approx([1.5, 1.5])
    assert found["seconds"] == pytest.approx({"torchvision": 3.0, "ours": 2.0})


def test_a_row_that_misses_the_goal_says_so() -> None:
    inference = load("inference")
    row = {
        "net": "resnet50",
        "batch": 16,
        "seconds": {"torchvision": 0.2, "ours": 0.1},
        "ratio": 2.0,
        "quartiles": [1.9, 2.1],
    }
    expected = "| resnet50 | 16 | 200.0 ms | 100.0 ms | 2.00 (1.90–2.10)"
    assert inference.line({**row, "reached": True}) == expected + " |"
    assert inference.line({**row, "reached": False}) == expected + " MISSED |"


def test_the_sides_of_an_answer_are_one_net() -> None:
    inference = load("inference")
    theirs, ours = inference.pair("resnet18")
    pictures = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert inference.disagreement(theirs(pictures), ours(pictures)) < inference.AGREEMENT
        assert inference.disagreement(theirs(pictures), ours(pictures + 0.1)) > inference.AGREEMENT
    kinds = {type(module) for module in ours.modules()}
    assert torch.nn.BatchNorm2d not in kinds


def test_a_steps_loss_counts_each_auxiliary_head_three_tenths() -> None:
    step = load("step")
    labels = torch.tensor([0, 1])
    main, first, second = (torch.randn(2, 10) for _ in range(3))
    loss = torch.nn.functional.cross_entropy
    expected = loss(main, labels) + 0.3 * (loss(first, labels) + loss(second, labels))
    torch.testing.assert_close(step.total_loss((main, first, second), labels), expected)
    torch.testing.assert_close(step.total_loss(main, labels), loss(main, labels))


def test_both_sides_of_a_step_have_as_many_parameters() -> None:
    for case in load("step").CASES:
        with torch.device("meta"):
            ours, theirs = case.build(), case.build_plain()
        assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
