"""The loop against plain PyTorch, and what it promises of itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from simplecell.artefact import state_of
from simplecell.data.addressed import hashes, key, permutation
from simplecell.data.batches import Splits
from simplecell.errors import UserError
from simplecell.learn.journal import Journal
from simplecell.learn.loop import StageRun, Surroundings, run_stages, set_modes
from simplecell.learn.optimisers import optimiser
from simplecell.learn.schedules import constant
from simplecell.learn.stages import At, Learn, Stage, Stream, Terms, Update
from simplecell.learn.tight import tighten

CPU = torch.device("cpu")
Loss = Callable[[nn.Module, Any, At], Terms]


class Points:
    """Examples of random numbers; ids are their rows."""

    def __init__(self, count: int, width: int = 5) -> None:
        numbers = (hashes(count * width, "points") >> np.uint64(11)) * 2.0**-53
        self.values = torch.from_numpy(numbers.reshape(count, width) - 0.5).float()
        self.labels = (self.values.sum(1) > 0).long()
        self.ids = [str(k) for k in range(count)]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: Any, address: Any = None) -> dict[str, Any]:
        rows = torch.from_numpy(np.asarray(indices))
        return {
            "id": [self.ids[k] for k in rows.tolist()],
            "value": self.values[rows],
            "label": self.labels[rows],
        }


def cross_entropy(net: nn.Module, batch: Any, at: At) -> Terms:
    return Terms(
        {"loss": functional.cross_entropy(net(batch["value"]), batch["label"])}, count=len(batch["label"])
    )


def small_net() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))


def one_stage(net: nn.Module, points: Points, loss: Loss = cross_entropy, **changes: Any) -> Learn:
    changes = {"epochs": 3.0, **changes}
    update = Update("net", list(net.named_parameters()), optimiser("sgd"), loss, constant(0.1))
    update = replace(update, **{k: changes.pop(k) for k in ("clip", "rate", "optimiser") if k in changes})
    return Learn(
        "learn", [Stream("train", lambda: points, changes.pop("batch_size", 8))], [update], **changes
    )


def run(net: nn.Module, stages: Sequence[Stage], folder: Path, evaluate: Any = None, **changes: Any) -> bool:
    points = Points(8)
    splits = Splits(points, points, points, {})
    with Journal(folder / "metrics.jsonl", quiet=True) as journal:
        world = Surroundings(
            7,
            CPU,
            splits,
            folder / "checkpoints" / "last.safetensors",
            journal,
            evaluate or (lambda n: {}),
            ("figure", "max"),
        )
        return run_stages(net, stages, replace(world, **changes))


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_it_does_what_a_plain_loop_does(tmp_path: Path) -> None:
    points, net = Points(40), small_net()
    plain = copy.deepcopy(net)
    sgd = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True)
    seed = key(7, "learn", "train")
    for epoch in range(3):
        order = permutation(40, seed, epoch, "order")
        for start in range(0, 40, 8):
            batch = points.batch(order[start : start + 8])
            sgd.zero_grad()
            functional.cross_entropy(plain(batch["value"]), batch["label"]).backward()
            sgd.step()
    assert run(net, [one_stage(net, points)], tmp_path)
    assert same(net, plain)


def test_accumulated_batches_make_the_step_of_a_large_one(tmp_path: Path) -> None:
    points = Points(32)
    torch.manual_seed(0)
    large = nn.Linear(5, 2)
    parts = copy.deepcopy(large)
    run(large, [one_stage(large, points, batch_size=16)], tmp_path)
    (tmp_path / "b").mkdir()
    run(parts, [one_stage(parts, points, batch_size=4, accumulate=4)], tmp_path / "b")
    assert torch.allclose(large.weight, parts.weight, atol=1e-6)
    assert not torch.equal(large.weight, torch.zeros_like(large.weight))


def test_unequal_counts_weigh_accumulated_gradients(tmp_path: Path) -> None:
    """Two batches of counts 1 and 3 give the gradient of their weighted mean."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    counts = iter([1.0, 3.0])

    def loss(net: Any, batch: Any, at: At) -> Terms:
        count = next(counts)
        return Terms({"loss": net.weight.sum() * count}, count=count)  # gradients 1 and 3

    stage = one_stage(net, Points(4), loss, batch_size=2, accumulate=2, epochs=1.0)
    stage = replace(stage, updates=[replace(stage.updates[0], optimiser=optimiser("sgd", momentum=0.0))])
    run(net, [stage], tmp_path)
    assert net.weight.item() == pytest.approx(-0.1 * (1 * 1 + 3 * 3) / 4)


def test_frozen_parts_stay_as_they_are_with_their_statistics(tmp_path: Path) -> None:
    points, net = Points(24), small_net()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    stage = one_stage(net, points)
    head = [(n, p) for n, p in net.named_parameters() if n.startswith("3.")]
    stage = replace(stage, updates=[replace(stage.updates[0], parameters=head)])
    run(net, [stage], tmp_path)
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"3.weight", "3.bias"}


def test_modules_without_anything_to_train_are_in_eval_mode() -> None:
    frozen = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.BatchNorm1d(2))
    trained = nn.Sequential(nn.Dropout(), nn.Linear(2, 2))
    net = nn.Sequential(frozen, trained)
    set_modes(net, {id(p) for p in trained.parameters()})
    assert not any(m.training for m in frozen.modules())
    assert all(m.training for m in trained.modules())


def test_the_moving_average_is_what_is_kept(tmp_path: Path) -> None:
    points = Points(16)
    torch.manual_seed(0)
    net = nn.Linear(5, 2)
    plain, average = copy.deepcopy(net), copy.deepcopy(net)
    seen: list[torch.Tensor] = []

    def judge(judged: nn.Module) -> dict[str, float]:
        seen.append(state_of(judged)["weight"].clone())
        return {}

    run(net, [one_stage(net, points, epochs=2.0, ema=0.5)], tmp_path, judge)
    (tmp_path / "plain").mkdir()
    steps: list[torch.Tensor] = []
    stage = one_stage(plain, points, epochs=2.0)
    after = replace(stage.updates[0], afterwards=lambda n: steps.append(n.weight.detach().clone()))
    run(plain, [replace(stage, updates=[after])], tmp_path / "plain")
    expected = average.weight.detach()
    for step, weight in enumerate(steps):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = expected * decay + weight * (1 - decay)
    assert torch.allclose(net.weight, expected, atol=1e-6)
    assert torch.equal(net.weight, seen[-1])


def test_patience_ends_the_stage_and_keeps_the_best(tmp_path: Path) -> None:
    points, net = Points(16), small_net()
    figures = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    states: list[dict[str, torch.Tensor]] = []

    def judge(judged: nn.Module) -> dict[str, float]:
        states.append({k: v.clone() for k, v in state_of(judged).items()})
        return {"figure": next(figures)}

    run(net, [one_stage(net, points, epochs=9.0, patience=2)], tmp_path, judge)
    assert len(states) == 4
    assert all(torch.equal(v, states[1][k]) for k, v in state_of(net).items())


def test_a_loss_that_is_not_finite_names_step_term_and_layer(tmp_path: Path) -> None:
    points, net = Points(16), small_net()

    def loss(net: nn.Module, batch: Any, at: At) -> Terms:
        if at.step == 3:
            with torch.no_grad():
                net[3].weight.fill_(float("inf"))
        return cross_entropy(net, batch, at)

    with pytest.raises(
        UserError, match=r"loss of net is not finite in step 4; the first layer .* 3 \(Linear\)"
    ):
        run(net, [one_stage(net, points, loss)], tmp_path)


def test_no_checkpoint_holds_weights_that_are_not_finite(tmp_path: Path) -> None:
    points, net = Points(16), small_net()

    def spoil(net: Any) -> None:
        net[0].bias.fill_(float("nan"))

    stage = one_stage(net, points)
    stage = replace(stage, updates=[replace(stage.updates[0], afterwards=spoil)])
    with pytest.raises(UserError, match=r"after step 1 the weight 0\.bias is not finite"):
        run(net, [stage], tmp_path, checkpoint_every=0.0)
    assert not (tmp_path / "checkpoints" / "last.safetensors").exists()


def test_clipping_bounds_the_step(tmp_path: Path) -> None:
    points, net = Points(16), small_net()
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    plain_sgd = optimiser("sgd", momentum=0.0)
    run(net, [one_stage(net, points, epochs=0.4, clip=0.01, optimiser=plain_sgd, batch_size=16)], tmp_path)
    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert (after - before).norm() <= 0.1 * 0.01 * 1.001


def test_every_lets_an_update_run_in_each_nth_step_only(tmp_path: Path) -> None:
    points, net = Points(16), small_net()
    moments: list[tuple[str, int]] = []

    def watched(name: str) -> Loss:
        def loss(net: nn.Module, batch: Any, at: At) -> Terms:
            moments.append((name, at.step))
            return cross_entropy(net, batch, at)

        return loss

    parameters = list(net.named_parameters())
    often = Update("often", parameters[:2], optimiser("adam"), watched("often"), constant(0.01))
    seldom = Update("seldom", parameters[2:], optimiser("adam"), watched("seldom"), constant(0.01), every=3)
    stage = Learn("learn", [Stream("train", lambda: points, 4)], [often, seldom], 2.0)
    run(net, [stage], tmp_path)
    assert [step for name, step in moments if name == "seldom"] == [0, 3, 6]
    assert [step for name, step in moments if name == "often"] == list(range(8))


class Chain(nn.Module):
    """A long chain of convolutions with batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [
                nn.Conv2d(1 if not layers else 6, 6, 3, padding=1),
                nn.BatchNorm2d(6),
                nn.ReLU(),
                nn.Dropout(0.3),
            ]
        self.chain = nn.Sequential(*layers)
        self.head = nn.Linear(6, 2)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return self.head(self.chain(value.view(len(value), 1, 1, -1)).mean((2, 3)))


def test_tight_memory_changes_no_number_and_keeps_less(tmp_path: Path) -> None:
    from simplecell.learn.measure import activation_bytes

    torch.manual_seed(2)
    plain = Chain()
    tight = tighten(copy.deepcopy(plain))
    kept = []
    for name, net in (("plain", plain), ("tight", tight)):
        (tmp_path / name).mkdir()
        points = Points(32, 12)
        with Journal(tmp_path / "m.jsonl", quiet=True) as journal:
            splits = Splits(points, points, points, {})
            world = Surroundings(0, CPU, splits, tmp_path / "c", journal, lambda n: {}, ("figure", "max"))
            trial = StageRun(copy.deepcopy(net), one_stage(net, points), 0, world)
            kept.append(activation_bytes(trial))
        assert run(net, [one_stage(net, points)], tmp_path / name)
    assert same(plain, tight)
    assert kept[1] < 0.7 * kept[0]


def test_two_terms_and_counts_are_averaged_in_the_journal(tmp_path: Path) -> None:
    import json

    net = nn.Linear(1, 1)

    def loss(net: Any, batch: Any, at: At) -> Terms:
        zero = net.weight.sum() * 0
        return Terms({"a": zero + at.step}, {"b": zero + 1}, count=1 + at.step)

    run(net, [one_stage(net, Points(6), loss, batch_size=2, epochs=1.0)], tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    means = [line["train"]["net/a"] for line in lines if "train" in line]
    assert means == [0.0, 1.0, 2.0]  # an epoch of three steps is journalled step by step
    assert all(line["train"]["net/b"] == 1.0 for line in lines if "train" in line)
