"""What is measured before a training: on a copy, by the loop itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from simplecell.data.batches import Splits
from simplecell.errors import UserError
from simplecell.learn import measure
from simplecell.learn.journal import Journal
from simplecell.learn.loop import Surroundings
from simplecell.learn.optimisers import optimiser
from simplecell.learn.schedules import constant
from simplecell.learn.stages import At, Fit, Learn, Stage, Stream, Terms, Update

CPU = torch.device("cpu")
Make = Callable[[nn.Module], Sequence[Stage]]


@dataclass
class Points:
    """Points around two centres, with their label."""

    count: int = 256

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.labels = torch.arange(self.count) % 2
        self.values = torch.randn(self.count, 8, generator=generator) + self.labels[:, None] * 2 - 1
        self.ids = [str(k) for k in range(self.count)]

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: Any, address: Any = None) -> dict[str, Any]:
        rows = torch.from_numpy(np.asarray(indices))
        return {"id": [self.ids[k] for k in indices], "value": self.values[rows], "label": self.labels[rows]}


POINTS = Points()


def softmax_loss(net: nn.Module, batch: Any, at: At) -> Terms:
    return Terms(
        {"loss": functional.cross_entropy(net(batch["value"]), batch["label"])}, count=len(batch["id"])
    )


def make(loss: Any = softmax_loss, name: str = "sgd", batch_size: int = 32) -> Make:
    def stages(net: nn.Module) -> Sequence[Stage]:
        update = Update(
            "net", list(net.named_parameters()), optimiser(name, momentum=0.0), loss, constant(0.01)
        )
        return [
            Fit("first", lambda net, examples: pytest.fail("a Fit has nothing to measure")),
            Learn("learn", [Stream("train", lambda: POINTS, batch_size)], [update], 4.0, ema=0.9),
        ]

    return stages


def softmax() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Surroundings]:
    splits = Splits(POINTS, POINTS, POINTS, {})
    with Journal(tmp_path / "metrics.jsonl", quiet=True) as journal:
        yield Surroundings(
            0, CPU, splits, tmp_path / "checkpoints" / "last.safetensors", journal, lambda n: {}, ("a", "max")
        )
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""
    assert not (tmp_path / "checkpoints").exists()


@contextmanager
def untouched(net: nn.Module) -> Iterator[None]:
    """Weights, statistics, modes and what wants a gradient are as before."""
    net[1].eval()  # type: ignore[index]
    net[4].bias.requires_grad_(False)  # type: ignore[index]
    state = copy.deepcopy(net.state_dict())
    modes = [m.training for m in net.modules()]
    wanted = [p.requires_grad for p in net.parameters()]
    yield
    assert all(torch.equal(t, state[name]) for name, t in net.state_dict().items())
    assert modes == [m.training for m in net.modules()]
    assert wanted == [p.requires_grad for p in net.parameters()]
    assert all(p.grad is None for p in net.parameters())


# ---- the trial


def test_a_trial_is_the_first_stage_that_learns_on_a_copy(world: Surroundings) -> None:
    net = softmax()
    with untouched(net):
        run = measure.trial(net, make(), world)
        assert run is not None
        assert run.stage.name == "learn"
        assert run.ema is None
        run.step(next(run.batches(0, 1)), run.at(0))
        assert not torch.equal(run.net[0].weight, net[0].weight)  # type: ignore[index]


def test_a_trial_has_at_most_the_batch_size_that_was_named(world: Surroundings) -> None:
    sizes = [measure.trial(softmax(), make(), world, at_most) for at_most in (0, 8, 999)]
    assert [run and run.streams[0].batch_size for run in sizes] == [32, 8, 32]


def test_without_a_stage_that_learns_there_is_none(world: Surroundings) -> None:
    def only_fit(net: nn.Module) -> Sequence[Stage]:
        return [Fit("fit", lambda net, examples: None)]

    assert measure.trial(softmax(), only_fit, world) is None
    assert measure.faster_precision(softmax(), only_fit, world) == "float32"
    with pytest.raises(UserError, match="no stage of this task learns by gradient"):
        measure.find_rate(softmax(), only_fit, world)


# ---- memory


def test_the_activations_of_a_chain_are_what_autograd_keeps(world: Surroundings) -> None:
    """Of Linear, Tanh, Linear: the input (8), the tanh's output (16), the log-softmax (2) and labels."""
    net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
    run = measure.trial(net, make(), world)
    assert run is not None
    floats = measure.activation_bytes(run) / 4
    assert 8 + 16 + 2 <= floats <= 8 + 16 + 16 + 2 + 2 + 4


def test_the_batch_is_halved_until_it_fits(world: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    run = measure.trial(softmax(), make(), world, at_most=8)
    assert run is not None
    each = measure.activation_bytes(run)

    def fitting(examples: float) -> int:
        """With memory in whose share just so many examples fit."""
        free = examples * each / measure._MEMORY_SHARE
        monkeypatch.setattr(measure, "_free_memory", lambda device: free)
        return measure.fitting_batch_size(run, 256)

    assert [fitting(n) for n in (1000, 257, 255, 100, 5, 0.1)] == [256, 256, 128, 64, 4, 1]


def test_the_free_memory_is_a_number_on_any_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**20 < measure._free_memory(CPU) < 2**50

    def absent(*words: Any, **named: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", absent)
    assert measure._free_memory(CPU) == 4e9


# ---- precision


def pretend_seconds(patch: pytest.MonkeyPatch, bfloat16: float) -> None:
    def seconds(*runs: Any) -> list[float]:
        return [bfloat16 if run.world.precision == "bfloat16" else 1.0 for run in runs]

    patch.setattr(measure, "seconds_a_step", seconds)


def test_without_bfloat16_it_is_float32_and_nothing_is_measured(
    world: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "has_bfloat16", lambda device: False)
    monkeypatch.setattr(measure, "seconds_a_step", lambda *words: pytest.fail("measured"))
    assert measure.faster_precision(softmax(), make(), world) == "float32"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.5, "bfloat16"), (0.89, "bfloat16"), (0.95, "float32"), (2.0, "float32")]
)
def test_bfloat16_must_be_clearly_faster(
    world: Surroundings, monkeypatch: pytest.MonkeyPatch, seconds: float, expected: str
) -> None:
    monkeypatch.setattr(measure, "has_bfloat16", lambda device: True)
    pretend_seconds(monkeypatch, seconds)
    net = softmax()
    with untouched(net):
        assert measure.faster_precision(net, make(), world) == expected


@pytest.mark.parametrize("capability", ["DEFAULT", "AVX2", ""])
def test_a_cpu_that_only_emulates_bfloat16_has_none(monkeypatch: pytest.MonkeyPatch, capability: str) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert not measure.has_bfloat16(CPU)


# ---- speed


class Clock:
    """A clock on which every step of a run takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(measure, "time", made)
    return made


def ticking(clock: Clock) -> Any:
    def loss(net: nn.Module, batch: Any, at: At) -> Terms:
        clock.now += 1.0
        return softmax_loss(net, batch, at)

    return loss


def test_the_seconds_of_a_step_are_those_of_the_clock(world: Surroundings, clock: Clock) -> None:
    run = measure.trial(softmax(), make(ticking(clock)), world)
    assert run is not None
    assert measure.seconds_a_step(run, run) == [1.0, 1.0]


@pytest.mark.parametrize("evaluation", [0.0, 8.0])
def test_minutes_become_epochs_at_the_speed_of_the_clock(
    world: Surroundings, clock: Clock, evaluation: float
) -> None:
    def epochs(minutes: float) -> float:
        run = measure.trial(softmax(), make(ticking(clock)), world)
        assert run is not None
        return measure.epochs_in(run, minutes, evaluation)

    # An epoch is 8 steps of a second, and its evaluation; 3 % of the time are kept back.
    assert epochs(10.0) == pytest.approx(0.97 * 600 / (8 + evaluation), abs=1e-3)
    assert epochs(1.0) == pytest.approx(0.97 * 60 / (8 + evaluation), abs=1e-3)
    assert epochs(0.001) == pytest.approx(1 / 8)


# ---- the rate


def test_the_finder_picks_a_rate_that_trains_and_leaves_the_net(world: Surroundings) -> None:
    net = softmax()
    with untouched(net):
        rate, curve = measure.find_rate(net, make(), world)
    rates = [r for r, _ in curve]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(1e-6)
    # Plain SGD on two well separated clouds of points.
    assert 3e-3 <= rate <= 1.0
    assert rate == float(f"{rate:.2g}")
    after = {}
    for tried in (rate, rate / 1000):
        run = measure.trial(net, make(), world)
        assert run is not None
        run.stage = replace(run.stage, updates=[replace(run.stage.updates[0], rate=constant(tried))])
        for step, batch in enumerate(run.batches(0, 30)):
            run.step(batch, run.at(step))
        after[tried] = float(run.loss)
    assert after[rate] < 0.5 * after[rate / 1000]


@pytest.mark.parametrize("curvature", [1.0, 100.0])
def test_the_rate_on_a_parabola_lies_below_where_it_diverges(world: Surroundings, curvature: float) -> None:
    """Gradient descent on c/2·|w|² diverges above 2/c (exact); the rate is below, within two decades."""

    def parabola(net: Any, batch: Any, at: At) -> Terms:
        return Terms({"loss": curvature / 2 * (net.weight - 3).square().sum()})

    rate, curve = measure.find_rate(nn.Linear(8, 2, bias=False), make(parabola), world)
    assert 0.02 / curvature <= rate < 2 / curvature
    assert curve[-1][0] < measure._HIGHEST_RATE / 2 or curvature == 1.0


def test_the_ramp_ends_where_the_loss_is_no_number(world: Surroundings) -> None:
    def breaking(net: Any, batch: Any, at: At) -> Terms:
        terms = softmax_loss(net, batch, at)
        return Terms({"loss": terms.minimise["loss"] * (float("inf") if at.step >= 40 else 1)})

    _, curve = measure.find_rate(softmax(), make(breaking), world)
    assert len(curve) == 40


def test_a_loss_that_is_no_number_from_the_first_step_is_told(world: Surroundings) -> None:
    def broken(net: Any, batch: Any, at: At) -> Terms:
        return Terms({"loss": net[0].weight.sum() * float("nan")})

    with pytest.raises(UserError, match="loss of net is not finite in step 1"):
        measure.find_rate(softmax(), make(broken), world)


def test_a_loss_that_falls_at_no_rate_is_told(world: Surroundings) -> None:
    def deaf(net: Any, batch: Any, at: At) -> Terms:
        return Terms({"loss": 2.3 + 1e-4 * math.sin(at.step) + 0 * net[0].weight.sum()})

    with pytest.raises(UserError, match="falls at no rate"):
        measure.find_rate(softmax(), make(deaf), world)
