"""The training loop. There is one, and it knows no task: stages, streams and updates are all it sees.

All that it carries from step to step is in the net, the optimisers and a few numbers, all of which a
checkpoint holds; random numbers are found by their address. So a run that was killed at any moment goes
on bitwise as if it had not been.
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from simplecell.artefact import restore, state_of
from simplecell.data.addressed import seed32
from simplecell.data.batches import Splits
from simplecell.errors import UserError
from simplecell.learn import checkpoints, guard
from simplecell.learn.checkpoints import Checkpoint
from simplecell.learn.journal import Journal
from simplecell.learn.optimisers import optimiser_state, restore_optimiser
from simplecell.learn.stages import At, Fit, Learn, Stage, Terms, Update
from simplecell.learn.streams import Order, batches, orders

#: Seconds after a checkpoint from which the end of an epoch is worth the next.
_EPOCH_PAUSE = 10.0


@dataclass
class Surroundings:
    """What the loop needs of the world.

    evaluate(net): figures on the validation side by name, after each epoch. headline: the figure that
    decides, and whether it is to be "max" or "min". stop(): asked after each step. checkpoint_every:
    seconds between checkpoints within an epoch; when one is written never changes what is learnt.
    """

    seed: int
    device: torch.device
    splits: Splits
    checkpoint: Path
    journal: Journal
    evaluate: Callable[[nn.Module], Mapping[str, float]]
    headline: tuple[str, str]
    precision: str = "float32"
    checkpoint_every: float = 60.0
    stop: Callable[[], bool] = lambda: False


@dataclass
class _Averages:
    """Weighted means of the terms since the last line of the journal; no synchronisation until read."""

    sums: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def add(self, update: str, terms: Terms) -> None:
        for name, value in (*terms.minimise.items(), *terms.watch.items()):
            key = f"{update}/{name}"
            self.sums[key] = self.sums.get(key, 0.0) + value.detach().double() * terms.count
            self.weights[key] = self.weights.get(key, 0.0) + terms.count

    def read(self) -> dict[str, float]:
        return {key: float(total) / self.weights[key] for key, total in self.sums.items()}

    def to_json(self) -> dict[str, Any]:
        return {"sums": {k: float(v) for k, v in self.sums.items()}, "weights": dict(self.weights)}


def run_stages(net: nn.Module, stages: Sequence[Stage], world: Surroundings) -> bool:
    """Train through every stage, from the checkpoint if there is one. False when stopped before the end."""
    _check_names(stages)
    start = checkpoints.load(world.checkpoint)
    world.journal.cut(start.notes.get("journal", 0))
    if start.groups:
        restore(net, start.groups["net"], world.checkpoint)
    for index in range(start.stage, len(stages)):
        stage = stages[index]
        if isinstance(stage, Fit):
            _run_fit(net, stage, world)
        else:
            begun = start if index == start.stage and start.step else None
            if not StageRun(net, stage, index, world).run(begun):
                return False
        notes = {"journal": world.journal.position()}
        checkpoints.save(world.checkpoint, Checkpoint(index + 1, 0, notes, {"net": state_of(net)}))
    return True


def _check_names(stages: Sequence[Stage]) -> None:
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise ValueError(f"stages need names of their own, not {names}")


def _run_fit(net: nn.Module, stage: Fit, world: Surroundings) -> None:
    net.eval()
    seed_generator(world.device, world.seed, stage.name)
    stage.fit(net, world.splits[stage.reads])
    world.journal.record({"stage": stage.name, "fitted": stage.reads})


def seed_generator(device: torch.device, *address: int | str) -> None:
    """Seed the device's default generator from an address (1.5 µs; torch.manual_seed takes 105)."""
    seed = seed32(*address)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def set_modes(net: nn.Module, trained: set[int], inherited: bool = True) -> None:
    """Training mode where something trains; a module that has parameters, none of them trained, is frozen."""
    ids = [id(p) for p in net.parameters()]
    mode = any(i in trained for i in ids) if ids else inherited
    net.training = mode
    for child in net.children():
        set_modes(child, trained, mode)


class StageRun:
    """One Learn stage under way."""

    def __init__(self, net: nn.Module, stage: Learn, index: int, world: Surroundings) -> None:
        self.net, self.stage, self.index, self.world = net, stage, index, world
        self.streams: list[Order] = orders(stage, world.seed)
        an_epoch = self.streams[0].batches_an_epoch // stage.accumulate
        self.steps_an_epoch = max(1, an_epoch)
        self.steps = max(1, round(stage.epochs * self.steps_an_epoch))
        self.trained = {id(p) for update in stage.updates for _, p in update.parameters}
        self.optimisers: dict[str, Optimizer] = {u.name: u.optimiser(u.parameters) for u in stage.updates}
        self.ema: nn.Module | None = copy.deepcopy(net).requires_grad_(False) if stage.ema else None
        self.averages = _Averages()
        self.loss = torch.zeros(())  # of the last step's last update
        self.best: dict[str, Tensor] | None = None
        self.best_figure: float | None = None
        self.without_better = 0

    def begin(self) -> None:
        """Set gradients and modes as the stage's steps want them."""
        self._require_gradients(self.trained)
        set_modes(self.net, self.trained)

    def batches(self, first: int, last: int) -> Generator[list[Any], None, None]:
        """What the steps first … last-1 learn from: a list of ``accumulate`` batches for each."""
        each = self.stage.accumulate
        with contextlib.closing(batches(self.streams, first * each, last * each, self.world.device)) as made:
            for _ in range(first, last):
                yield [next(made) for _ in range(each)]

    def at(self, step: int) -> At:
        return At(self.world.seed, self.stage.name, step, self.steps, step // self.steps_an_epoch)

    def run(self, begun: Checkpoint | None) -> bool:
        """Run to the stage's end, leaving in the net what the stage keeps; False when stopped before."""
        step = self._restore(begun) if begun else 0
        saved_at = time.monotonic()
        world = self.world
        self.begin()
        world.journal.begin(
            self.stage.name, self.steps, step, self.streams[0].batch_size * self.stage.accumulate
        )
        ended = self._patience_is_over()
        with contextlib.closing(self.batches(step, self.steps)) as source:
            while step < self.steps and not ended:
                at = self.at(step)
                self.step(next(source), at)
                step += 1
                epoch_ends = step % self.steps_an_epoch == 0 or step == self.steps
                self._journal_step(at, step, epoch_ends)
                if self._evaluation_is_due(step):
                    self._evaluate(step)
                    ended = self._patience_is_over()
                stopping = world.stop()
                pause = min(_EPOCH_PAUSE, world.checkpoint_every) if epoch_ends else world.checkpoint_every
                if stopping or time.monotonic() - saved_at > pause:
                    self._save(step)
                    saved_at = time.monotonic()
                if stopping:
                    return False
        self._keep_result()
        return True

    def step(self, micro: list[Any], at: At) -> None:
        """One step of every update whose turn it is."""
        stage, several = self.stage, len(self.stage.updates) > 1
        if stage.prepare:
            self._require_gradients(self.trained)
            for number, batch in enumerate(micro):
                seed_generator(self.world.device, at.seed, at.stage, at.step, "prepare", number)
                with self._autocast():
                    micro[number] = stage.prepare(self.net, batch, at)
        for update in stage.updates:
            if at.step % update.every:
                continue
            if several:
                self._require_gradients({id(p) for _, p in update.parameters})
            self._update(update, micro, at)
        if several:
            self._require_gradients(self.trained)
        if self.ema is not None:
            self._average_weights(at.step)

    def _update(self, update: Update, micro: list[Any], at: At) -> None:
        optimiser = self.optimisers[update.name]
        rate = update.rate(at)
        for group in optimiser.param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)
        optimiser.zero_grad(set_to_none=True)
        parameters = [p for _, p in update.parameters]
        counted = 0.0
        for number, batch in enumerate(micro):
            seed_generator(self.world.device, at.seed, at.stage, at.step, update.name, number)
            with self._autocast():
                terms = update.loss(self.net, batch, at)
                total = sum(terms.minimise.values(), start=torch.zeros((), device=self.world.device))
            if self.world.device.type == "cpu" and not math.isfinite(total.item()):
                guard.refuse_step(self.net, update, batch, at, terms, self.world.checkpoint)
            if update.backward is not None:
                update.backward(terms, parameters)
            elif len(micro) > 1:
                (total * terms.count).backward()  # type: ignore[no-untyped-call]
            else:
                total.backward()  # type: ignore[no-untyped-call]
            counted += terms.count
            self.loss = total.detach()
            self.averages.add(update.name, terms)
        if len(micro) > 1 and update.backward is None:
            torch._foreach_div_([p.grad for p in parameters if p.grad is not None], counted)
        if update.clip is not None:
            nn.utils.clip_grad_norm_(parameters, update.clip, foreach=True)
        optimiser.step()
        if update.afterwards is not None:
            with torch.no_grad():
                update.afterwards(self.net)

    def _autocast(self) -> torch.autocast:
        low = self.world.precision == "bfloat16"
        return torch.autocast(self.world.device.type, torch.bfloat16, enabled=low)

    def _require_gradients(self, wanted: set[int]) -> None:
        for parameter in self.net.parameters():
            parameter.requires_grad_(id(parameter) in wanted)

    @torch.no_grad()
    def _average_weights(self, step: int) -> None:
        """Exponential moving average; short at first, so that the initial weights are soon forgotten."""
        assert self.ema is not None and self.stage.ema is not None
        decay = min(self.stage.ema, (1 + step) / (10 + step))
        averaged: list[Tensor] = [p for p in self.ema.parameters() if p.is_floating_point()]
        current: list[Tensor] = [p for p in self.net.parameters() if p.is_floating_point()]
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def _current(self) -> nn.Module:
        """The net that is judged and kept: the averaged one where there is one, with the net's buffers."""
        if self.ema is None:
            return self.net
        buffers = dict(self.net.named_buffers())
        for name, buffer in self.ema.named_buffers():
            if buffer.shape == buffers[name].shape:
                buffer.copy_(buffers[name])
            else:
                buffer.data = buffers[name].clone()
        return self.ema

    def _evaluate(self, step: int) -> None:
        judged = self._current()
        judged.eval()
        figures = dict(self.world.evaluate(judged))
        set_modes(self.net, self.trained)
        name, direction = self.world.headline
        self.world.journal.record(
            {"stage": self.stage.name, "step": step, "epoch": self._epochs(step), "validation": figures}
        )
        if self.stage.patience is None or name not in figures:
            return
        value = figures[name]
        best = self.best_figure
        if best is None or (value > best if direction == "max" else value < best):
            self.best_figure, self.without_better = value, 0
            self.best = {key: t.clone() for key, t in state_of(judged).items()}
        else:
            self.without_better += 1

    def _evaluation_is_due(self, step: int) -> bool:
        epoch, within = divmod(step, self.steps_an_epoch)
        return step == self.steps or (within == 0 and epoch % self.stage.evaluate_every == 0)

    def _patience_is_over(self) -> bool:
        return self.stage.patience is not None and self.without_better >= self.stage.patience

    def _keep_result(self) -> None:
        """Leave in the net what the stage keeps: the best weights, else the averaged, else the last."""
        if self.best is not None:
            restore(self.net, self.best, self.world.checkpoint)
        elif self.ema is not None:
            restore(self.net, state_of(self._current()), self.world.checkpoint)

    def _epochs(self, step: int) -> float:
        return round(step / self.steps_an_epoch, 4)

    def _journal_step(self, at: At, step: int, epoch_ends: bool) -> None:
        self.world.journal.step(step)
        if epoch_ends or step % max(1, self.steps_an_epoch // 10) == 0:
            rates = {u.name: u.rate(at) for u in self.stage.updates}
            means = self.averages.read()
            if not all(math.isfinite(v) for v in means.values()):
                guard.refuse_means(means, step, self.net, self.world.checkpoint)
            line = {"stage": self.stage.name, "step": step, "epoch": self._epochs(step)}
            self.world.journal.record({**line, "rate": rates, "train": means})
            self.averages = _Averages()

    def _save(self, step: int) -> None:
        guard.refuse_weights(self.net, step, self.world.checkpoint)
        groups: dict[str, Mapping[str, Tensor]] = {"net": state_of(self.net)}
        for update in self.stage.updates:
            groups[f"update {update.name}"] = optimiser_state(self.optimisers[update.name], update.parameters)
        if self.ema is not None:
            groups["ema"] = state_of(self.ema)
        if self.best is not None:
            groups["best"] = self.best
        notes = {
            "journal": self.world.journal.position(),
            "averages": self.averages.to_json(),
            "best_figure": self.best_figure,
            "without_better": self.without_better,
        }
        checkpoints.save(self.world.checkpoint, Checkpoint(self.index, step, notes, groups))

    def _restore(self, saved: Checkpoint) -> int:
        where = self.world.checkpoint
        if saved.step > self.steps:
            raise UserError(
                "it is further than the run's settings reach", where=where, remedy="restore settings.toml"
            )
        for update in self.stage.updates:
            moments = dict(saved.groups[f"update {update.name}"])
            restore_optimiser(self.optimisers[update.name], update.parameters, moments)
        if self.ema is not None:
            restore(self.ema, saved.groups["ema"], where)
        if "best" in saved.groups:
            self.best = dict(saved.groups["best"])
        notes = saved.notes
        self.averages = _Averages(notes["averages"]["sums"], notes["averages"]["weights"])
        self.best_figure, self.without_better = notes["best_figure"], notes["without_better"]
        return saved.step
