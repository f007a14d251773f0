"""The pages in a real browser: accessible, silent, as wide as a phone, and alive where they should be."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from simplecell.cli import main
from simplecell.commands import compare, live
from simplecell.commands.train import new_run, run_training
from simplecell.run import Run
from simplecell.tasks.classify import Classify

DESKTOP, PHONE = 1280, 360


class Opened:
    """A page in the browser; what it complains of and what it asks of others is kept."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(address)

    def faults(self) -> list[str]:
        """What axe-core finds: its rule and the first place."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [f"{f['impact']}: {f['id']} at {f['nodes'][0]['html'][:200]}" for f in found]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(
            self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )


Open = Callable[..., Opened]


@pytest.fixture
def look(browser: Any) -> Iterator[Open]:
    """Opens a page at a width, in light or dark; at the end nothing may have been complained of."""
    contexts: list[Any] = []
    pages: list[Opened] = []

    def at(address: str, width: int = DESKTOP, scheme: str = "light", **options: Any) -> Opened:
        window = {"width": width, "height": 800}
        contexts.append(browser.new_context(viewport=window, color_scheme=scheme, **options))
        pages.append(Opened(contexts[-1].new_page(), address))
        return pages[-1]

    yield at
    for context in contexts:
        context.close()
    assert [page.complaints for page in pages if page.complaints] == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_training(Classify.tiny(), tmp_path_factory.mktemp("runs") / "bars")


@pytest.fixture(scope="module")
def report(run: Run) -> str:
    return (run.path / "report.html").as_uri()


@pytest.fixture(scope="module")
def comparison(run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("compared")
    compare.write_page([run, new_run(Classify.tiny(), folder / "other"), run], folder / "page.html")
    return (folder / "page.html").as_uri()


@pytest.fixture(scope="module")
def inside(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Pages of `inspect`: of a picture, a net and a run."""
    folder = tmp_path_factory.mktemp("inspected")
    picture = folder / "picture.png"
    Image.effect_noise((60, 40), 90).convert("RGB").save(picture)
    found = {}
    for kind, target in (("picture", picture), ("net", "second-cnn"), ("run", run.path)):
        page = folder / f"{kind}.html"
        with pytest.raises(SystemExit) as ended:
            main(["inspect", str(target), "--out", str(page)])
        assert ended.value.code == 0
        found[kind] = page.as_uri()
    return found


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
@pytest.mark.parametrize("kind", ["picture", "net", "run"])
def test_a_page_of_inspect_is_as_good(
    look: Open, inside: dict[str, str], kind: str, width: int, scheme: str
) -> None:
    opened = look(inside[kind], width, scheme)
    assert opened.overflow() == 0
    assert opened.faults() == []
    assert [place for place in opened.requests if not place.startswith("data:")] == [inside[kind]]


_LOOKS = [("report", width, scheme) for width in (DESKTOP, PHONE) for scheme in ("light", "dark")]
_LOOKS += [("comparison", DESKTOP, "light"), ("comparison", PHONE, "dark")]


@pytest.mark.parametrize(("which", "width", "scheme"), _LOOKS)
def test_a_page_is_accessible_and_never_wider_than_the_window(
    look: Open, request: pytest.FixtureRequest, which: str, width: int, scheme: str
) -> None:
    opened = look(request.getfixturevalue(which), width, scheme)
    opened.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    assert opened.overflow() == 0
    assert opened.faults() == []


def test_a_page_asks_nothing_of_anybody(look: Open, report: str, comparison: str) -> None:
    for address in (report, comparison):
        opened = look(address)
        opened.page.evaluate("scrollTo(0, document.body.scrollHeight)")
        assert [place for place in opened.requests if not place.startswith("data:")] == [address]


def test_a_cell_of_the_confusion_matrix_shows_its_pictures(look: Open, report: str) -> None:
    page = look(report, PHONE).page
    panel = page.locator("#confusion-panel")
    cell = page.locator("#confusion td button").first
    count = int(cell.inner_text())
    assert not panel.is_visible()
    cell.click()
    assert panel.is_visible()
    shown = panel.locator("img")
    assert 1 <= shown.count() <= count
    widths = shown.evaluate_all(
        "pictures => Promise.all(pictures.map(p => p.decode().then(() => p.naturalWidth)))"
    )
    assert all(width > 0 for width in widths)


def test_the_confusion_matrix_works_without_a_mouse(look: Open, report: str) -> None:
    opened = look(report)
    page, panel = opened.page, opened.page.locator("#confusion-panel")
    cell = page.locator("#confusion td button").first
    cell.focus()
    page.keyboard.press("Enter")
    assert panel.is_visible()
    assert opened.faults() == []
    page.locator("#confusion-panel button").first.focus()
    page.keyboard.press("Enter")
    assert not panel.is_visible()
    assert cell.evaluate("element => element === document.activeElement")


def test_the_button_turns_the_page_dark_and_light_and_is_remembered(look: Open, report: str) -> None:
    page = look(report).page

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = ground()
    page.get_by_role("button", name="Show the page dark").click()
    dark = ground()
    assert dark != light
    page.reload()
    assert ground() == dark
    page.get_by_role("button", name="Show the page light").click()
    assert ground() == light


def test_without_scripts_the_page_is_whole(look: Open, report: str) -> None:
    bare, full = look(report, java_script_enabled=False).page, look(report).page
    for section in full.locator("main > section").all():
        name = section.get_attribute("id")
        assert bare.locator(f"#{name} h2").is_visible()
    assert bare.locator("#training svg").first.is_visible()
    assert bare.locator("button.theme").count() == 0
    bare.locator("#training summary").first.click()
    assert bare.locator("#training table").first.is_visible()


def test_the_first_key_leads_to_the_content(look: Open, report: str) -> None:
    page = look(report).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_the_live_page_draws_what_is_new_and_ends_with_the_report(
    look: Open, run: Run, tmp_path: Path
) -> None:
    growing = new_run(Classify.tiny(), tmp_path / "growing")
    with live.server(growing, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            opened = look(f"http://127.0.0.1:{server.server_port}/", PHONE, "dark")
            page = opened.page
            assert page.locator("#status").inner_text() == "The data are being read."
            for name in ("data.json", "metrics.jsonl"):
                shutil.copyfile(run.path / name, growing.path / name)
            page.locator("#news svg").first.wait_for(timeout=10_000)
            assert page.locator("#status").inner_text().startswith("Epoch")
            assert opened.overflow() == 0
            assert opened.faults() == []
            for name in ("report.html", "model.safetensors"):
                shutil.copyfile(run.path / name, growing.path / name)
            page.get_by_role("link", name="Read the report").click(timeout=10_000)
            assert page.locator("#confusion h2").is_visible()
        finally:
            server.shutdown()
            thread.join()
