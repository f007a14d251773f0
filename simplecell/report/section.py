"""A section of a report's page: what a task shows of a run, ready for the page."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Section:
    """One part of the page, under a heading of its own.

    anchor: its id, unique on the page; what else in it needs an id begins with it.
    html: what stands under title and lead. It needs nothing beyond itself: pictures are data addresses, and
        no element has an event handler (the page's Content-Security-Policy runs none). Headings in it begin
        at h3.
    lead: one sentence in words under the title: what the reader sees, and its main finding.
    style, script: of this kind of section; those that are equal stand on the page once. The script is a
        module of its own scope and runs when the page is there; without it everything must still be readable.

    Colours are the page's CSS variables, which change with light and dark: ``--ground``, ``--card``,
    ``--ink``, ``--quiet`` (secondary text), ``--line`` (rules), ``--accent``, ``--good``, ``--warning``,
    ``--fault``, and ``--series-1`` … ``--series-6``. Classes that stand ready: ``scroll`` (around a table or
    whatever may be wider than a phone), ``number`` (a cell of figures), ``quiet`` (small secondary text),
    ``unseen`` (for screen readers alone), ``charts`` (around several charts), ``pictures`` (around figures
    with thumbnails), and ``pixels`` (an img that is shown larger than it is).
    """

    anchor: str
    title: str
    html: Markup
    lead: str = ""
    style: str = ""
    script: str = ""
