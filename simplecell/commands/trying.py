"""--dry-run: one batch through every stage, and nothing is kept."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from simplecell.commands import eyes

if TYPE_CHECKING:
    from simplecell.tasks.task import Task


def dry_run(task: Task, *, quiet: bool) -> int:
    """Load, build, one step of each stage, evaluate, predict's shape: what breaks, breaks now."""
    import numpy as np

    from simplecell import settings as typed
    from simplecell.commands.train import built, device_of
    from simplecell.learn.evaluate import evaluating
    from simplecell.learn.journal import Journal
    from simplecell.learn.loop import Surroundings, run_stages
    from simplecell.learn.stages import Learn
    from simplecell.learn.streams import to_device

    typed.check(task)
    with eyes.progress(quiet), tempfile.TemporaryDirectory() as folder:
        splits = task.load()
        settled = task.settle(splits)
        if settled.training.learning_rate == "find":
            settled = typed.replace(settled, {"learning_rate": 1e-3})
        device = device_of(settled.machine.device)
        net = built(settled, splits.meaning, device)
        stages = [replace(s, epochs=1e-9) if isinstance(s, Learn) else s for s in settled.stages(net, splits)]
        with Journal(Path(folder) / "metrics.jsonl", quiet=True) as journal:
            world = Surroundings(
                seed=settled.machine.seed,
                device=device,
                splits=splits,
                checkpoint=Path(folder) / "checkpoints" / "last.safetensors",
                journal=journal,
                evaluate=lambda net: {},
                headline=settled.headline,
            )
            run_stages(net, stages, world)
        side = next((s for s in (splits.validation, splits.test, splits.train) if len(s)), splits.train)
        with evaluating(net):
            rows = settled.measure(net, to_device(side.batch(np.arange(min(8, len(side)))), device))
        settled.figures(rows, splits.meaning)
    counts = {name: len(splits[name]) for name in ("train", "validation", "test")}
    if quiet:
        eyes.answer({"dry_run": "passed", "stages": [s.name for s in stages], "counts": counts})
    else:
        sides = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        eyes.say(f"passed: {sides}; one batch went through {', '.join(s.name for s in stages)}")
    return 0
