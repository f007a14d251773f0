"""The page's files as they lie in the package: small, valid, with nothing that a policy would forbid."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import simplecell.serve

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from pages import Page

_FOLDER = Path(simplecell.serve.__file__).parent / "page"
_FILES = sorted(_FOLDER.iterdir())
_NAMES = {file.name for file in _FILES}


def text(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def test_the_page_is_small_enough_for_a_slow_phone() -> None:
    assert sum(file.stat().st_size for file in _FILES) < 60_000


def test_the_page_is_valid_and_has_neither_script_nor_style_within() -> None:
    page = Page(text("index.html"))
    assert page.faults == []
    assert [script.strip() for script in page.scripts] == [""]
    assert "<style" not in text("index.html")
    assert [name for _, name, _ in page.attributes if name == "style"] == []


def test_what_the_page_refers_to_is_its_own() -> None:
    page = Page(text("index.html"))
    referred = [value for _, name, value in page.attributes if name in ("src", "href", "action")]
    files = {place.removeprefix("page/") for place in referred if place.startswith("page/")}
    assert files == {"style.css", "main.js"}
    others = {place for place in referred if not place.startswith(("page/", "#", "data:"))}
    assert others == {"docs"}


@pytest.mark.parametrize("name", sorted(name for name in _NAMES if name.endswith(".js")))
def test_a_script_imports_its_neighbours_alone_and_makes_no_markup_of_text(name: str) -> None:
    script = text(name)
    imported = re.findall(r"^import .* from \"(.*)\";$", script, re.MULTILINE)
    assert len(imported) == len(re.findall(r"\bimport\b", script))
    assert {place.removeprefix("./") for place in imported} <= _NAMES
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert word not in script
    assert "http:" not in script and "https:" not in script


def test_every_script_is_reached() -> None:
    reached = {"main.js"}
    for _ in _NAMES:
        reached |= {place for name in reached for place in re.findall(r"from \"\./(.*)\";", text(name))}
    assert reached == {name for name in _NAMES if name.endswith(".js")}


def test_the_style_asks_for_nothing() -> None:
    assert "url(" not in text("style.css") and "@import" not in text("style.css")
