"""Time of a training step: simplecell's beside plain eager PyTorch, and beside its own bare arithmetic.

    python benchmarks/step.py [--json]

Three sides train the same net with AdamW on the same batch, with two threads, a step each in turn:

- plain: as one writes it, torchvision's net where it has it, in float32, pictures as N, C, H, W floats that
  are normalised already, the optimiser as made by default;
- bare: forward, backward and step alone, as simplecell lays them out (uint8 pictures normalised in the
  net, channels last, fused optimiser, the precision that is measured faster), with no loop around;
- ours: a step of simplecell's loop.

The goals: never slower than plain, at least 1.15 times faster on convolutional nets, and a loop that adds
less than 2 % to the bare step. Exits with 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from simplecell import nets
from simplecell.data.batches import Batch, Splits
from simplecell.learn.journal import Journal
from simplecell.learn.loop import StageRun, Surroundings
from simplecell.learn.measure import faster_precision
from simplecell.learn.optimisers import optimiser
from simplecell.learn.schedules import constant
from simplecell.learn.stages import At, Learn, Stream, Terms, Update
from simplecell.nets.normalising import Normalised

THREADS = 2
LEAST_SPEED, MOST_OVERHEAD = 1.15, 0.02
CLASSES, RATE, DECAY, AUXILIARY = 10, 1e-3, 0.01, 0.3


@dataclass(frozen=True)
class Case:
    """A net and the pictures it is measured on.

    rounds: steps of each side whose median counts. theirs: torchvision's net of that name, where it has it.
    """

    name: str
    shape: tuple[int, int, int, int]  # N, C, H, W
    rounds: int
    theirs: Callable[..., nn.Module] | None = None

    def build(self) -> nn.Module:
        _, channels, height, width = self.shape
        return nets.build(self.name, channels=channels, classes=CLASSES, height=height, width=width)

    def build_plain(self) -> nn.Module:
        return self.theirs(num_classes=CLASSES) if self.theirs else self.build()


CASES = (
    Case("small", (256, 1, 28, 28), 60),
    Case("lenet5", (256, 1, 28, 28), 100),
    Case("alexnet", (16, 3, 128, 128), 12, torchvision.models.alexnet),
    Case("vgg11", (8, 3, 96, 96), 5, torchvision.models.vgg11),
    Case("googlenet", (16, 3, 128, 128), 12, partial(torchvision.models.googlenet, init_weights=True)),
    Case("resnet18", (16, 3, 128, 128), 20, torchvision.models.resnet18),
    Case("resnet50", (8, 3, 128, 128), 10, torchvision.models.resnet50),
)


def total_loss(given: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Cross-entropy of the logits, and 0.3 of that of auxiliary heads' (Szegedy et al. 2015, section 5)."""
    logits, *auxiliary = given if isinstance(given, tuple) else (given,)
    others = sum(F.cross_entropy(each.float(), labels) for each in auxiliary)
    return F.cross_entropy(logits.float(), labels) + AUXILIARY * others


class OneBatch:
    """Examples that are always the same batch."""

    def __init__(self, batch: Batch) -> None:
        self.made = batch
        self.ids = batch["id"]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: Any, address: Any = None) -> Batch:
        return self.made


def plain(case: Case, pictures: Tensor, labels: Tensor) -> Callable[[], None]:
    net = case.build_plain().train()
    ready = pictures.contiguous().float().div(255).sub(0.5).div(0.5)  # N, C, H, W
    rule = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)

    def step() -> None:
        rule.zero_grad()
        total_loss(net(ready), labels).backward()
        rule.step()

    return step


def laid_out(case: Case) -> nn.Module:
    """The net as simplecell trains it: behind its normalisation, channels last."""
    net: nn.Module = Normalised(case.build(), [0.5] * case.shape[1], [0.5] * case.shape[1])
    return net.train().to(memory_format=torch.channels_last)


def bare(case: Case, pictures: Tensor, labels: Tensor, precision: str) -> Callable[[], None]:
    net = laid_out(case)
    rule = optimiser("adamw", weight_decay=DECAY)(list(net.named_parameters()))
    for group in rule.param_groups:
        group["lr"] = RATE

    def step() -> None:
        rule.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = total_loss(net(pictures), labels)
        loss.backward()
        rule.step()

    return step


def ours(case: Case, pictures: Tensor, labels: Tensor, folder: Path) -> tuple[Callable[[], None], str]:
    """A step of the loop, and the precision in which a run would compute it."""
    net = laid_out(case)
    batch = {"id": [str(row) for row in range(len(labels))], "picture": pictures, "label": labels}

    def loss(net: nn.Module, batch: Batch, at: At) -> Terms:
        total = total_loss(net(batch["picture"]), batch["label"])
        return Terms({"cross_entropy": total}, count=len(batch["label"]))

    rule = optimiser("adamw", weight_decay=DECAY)
    examples = OneBatch(batch)

    def stages(net: nn.Module) -> list[Learn]:
        update = Update("classifier", list(net.named_parameters()), rule, loss, constant(RATE))
        return [Learn("learn", [Stream("train", lambda: examples, len(labels))], [update], epochs=1e6)]

    world = Surroundings(
        seed=0,
        device=torch.device("cpu"),
        splits=Splits(examples, examples, examples, {}),
        checkpoint=folder / "checkpoint",
        journal=Journal(folder / "metrics.jsonl", quiet=True),
        evaluate=lambda net: {},
        headline=("accuracy", "max"),
    )
    world.precision = faster_precision(net, stages, world)
    run = StageRun(net, stages(net)[0], 0, world)
    run.begin()
    steps = iter(range(10**6))
    return lambda: run.step([batch], run.at(next(steps))), world.precision


def measure(case: Case) -> tuple[dict[str, float], str]:
    """Median seconds of a step of each side, and our precision.

    The sides take turns, so that a slow moment of the machine hits all.
    """
    chance = torch.Generator().manual_seed(0)
    count, channels, height, width = case.shape
    pixels = torch.randint(0, 256, (count, height, width, channels), dtype=torch.uint8, generator=chance)
    pictures = pixels.permute(0, 3, 1, 2)  # N, C, H, W with the strides of channels last
    labels = torch.randint(0, CLASSES, (count,), generator=chance)
    with tempfile.TemporaryDirectory() as folder:
        our_step, precision = ours(case, pictures, labels, Path(folder))
        sides = {
            "plain": plain(case, pictures, labels),
            "bare": bare(case, pictures, labels, precision),
            "ours": our_step,
        }
        times: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(case.rounds + 3):
            for side, step in sides.items():
                begun = time.perf_counter()
                step()
                times[side].append(time.perf_counter() - begun)
    return {side: statistics.median(spent[3:]) for side, spent in times.items()}, precision  # 3 warm it up


def figures(case: Case) -> dict[str, Any]:
    seconds, precision = measure(case)
    speed = seconds["plain"] / seconds["ours"]
    overhead = seconds["ours"] / seconds["bare"] - 1
    reached = speed >= LEAST_SPEED and overhead < MOST_OVERHEAD
    return {
        "net": case.name,
        "seconds": seconds,
        "precision": precision,
        "speed": speed,
        "overhead": overhead,
        "reached": reached,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    as_json = parser.parse_args().json
    torch.set_num_threads(THREADS)
    rows = []
    for case in CASES:
        row = figures(case)
        rows.append(row)
        if not as_json:
            times = "  ".join(f"{side} {1000 * spent:8.2f} ms" for side, spent in row["seconds"].items())
            verdict = "" if row["reached"] else "   MISSED"
            print(f"{case.name:9} {times}   {row['speed']:.2f} × plain in {row['precision']}, ", end="")
            print(f"loop {100 * row['overhead']:+.1f} %{verdict}", flush=True)
    reached = all(row["reached"] for row in rows)
    if as_json:
        print(
            json.dumps(
                {"steps": rows, "threads": THREADS, "torch": torch.__version__, "reached": reached}, indent=2
            )
        )
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
