"""simplecell's side of the race. Run: python mnist_simplecell.py SEED FOLDER-OF-IDX-GZ

Its recipe has a fixed length, so the accuracy is measured once, at the end. The time is that of the whole
call of train, from the files to the finished run folder, its own measurement of the test accuracy included.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch  # noqa: F401  (imported before the clock starts, as on the other sides)
from race import Race

import simplecell as sc


def ours(seed: int, data: Path) -> Race:
    """Train from the files to a run folder in the working folder."""
    race = Race()
    # As the other sides, it learns from all 60,000 training digits: none are set aside for validation.
    recipe = {"epochs": 0.75, "learning_rate": 0.02, "weight_decay": 0.02, "shift": 1, "validation": 0}
    run = sc.train("classify", data=data, out="run", seed=seed, threads=2, **recipe)
    race.epoch(lambda: float(run.figures["accuracy"]["value"]))
    return race


if __name__ == "__main__":
    ours(int(sys.argv[1]), Path(sys.argv[2])).report()
