"""The page in a real browser: answers of every kind, refusals, and the looks."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from paged import DESKTOP, EVIL, PHONE, SEVEN, Look, Served, photo, problem

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev: playwright")


#: On one server; the page begins with the first.
NETS = ("pets", "digits", "finder", "teller", "ages")


# ---- answers of every kind


def test_boxes_lie_where_they_belong_and_other_values_are_listed(served: Served, look: Look) -> None:
    opened = look(served(*NETS))
    opened.page.locator("#model").select_option("finder")
    opened.page.set_input_files("#files", photo(width=400, height=200))
    assert opened.name() == "1 found"
    assert opened.page.locator(".pairs > div").all_inner_texts() == ["sharpness\n2.5", "blurred\nno"]
    box, image = (opened.page.locator(place).bounding_box() for place in (".box", ".frame img"))
    assert box["x"] == pytest.approx(image["x"] + image["width"] / 2, abs=1)
    assert box["y"] == pytest.approx(image["y"] + image["height"] / 2, abs=1)
    assert box["width"] == pytest.approx(image["width"] / 2, abs=1)
    assert opened.page.locator(".box").inner_text() == f"{EVIL} 90.0 %"


@pytest.mark.parametrize(("net", "name"), [("teller", "a dog on a beach"), ("ages", "31.25")])
def test_an_answer_without_a_class_is_told_by_what_it_has(
    served: Served, look: Look, net: str, name: str
) -> None:
    opened = look(served(*NETS))
    opened.page.locator("#model").select_option(net)
    opened.page.set_input_files("#files", photo())
    assert opened.name() == name
    assert net == "teller" or opened.page.locator(".card .why").inner_text() == "years old"


def test_the_options_of_the_net_are_asked_with(served: Served, look: Look) -> None:
    opened = look(served(*NETS))
    page = opened.page
    page.set_input_files("#files", photo())
    opened.name()
    page.get_by_text("Options").click()
    page.get_by_label("top").fill("2")
    page.get_by_label("top").press("Enter")
    playwright.expect(page.locator(".bars li")).to_have_count(2)
    page.get_by_label("order").select_option("worst")
    playwright.expect(page.locator(".card h3")).to_have_text("dog")
    page.get_by_label("reject below").fill("0.9")
    page.get_by_label("reject below").blur()
    playwright.expect(page.locator(".card h3")).to_have_text("No class")
    assert "reject_below" not in opened.predictions[-2]
    before = len(opened.predictions)
    page.get_by_label("top").fill("0")
    page.get_by_label("top").blur()
    assert page.get_by_label("top").evaluate("input => input.validity.rangeUnderflow")
    assert len(opened.predictions) == before


def test_of_two_nets_the_chosen_one_answers_the_same_picture(served: Served, look: Look) -> None:
    opened = look(served(*NETS))
    opened.page.set_input_files("#files", photo())
    assert opened.name() == EVIL
    opened.page.get_by_label("Net").select_option("digits")
    playwright.expect(opened.page.locator(".card h3")).to_have_text("0")
    assert opened.page.locator("h1").inner_text() == "digits"
    assert opened.page.locator("#canvas").is_visible()


# ---- refusals


def test_a_picture_that_is_too_large_gets_the_servers_sentence(served: Served, look: Look) -> None:
    opened = look(served(*NETS))
    opened.page.set_input_files("#files", photo(width=2000, height=1000))
    assert "pixels" in opened.fault()
    assert opened.page.get_by_role("button", name="Ask again").count() == 0


def test_a_busy_server_is_asked_again_when_it_said_so(served: Served, look: Look) -> None:
    refused: list[float] = []

    def busy(route: Any) -> None:
        refused.append(time.monotonic())
        if len(refused) == 1:
            problem(503, "The queue is full.", **{"Retry-After": "1"})(route)
        else:
            route.continue_()

    opened = look(served(*NETS), routes={"**/v1/predict*": busy})
    opened.page.set_input_files("#files", photo())
    assert opened.fault() == "The queue is full. It is asked again in 1 s."
    assert opened.name() == EVIL
    assert refused[1] - refused[0] >= 1


def test_after_a_timeout_the_reader_may_ask_again(served: Served, look: Look) -> None:
    opened = look(
        served(*NETS), routes={"**/v1/predict*": problem(504, "There was no answer within 30 seconds.")}
    )
    opened.page.set_input_files("#files", photo())
    assert opened.fault() == "There was no answer within 30 seconds."
    opened.page.unroute("**/v1/predict*")
    opened.page.get_by_role("button", name="Ask again").click()
    assert opened.name() == EVIL


def test_a_server_that_is_gone_is_told_and_found_again(served: Served, look: Look) -> None:
    opened = look(served(*NETS), routes={"**/v1/models": lambda route: route.abort()})
    notice = opened.page.locator("#notice")
    playwright.expect(notice).to_contain_text("The server does not answer.")
    assert opened.faults() == []
    opened.page.unroute("**/v1/models")
    opened.page.get_by_role("button", name="Try again").click()
    opened.page.set_input_files("#files", photo())
    assert opened.name() == EVIL
    assert not notice.is_visible()


def test_what_is_no_simplecell_is_told_apart(served: Served, look: Look) -> None:
    opened = look(served(*NETS), routes={"**/v1/models": lambda route: route.fulfill(body="<h1>Log in</h1>")})
    playwright.expect(opened.page.locator("#notice")).to_contain_text("no simplecell")


def test_a_token_is_asked_for_and_kept_in_memory_alone(served: Served, look: Look) -> None:
    opened = look(served("pets", token="a-good-token"), PHONE)
    page = opened.page
    field = page.get_by_label("This server asks for its token")
    field.wait_for()
    assert opened.faults() == []
    assert not page.locator("#work").is_visible()
    field.fill("a-bad-token")
    field.press("Enter")
    playwright.expect(page.locator("#token-fault")).to_have_text("The server does not take this token.")
    field.fill(" a-good-token ")
    page.get_by_role("button", name="Go on").click()
    page.set_input_files("#files", photo())
    assert opened.name() == EVIL
    stored = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    assert "token" not in stored
    page.reload()
    field.wait_for()


# ---- for everybody


@pytest.mark.parametrize(
    ("net", "width", "scheme"),
    [
        ("pets", DESKTOP, "light"),
        ("pets", PHONE, "dark"),
        ("digits", DESKTOP, "dark"),
        ("digits", PHONE, "light"),
        ("finder", DESKTOP, "light"),
        ("finder", PHONE, "dark"),
    ],
)
def test_the_page_is_accessible_and_never_wider_than_the_window(
    served: Served, look: Look, net: str, width: int, scheme: str
) -> None:
    opened = look(served(*NETS), width, scheme)
    opened.page.locator("#model").select_option(net)
    assert opened.faults() == []
    opened.page.set_input_files("#files", photo("a" * 120 + ".png", width=400, height=300))
    opened.name()
    opened.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    assert opened.faults() == []
    assert opened.overflow() == 0


def test_a_phone_of_320_pixels_is_wide_enough(served: Served, look: Look) -> None:
    opened = look(served(*NETS), 320)
    opened.page.locator("#model").select_option("digits")
    opened.draw(*SEVEN)
    opened.name()
    assert opened.overflow() == 0


def test_the_first_key_leads_to_the_content(served: Served, look: Look) -> None:
    page = look(served(*NETS)).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
