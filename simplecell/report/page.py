"""The page that sections stand on: one HTML file, nothing fetched, readable without its script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files

import jinja2
from markupsafe import Markup

from simplecell.report.section import Section


def render(
    *,
    title: str,
    kind: str,
    heading: str,
    about: str,
    hero: Markup,
    sections: Sequence[Section],
    live: bool = False,
) -> str:
    """The page as HTML.

    title: of the window. kind: what sort of page this is, in a word or two. heading: of the page. about: a
    line under it. hero: the main figure, before all sections. live: it asks the server that it came from
    how the run goes on; then, and only then, it speaks to a server.

    The page's own policy forbids whatever it does not need: no request leaves it, and only the scripts
    that are put in here run, told by their digests, even if something got past the escaping.
    """
    anchors = [section.anchor for section in sections]
    if len(set(anchors)) < len(anchors):
        raise ValueError(f"two sections have one anchor: {anchors}")
    styles = dict.fromkeys([_part("page.css"), *(s.style for s in sections if s.style)])
    scripts = dict.fromkeys(
        [_part("page.js"), *([_part("live.js")] if live else []), *(s.script for s in sections if s.script)]
    )
    # Each in a scope of its own, so that sections need not know of each other's names.
    scoped = [Markup("(() => {\n" + script.strip() + "\n})();") for script in scripts]
    return _environment().get_template("page.html").render(
        title=title,
        kind=kind,
        heading=heading,
        about=about,
        hero=hero,
        sections=sections,
        style=Markup("\n".join(styles)),
        scripts=scoped,
        policy=_policy(scoped, live),
        version=version("simplecell"),
    )  # fmt: skip


def _policy(scripts: Sequence[str], live: bool) -> str:
    """The Content-Security-Policy of a page with these scripts."""
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode("ascii") for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    rules = [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        f"script-src {allowed}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join([*rules, "connect-src 'self'"] if live else rules)


@cache
def _part(name: str) -> str:
    return files("simplecell.report").joinpath("templates", name).read_text("utf-8").strip()


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("simplecell.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
