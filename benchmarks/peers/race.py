"""The rules of a race to an accuracy on MNIST, the same for every side.

The clock starts when the libraries are imported, before the data are read. After each epoch it stops while
the test accuracy is measured. A side has arrived at the end of the first epoch whose accuracy is at least
the goal; one that has not arrived when its program ends, after MOST_EPOCHS or fewer, stands with the time
it had until then.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

GOAL = 0.99
MOST_EPOCHS = 20


class Race:
    """A running clock and the accuracies so far; made where the clock starts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.accuracies: list[float] = []
        self._since = time.perf_counter()

    @property
    def arrived(self) -> bool:
        return bool(self.accuracies) and self.accuracies[-1] >= GOAL

    def pause(self) -> None:
        self.seconds += time.perf_counter() - self._since

    def go_on(self) -> None:
        self._since = time.perf_counter()

    def epoch(self, accuracy: Callable[[], float]) -> bool:
        """End an epoch: with the clock stopped, measure the test accuracy (0 to 1). Is the race over?"""
        self.pause()
        self.accuracies.append(accuracy())
        print(f"{self.seconds:8.1f} s  {self.accuracies[-1]:.4f}", file=sys.stderr, flush=True)
        self.go_on()
        return self.arrived or len(self.accuracies) >= MOST_EPOCHS

    def report(self) -> None:
        """One JSON document on stdout: all that the benchmark reads."""
        print(
            json.dumps({"seconds": self.seconds, "accuracies": self.accuracies, "arrived": self.arrived}),
            flush=True,
        )


def unpacked(packed: Path, folder: Path) -> None:
    """MNIST's four files as torchvision's reader expects them below its root (before the clock starts)."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in packed.glob("*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
