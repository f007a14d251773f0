"""Penalties on weights, and max-norm."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from simplecell.learn.regular import max_norm, penalties


def layer(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    made = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        made.weight.copy_(torch.tensor(weight))
        made.bias.copy_(torch.tensor(bias))
    return made


def test_the_terms_are_those_computed_by_hand_and_biases_are_left_out() -> None:
    parameters = list(layer([[3.0, -4.0], [0.5, 0.0]], [100.0, 100.0]).named_parameters())
    found = penalties(parameters, l1=0.1, l2=0.01)
    assert found["l1"].item() == pytest.approx(0.1 * 7.5)
    assert found["l2"].item() == pytest.approx(0.01 * (9 + 16 + 0.25) / 2)


def test_the_gradients_are_the_factor_times_sign_and_weight() -> None:
    net = layer([[3.0, -4.0], [0.5, 0.0]], [1.0, 1.0])
    found = penalties(list(net.named_parameters()), l1=0.1, l2=0.01)
    (one,) = torch.autograd.grad(found["l1"], net.weight)
    (two,) = torch.autograd.grad(found["l2"], net.weight)
    torch.testing.assert_close(one, 0.1 * net.weight.sign())
    torch.testing.assert_close(two, 0.01 * net.weight.detach())


def test_a_factor_of_0_makes_no_term() -> None:
    parameters = list(nn.Linear(2, 2).named_parameters())
    assert penalties(parameters, 0, 0) == {}
    assert set(penalties(parameters, 0.1, 0)) == {"l1"}
    assert penalties([pair for pair in parameters if pair[0] == "bias"], 1, 1) == {}


@given(st.integers(0, 10_000), st.floats(0.01, 10))
def test_after_max_norm_no_unit_has_longer_weights_and_shorter_ones_are_untouched(
    seed: int, limit: float
) -> None:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(7, 4))
    before = [m.weight.detach().flatten(1).clone() for m in net if hasattr(m, "weight")]
    with torch.no_grad():
        max_norm(limit)(net)
    after = [m.weight.detach().flatten(1) for m in net if hasattr(m, "weight")]
    for old, new in zip(before, after, strict=True):
        norms = old.norm(dim=1)
        assert (new.norm(dim=1) <= limit * (1 + 1e-5)).all()
        assert torch.equal(new[norms <= limit], old[norms <= limit])
        directions = nn.functional.cosine_similarity(old, new, dim=1)
        torch.testing.assert_close(directions, torch.ones(len(old)))


def test_max_norm_leaves_frozen_layers_norms_biases_and_zeros_alone() -> None:
    net = nn.Sequential(nn.Conv2d(3, 5, 3).requires_grad_(False), nn.BatchNorm2d(5), nn.Linear(7, 4))
    with torch.no_grad():
        net[1].weight.fill_(50)
        net[2].bias.fill_(50)
        net[2].weight.zero_()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with torch.no_grad():
        max_norm(1e-3)(net)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def train(folder: Path, **settings: Any) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """Lines of a tiny run's journal, and its weights."""
    from safetensors.torch import load_file

    import simplecell as sc
    from simplecell.tasks.classify import Classify

    tiny = Classify.tiny()
    run = sc.train("classify", data=tiny.data, out=folder, epochs=2.0, batch_size=16, threads=1, **settings)
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return lines, load_file(run.path / "model.safetensors")


def test_a_run_tells_the_penalties_as_terms_of_its_loss_and_keeps_the_limit(tmp_path: Path) -> None:
    lines, weights = train(tmp_path / "run", l1=1e-4, l2=1e-3, max_norm=0.5)
    terms = [line["train"] for line in lines if "train" in line]
    assert terms
    assert all(line["classifier/l1"] > 0 and line["classifier/l2"] > 0 for line in terms)
    longest = [
        w.flatten(1).norm(dim=1).max() for name, w in weights.items() if w.dim() > 1 and "body" in name
    ]
    assert max(longest) <= 0.5 * (1 + 1e-5)


def test_a_run_without_them_has_no_such_terms(tmp_path: Path) -> None:
    lines, _ = train(tmp_path / "run")
    terms = [line["train"] for line in lines if "train" in line]
    assert terms
    assert not any("classifier/l1" in line or "classifier/l2" in line for line in terms)


def test_a_run_with_all_of_them_that_was_stopped_gives_the_same_bytes(tmp_path: Path) -> None:
    """What holds the weights has no state of its own."""
    from simplecell.commands.train import begin, carry_on, new_run
    from simplecell.settings import replace
    from simplecell.tasks.classify import Classify

    task = replace(Classify.tiny(), {"epochs": 1.0, "l1": 1e-4, "l2": 1e-3, "max_norm": 0.5})
    whole, cut = new_run(task, tmp_path / "whole"), new_run(task, tmp_path / "cut")
    assert begin(whole, quiet=True)
    left = itertools.count()
    while not carry_on(cut, quiet=True, stop=lambda: next(left) % 2 == 1):
        pass
    assert whole.artefact.read_bytes() == cut.artefact.read_bytes()
