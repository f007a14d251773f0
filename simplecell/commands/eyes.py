"""What is meant for eyes goes to stderr: sentences, tables, progress. stdout is for answers."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simplecell.telling import heard_by


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def answer(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=1))


def table(rows: Sequence[Mapping[str, str]], out: Any = None) -> None:
    """Rows as aligned columns; stdout unless told otherwise."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*[Text(value) for value in row.values()])
    file = out or sys.stdout
    # Where nobody looks, lines are as long as they need to be.
    Console(file=file, width=None if file.isatty() else 500, highlight=False).print(shown)


def figure_text(figure: Mapping[str, Any]) -> str:
    """value (low–high)."""
    value, low, high = figure["value"], figure.get("low"), figure.get("high")
    if value is None:
        return "–"
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} ({low:.4f}–{high:.4f})"


def figures_table(figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Figures with their intervals, on stderr."""
    table(
        [{"figure": name, "value (95 % interval)": figure_text(f)} for name, f in figures.items()], sys.stderr
    )


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[None]:
    """Within, what is told of long work is shown: in one line on a terminal, in plain lines elsewhere."""
    if quiet:
        yield
        return
    began: dict[str, float] = {}
    said: dict[str, float] = {}

    def hear(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        began.setdefault(what, now)
        terminal = sys.stderr.isatty()
        ends = done >= total
        if now - said.get(what, began[what]) < (0.2 if terminal else 10.0) and not (ends and what in said):
            return
        said[what] = now
        text = f"{what}: {done:,} of {total:,}"
        print(
            f"\r\x1b[2K{text}" if terminal else text,
            end="" if terminal and not ends else "\n",
            file=sys.stderr,
            flush=True,
        )

    with heard_by(hear):
        yield


def draw_rates(path: Path, curve: Sequence[tuple[float, float]], chosen: float) -> None:
    """The curve of the learning-rate finder as a picture, with the rate that was chosen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.semilogx([rate for rate, _ in curve], [loss for _, loss in curve], color="#1f5a99")
    axes.axvline(chosen, color="#a33b00", linestyle="--", label=f"chosen: {chosen:g}")
    axes.set(xlabel="learning rate", ylabel="loss (smoothed)", title="learning-rate finder")
    axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
