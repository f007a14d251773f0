"""What tests of the page share: a record of a run that never was, and a reader that finds faults of HTML."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from simplecell.report.evidence import Record

#: Elements without an end.
_VOID = {"meta", "link", "img", "br", "hr", "input"}
_HEADINGS = {f"h{level}" for level in range(1, 7)}


def record(**changes: Any) -> Record:
    """A record of three epochs, with every file that a run folder may have."""
    journal: list[dict[str, Any]] = []
    for epoch in (1.0, 2.0, 3.0):
        line = {"stage": "learn", "step": int(10 * epoch), "epoch": epoch}
        journal.append({**line, "train": {"net/cross_entropy": 2 / epoch}, "rate": {"net": 0.1 / epoch}})
        journal.append({**line, "validation": {"nll": 1.5 / epoch, "accuracy": 1 - 0.5 / epoch}})
    values: dict[str, Any] = {
        "path": Path("/runs/birds"),
        "task": "classify",
        "settings": {"data": "/data/birds", "net": "small", "epochs": 3.0, "flip": True},
        "meaning": {"classes": ["jay", "wren"]},
        "data": {
            "format": "folder",
            "counts": {"train": 20, "validation": 4, "test": 6},
            "pictures": {"train": 18, "validation": 4, "test": 6},
            "made": ["validation"],
            "broken": {"train": {"count": 1, "first": [["jay/1.png", "it ends in mid-picture", "…"]]}},
            "leaks": {"test": {"equal": 0, "near": 1, "dropped": True, "first": []}},
            "notes": ["one class is small"],
            "augmentation": {"flip": True, "crop": 0.5, "shift": 0, "padding": "zero"},
            "augmentation_reason": "photos: because they are",
            "digest": "0123456789abcdef0123",
        },
        "environment": {"device": "cpu", "versions": {"torch": "2.14.1"}},
        "journal": journal,
        "figures": {
            "accuracy": {"value": 0.8, "low": 0.7, "high": 0.9},
            "nll": {"value": 0.5, "low": None, "high": None},
        },
        "cost": {"seconds": 90.0, "peak_memory": 1.5e9, "parameters": 1234, "macs": 5_600_000},
        "headline": ("accuracy", "max"),
    }
    return Record(**{**values, **changes})


class Page(HTMLParser):
    """A page as it was parsed; ``faults`` has a sentence for each thing that is wrong with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []  # element, name, value
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self._judge()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in given.items()]
        if "id" in given:
            self.ids.append(given["id"])
        if tag in _HEADINGS:
            self.headings.append((int(tag[1]), ""))
        if tag == "img" and "alt" not in given:
            self.faults.append("an img has no alt")
        if tag == "th" and given.get("scope") not in ("col", "row"):
            self.faults.append("a th has no scope")
        named = given.get("role") == "img" and given.get("aria-label")
        if tag == "svg" and not named and given.get("aria-hidden") != "true":
            self.faults.append("an svg has no name")
        if tag == "script":
            self.scripts.append("")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> ends what is not open at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        within = self._open[-1] if self._open else ""
        if within == "script":
            self.scripts[-1] += data
        elif within != "style":
            self.words.append(data)
        if within in _HEADINGS:
            level, before = self.headings[-1]
            self.headings[-1] = (level, before + data)

    @property
    def text(self) -> str:
        """All words of the page; spaces of every kind are single plain ones."""
        return " ".join(" ".join(self.words).split())

    def _judge(self) -> None:
        if self._open:
            self.faults.append(f"{self._open} stay open")
        self.faults += [f"two elements have the id {i}" for i in set(self.ids) if self.ids.count(i) > 1]
        levels = [level for level, _ in self.headings]
        if levels[:1] != [1] or levels.count(1) != 1:
            self.faults.append("there is not one h1, and first")
        for before, after in itertools.pairwise(levels):
            if after > before + 1:
                self.faults.append(f"h{after} follows h{before}")
        for tag, name, value in self.attributes:
            if name.startswith("on"):
                self.faults.append(f"{tag} has a handler {name}")
            if name in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
                self.faults += [
                    f"{name} names {i}, which is not there" for i in value.split() if i not in self.ids
                ]
            if tag == "a" and name == "href" and value.startswith("#") and value[1:] not in self.ids:
                self.faults.append(f"a link leads to {value}, which is not there")


def requests(text: str) -> list[str]:
    """What a page would fetch: everything in it that names a place beyond the page."""
    page = Page(text)
    named = [
        value
        for tag, name, value in page.attributes
        if name in ("src", "srcset", "poster", "action", "data", "background", "xlink:href")
        or (name == "href" and tag != "a")
    ]
    named += re.findall(r"url\(\s*['\"]?([^)'\"]*)", text) + re.findall(r"@import\s+['\"]([^'\"]*)", text)
    return [place for place in named if not place.startswith("data:")]
