"""Seconds to 99 % test accuracy on the complete MNIST: simplecell beside what else one would write.

    python benchmarks/mnist.py [--json]

Each side is a program of its own (benchmarks/peers/mnist_*.py) in a fresh process, in turn, with two
threads; three seeds, and the median counts. The clock runs from reading the files to the end of the epoch
that arrives. Imports, and the measurement of test accuracy, are on nobody's time. simplecell's time is that
of the whole call of train: its checks of the data, its cache, its checkpoints and its validation included.

The goals: at least 10 times faster than the plain PyTorch program, 5 times than Keras and fastai. Exits
with 1 when one is missed, with 2 when a peer is not installed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from simplecell import mnist

PEERS = Path(__file__).with_name("peers")
OURS = "simplecell"
#: The other sides, and how many times faster than each simplecell has to be.
GOALS = {"pytorch": 10.0, "keras": 5.0, "fastai": 5.0}
SEEDS = (0, 1, 2)
THREADS = 2


def run_side(side: str, seed: int) -> dict[str, Any]:
    """One side's report (see peers/race.py), from a process and a working folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"OMP_NUM_THREADS": str(THREADS), "SIMPLECELL_CACHE": f"{folder}/cache"}
        ran = subprocess.run(
            [sys.executable, str(PEERS / f"mnist_{side}.py"), str(seed), str(mnist.path())],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode:
        sys.exit(f"{side} failed with seed {seed}:\n{ran.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return report


def measure() -> dict[str, list[dict[str, Any]]]:
    """Reports by side, a seed each. The sides take turns, so that a slow minute of the machine hits all."""
    reports: dict[str, list[dict[str, Any]]] = {side: [] for side in (OURS, *GOALS)}
    for seed in SEEDS:
        for side, done in reports.items():
            done.append(run_side(side, seed))
            arrived = "" if done[-1]["arrived"] else "  (did not arrive)"
            accuracy = 100 * done[-1]["accuracies"][-1]
            print(
                f"seed {seed}  {side:10}  {done[-1]['seconds']:7.1f} s  {accuracy:.2f} %{arrived}",
                file=sys.stderr,
                flush=True,
            )
    return reports


def summary(reports: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, ratios to simplecell's, and whether every goal is reached.

    A run of simplecell that did not arrive counts as endless; a peer's counts with the time it had.
    """
    ours = statistics.median(run["seconds"] if run["arrived"] else float("inf") for run in reports[OURS])
    sides = {}
    for side, goal in GOALS.items():
        seconds = statistics.median(run["seconds"] for run in reports[side])
        sides[side] = {
            "seconds": seconds,
            "times": seconds / ours,
            "goal": goal,
            "reached": seconds >= goal * ours,
        }
    return {
        "simplecell": {"seconds": ours if ours < float("inf") else None},
        "peers": sides,
        "reached": all(side["reached"] for side in sides.values()),
        "threads": THREADS,
        "versions": {
            name: importlib.metadata.version(name) for name in ("torch", "torchvision", "keras", "fastai")
        },
        "runs": reports,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    as_json = parser.parse_args().json
    for peer in ("keras", "fastai"):
        if importlib.util.find_spec(peer) is None:
            print(
                f"{peer}, a peer of this benchmark, is not installed; pip install simplecell[bench]",
                file=sys.stderr,
            )
            sys.exit(2)

    figures = summary(measure())
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        ours = figures["simplecell"]["seconds"]
        print(f"simplecell  {ours:7.1f} s" if ours else "simplecell did not arrive")
        for side, peer in figures["peers"].items():
            verdict = f"goal {peer['goal']:.0f} ×: {'reached' if peer['reached'] else 'MISSED'}"
            print(f"{side:10}  {peer['seconds']:7.1f} s  {peer['times']:5.1f} ×  ({verdict})")
    sys.exit(0 if figures["reached"] else 1)


if __name__ == "__main__":
    main()
