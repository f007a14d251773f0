"""What the server counts, as Prometheus reads it.

Text format 0.0.4: prometheus.io/docs/instrumenting/exposition_formats.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

#: Bounds of the histogram of answering times, in seconds.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: Bounds of the histogram of batch sizes, in pictures.
PICTURES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _labels(names: Iterable[str], values: Iterable[str]) -> str:
    pairs = [f'{n}="{v.translate(_ESCAPES)}"' for n, v in zip(names, values, strict=True)]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _head(name: str, kind: str, help: str) -> list[str]:
    told = help.replace("\\", r"\\").replace("\n", r"\n")
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]


class Counter:
    """Numbers that only grow, by the values of their labels."""

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help, self.labels = name, help, tuple(labels)
        self.counts: dict[tuple[str, ...], int] = {} if labels else {(): 0}

    def add(self, *labels: str, by: int = 1) -> None:
        """Count; ``labels`` are values in the order of the labels' names."""
        self.counts[labels] = self.counts.get(labels, 0) + by

    def lines(self) -> list[str]:
        rows = [f"{self.name}{_labels(self.labels, key)} {n}" for key, n in sorted(self.counts.items())]
        return _head(self.name, "counter", self.help) + rows


class Histogram:
    """How often a value was at most each of some bounds, by the values of its labels."""

    def __init__(self, name: str, help: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        self.name, self.help, self.bounds, self.labels = name, help, tuple(bounds), tuple(labels)
        self._kept: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def add(self, value: float, *labels: str) -> None:
        kept = self._kept.get(labels)
        if kept is None:
            kept = self._kept[labels] = ([0] * (len(self.bounds) + 1), [0.0])
        kept[0][bisect_left(self.bounds, value)] += 1
        kept[1][0] += value

    def lines(self) -> list[str]:
        rows = _head(self.name, "histogram", self.help)
        names = (*self.labels, "le")
        for key, (counts, total) in sorted(self._kept.items()):
            so_far = 0
            for bound, count in zip((*map("{:g}".format, self.bounds), "+Inf"), counts, strict=True):
                so_far += count
                rows.append(f"{self.name}_bucket{_labels(names, (*key, bound))} {so_far}")
            plain = _labels(self.labels, key)
            rows += [f"{self.name}_sum{plain} {total[0]}", f"{self.name}_count{plain} {so_far}"]
        return rows


def gauge(name: str, help: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]) -> list[str]:
    """The lines of numbers that go up and down, as they are now."""
    rows = [f"{name}{_labels(labels, key)} {value}" for key, value in sorted(values.items())]
    return _head(name, "gauge", help) + rows


class Metrics:
    """All that is counted. Touched from the event loop alone."""

    def __init__(self) -> None:
        self.requests = Counter(
            "simplecell_requests_total", "Requests by route and status.", ("method", "route", "status")
        )
        self.seconds = Histogram(
            "simplecell_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            SECONDS,
            ("route",),
        )
        self.pictures = Counter("simplecell_pictures_total", "Pictures that were answered.", ("model",))
        self.batches = Histogram(
            "simplecell_batch_pictures", "Pictures in a batch that the net was given.", PICTURES, ("model",)
        )
        self.timeouts = Counter("simplecell_timeouts_total", "Requests that took too long.")
        self.refused = Counter("simplecell_refused_total", "Requests refused for want of room.")
        self.gone = Counter("simplecell_gone_total", "Requests whose sender left before the answer.")
        self.reloads = Counter(
            "simplecell_reloads_total", "Changed files by outcome, loaded or failed.", ("model", "outcome")
        )

    def lines(self) -> list[str]:
        """Everything that was counted so far."""
        counted = (
            self.requests,
            self.seconds,
            self.pictures,
            self.batches,
            self.timeouts,
            self.refused,
            self.gone,
            self.reloads,
        )
        return [line for each in counted for line in each.lines()]
