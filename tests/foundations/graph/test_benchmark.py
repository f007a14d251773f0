"""The benchmark of the foundations compares like with like."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[3] / "benchmarks" / "foundations.py"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # it sets them for itself: undone when the test ends
    spec = importlib.util.spec_from_file_location("benchmark_foundations", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_graph_and_plain_numpy_learn_the_same(benchmark: ModuleType) -> None:
    plain, (pictures, labels) = benchmark.first_weights(), benchmark.batch(16)
    by_hand = benchmark.by_hand(plain, pictures, labels)
    in_graph, weights = benchmark.in_graph(benchmark.first_weights(), pictures, labels)
    for _ in range(5):
        by_hand()
        in_graph()
    theirs = [each for layer in plain for each in layer]
    assert any(
        not np.array_equal(one, other)
        for one, other in zip(plain[0], benchmark.first_weights()[0], strict=True)
    )
    for ours, other in zip(weights(), theirs, strict=True):
        np.testing.assert_allclose(ours, other, rtol=0, atol=1e-6)


def test_a_row_tells_whether_its_goal_was_reached(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {"1 thread": 3.0, "2 threads": 2.0, "bare 1": 2.0, "bare 2": 1.0, "numpy": 1.0, "graph": 1.05}
    monkeypatch.setattr(benchmark, "in_turns", lambda sides: {side: times[side] for side in sides})
    monkeypatch.setattr(benchmark, "training", lambda *given: None)
    row = benchmark.branches(benchmark.dense_towers)
    assert (row["speed"], row["limit"], row["reached"]) == (1.5, 2, True)
    assert benchmark.overhead()["reached"]
    times |= {"2 threads": 2.1, "graph": 1.2}
    assert not benchmark.branches(benchmark.dense_towers)["reached"]
    assert not benchmark.overhead()["reached"]
