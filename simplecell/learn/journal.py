"""The journal of a training: metrics.jsonl, TensorBoard events where it is installed, progress for eyes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from torch import nn

from simplecell.data.batches import Examples
from simplecell.learn.events import Events, installed

#: Seconds between two lines of progress where the output is no terminal.
_PLAIN_EVERY = 10.0


class Journal:
    """Writes the record of a run as it happens. A line is flushed when it is written.

    quiet: nothing for eyes. Times stand in no line: equal runs give equal journals.
    """

    def __init__(self, path: Path, *, quiet: bool = False, out: TextIO | None = None) -> None:
        self._file = open(path, "ab")  # noqa: SIM115 - closed by __exit__
        self._events = Events(path.parent) if installed() else None
        self._show = None if quiet else _Progress(out or sys.stderr)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk, told when the line was written
            self._file.close()
        if self._events is not None:
            self._events.close()
        if self._show is not None:
            self._show.close()

    def position(self) -> int:
        """Bytes written, and safe on the disk: a checkpoint that remembers them may outlive a power cut."""
        os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def cut(self, position: int) -> None:
        """Take back what was written after a checkpoint; the run writes it again."""
        self._file.truncate(min(position, self.position()))  # a longer one would be filled with zeros

    def record(self, line: dict[str, Any]) -> None:
        """Write one line."""
        try:
            self._file.write(json.dumps(line, sort_keys=True).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            error.filename = self._file.name  # a full disk names no file
            raise
        if self._events is not None:
            self._events.scalars(line)
        if self._show is not None:
            self._show.record(line)

    def begin(self, stage: str, steps: int, done: int, pictures: int) -> None:
        """A stage begins (or goes on): its steps, how many are done, examples a step."""
        if self._show is not None:
            self._show.begin(stage, steps, done, pictures)

    def show_beginning(self, net: nn.Module, examples: Examples, seed: int) -> None:
        """Show TensorBoard, where it is installed, training pictures and the net, once a run."""
        if self._events is not None and self.position() == 0:
            self._events.beginning(net, examples, seed)

    def show_end(self, net: nn.Module, examples: Examples) -> None:
        """Show TensorBoard, where it is installed, what the net has learnt."""
        if self._events is not None:
            self._events.ending(net, examples)

    def step(self, done: int) -> None:
        """A step was done."""
        if self._show is not None:
            self._show.step(done)


class _Progress:
    """A bar with pictures a second and time left on a terminal; a plain line now and then elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bar: Any = None
        self._stage, self._steps, self._pictures, self._first = "", 1, 1, 0
        self._started = self._said = time.monotonic()
        self._last: dict[str, float] = {}
        if out.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = [TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[about]}")]
            self._bar = Progress(*columns, console=Console(file=out), transient=True)

    def begin(self, stage: str, steps: int, done: int, pictures: int) -> None:
        self._stage, self._steps, self._pictures, self._first = stage, steps, pictures, done
        self._started = self._said = time.monotonic()
        if self._bar is not None:
            self._bar.start()
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(stage, total=steps, completed=done, about="")

    def step(self, done: int) -> None:
        now = time.monotonic()
        if now - self._said < (0.2 if self._bar is not None else _PLAIN_EVERY):
            return
        self._said = now
        about = self._about(done, now)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[-1], completed=done, about=about)
        else:
            print(f"{self._stage}: step {done} of {self._steps}, {about}", file=self._out, flush=True)

    def _about(self, done: int, now: float) -> str:
        speed = (done - self._first) / max(1e-9, now - self._started)
        left = (self._steps - done) / max(1e-9, speed)
        losses = ", ".join(f"{k.rpartition('/')[2]} {v:.4g}" for k, v in self._last.items())
        return f"{speed * self._pictures:,.0f} pictures/s, {_clock(left)} left" + (
            f", {losses}" if losses else ""
        )

    def record(self, line: dict[str, Any]) -> None:
        self._last = dict(list(line.get("train", self._last).items())[:3])
        if "validation" not in line:
            return
        figures = ", ".join(f"{k} {v:.4f}" for k, v in list(line["validation"].items())[:4])
        losses = ", ".join(f"{k.rpartition('/')[2]} {v:.4g}" for k, v in self._last.items())
        judged = f"; validation {figures}" if figures else ""
        text = f"{self._stage}: epoch {line['epoch']:g}, {losses}{judged}"
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._out, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
