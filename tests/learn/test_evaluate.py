"""Evaluation: every example once, the net as it was before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from simplecell.learn.evaluate import collect, evaluating, join

CPU = torch.device("cpu")


class Vectors:
    """Random vectors, wide enough that evaluation takes several batches."""

    def __init__(self, count: int, width: int = 3000) -> None:
        self.values = torch.rand(count, width, generator=torch.Generator().manual_seed(0))
        self.ids = [f"v{k}" for k in range(count)]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: Any, address: Any = None) -> dict[str, Any]:
        assert address is None, "evaluation is not augmented"
        return {"id": [self.ids[k] for k in indices], "value": self.values[torch.from_numpy(indices)]}


def make_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3000, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


def test_collecting_equals_one_pass_over_everything() -> None:
    examples, net, sizes = Vectors(400), make_net(), []

    def measure(net: nn.Module, batch: Any) -> dict[str, Any]:
        sizes.append(len(batch["id"]))
        assert not torch.is_grad_enabled()
        assert not net.training
        return {
            "id": batch["id"],
            "answer": net(batch["value"]).numpy(),
            "long": [len(i) for i in batch["id"]],
        }

    rows = collect(measure, net, examples, CPU)
    assert len(sizes) > 1
    assert rows["id"] == examples.ids
    assert rows["long"] == [len(i) for i in examples.ids]
    with torch.no_grad():
        expected = net.eval()(examples.values).numpy()
    assert isinstance(rows["answer"], np.ndarray)
    assert rows["answer"] == pytest.approx(expected, abs=1e-5)


def test_collecting_changes_nothing_in_the_net() -> None:
    net = make_net()
    net[0].eval()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    collect(lambda n, b: {"id": b["id"], "x": n(b["value"]).numpy()}, net, Vectors(20), CPU)
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
    assert [m.training for m in net] == [False, True, True]
    assert net.training


def test_modes_are_restored_after_an_error_too() -> None:
    net = make_net()
    net[1].eval()

    def break_within() -> None:
        with evaluating(net):
            assert not any(m.training for m in net.modules())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_within()
    assert [m.training for m in net.modules()] == [True, True, False, True]
    assert torch.is_grad_enabled()


def test_joining_drops_repeated_ids_and_keeps_the_first_rows_in_their_order() -> None:
    parts: list[Mapping[str, Any]] = [
        {"id": ["c", "a"], "x": np.array([[1.0], [2.0]]), "text": ["one", "two"]},
        {"id": ["a", "b", "c"], "x": np.array([[9.0], [3.0], [9.0]]), "text": ["no", "three", "no"]},
        {"id": ["d"], "x": np.array([[4.0]]), "text": ["four"]},
    ]
    rows = join(parts)
    assert rows["id"] == ["c", "a", "b", "d"]
    assert rows["x"].tolist() == [[1.0], [2.0], [3.0], [4.0]]
    assert rows["text"] == ["one", "two", "three", "four"]


def test_joining_one_part_or_ids_all_of_their_own_is_plain_concatenation() -> None:
    parts: list[Mapping[str, Any]] = [
        {"id": ["a"], "x": np.array([1, 2])[:1]},
        {"id": ["b"], "x": np.array([2])},
    ]
    assert join(parts[:1])["x"].tolist() == [1]
    assert join(parts)["x"].tolist() == [1, 2]
