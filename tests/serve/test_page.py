"""The page in a real browser, before the real server: pictures in by every way, and by everybody."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from paged import EVIL, PHONE, SEVEN, Look, Served, photo, png, seen

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev: playwright")


# ---- pictures in


def test_a_chosen_photo_is_answered(served: Served, look: Look) -> None:
    opened = look(served("pets"))
    opened.page.set_input_files("#files", photo("my cat.png"))
    assert opened.name() == EVIL
    card = opened.page.locator(".card")
    assert card.locator(".file").inner_text() == "my cat.png"
    assert card.locator(".score").inner_text() == "75.0 %"
    assert card.locator(".bars li").all_inner_texts() == [f"{EVIL}\n75.0 %", "cat\n12.5 %", "dog\n12.5 %"]
    widths = card.locator(".bar").evaluate_all(
        "bars => bars.map(b => parseFloat(getComputedStyle(b, '::before').width))"
    )
    assert widths[0] / widths[1] == pytest.approx(6, rel=0.01)


def test_what_went_with_the_answer_is_shown_beside_the_picture(served: Served, look: Look) -> None:
    opened = look(served("pets"))
    opened.page.set_input_files("#files", photo(colour="#ff0000"))
    opened.name()
    figures = opened.page.locator(".card figure")
    assert figures.locator("figcaption").all_inner_texts() == [
        "the picture sent",
        f"where the net looked: {EVIL}",
    ]
    colours = [seen(figures.nth(k).locator("img")).getpixel((5, 5)) for k in range(2)]
    assert colours == [(255, 0, 0), (0, 255, 255)]


def test_a_dropped_photo_is_answered(served: Served, look: Look) -> None:
    opened = look(served("pets"))
    opened.page.locator("#work").wait_for()
    transfer = opened.page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          const file = Uint8Array.from(atob(bytes), (sign) => sign.charCodeAt(0));
          transfer.items.add(new File([file], "dropped.png", {type: "image/png"}));
          return transfer;
        }""",
        base64.b64encode(png()).decode(),
    )
    for kind in ("dragenter", "dragover"):
        opened.page.dispatch_event("body", kind, {"dataTransfer": transfer})
    assert "over" in str(opened.page.get_attribute("#drop", "class"))
    opened.page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    assert opened.name() == EVIL
    assert opened.page.locator(".card .file").inner_text() == "dropped.png"
    assert "over" not in str(opened.page.get_attribute("#drop", "class"))


def test_a_pasted_photo_is_answered(served: Served, look: Look) -> None:
    opened = look(served("pets"))
    opened.page.locator("#work").wait_for()
    opened.page.evaluate(
        """bytes => {
          const clipboardData = new DataTransfer();
          const file = Uint8Array.from(atob(bytes), (sign) => sign.charCodeAt(0));
          clipboardData.items.add(new File([file], "image.png", {type: "image/png"}));
          document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true}));
        }""",
        base64.b64encode(png()).decode(),
    )
    assert opened.name() == EVIL


def test_a_phone_offers_its_camera(served: Served, look: Look) -> None:
    opened = look(served("pets"), PHONE)
    camera = opened.page.locator("#camera")
    assert camera.get_attribute("capture") == "environment"
    assert opened.page.get_by_text("Take a photo").is_visible()
    camera.set_input_files(photo())
    assert opened.name() == EVIL
    assert "ink" not in opened.predictions[0]


def test_what_is_photographed_for_a_net_that_reads_digits_is_ink_on_paper(served: Served, look: Look) -> None:
    opened = look(served("digits"), PHONE)
    opened.page.set_input_files("#camera", photo())
    assert opened.name() == "9"
    opened.page.set_input_files("#files", photo())
    playwright.expect(opened.page.locator(".card h3")).to_have_text("0")


def test_what_is_dropped_and_is_no_file_is_told_and_the_page_stays(served: Served, look: Look) -> None:
    opened = look(served("pets"))
    opened.page.locator("#work").wait_for()
    drop = "document.body.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true}))"
    assert opened.page.evaluate(drop) is False  # or the browser would go to what was dropped
    assert opened.page.locator("#drop-fault").inner_text().startswith("That was no file.")


def test_several_pictures_become_a_list_and_a_broken_one_spoils_no_other(served: Served, look: Look) -> None:
    opened = look(served("pets"), PHONE)
    text = {"name": "notes.heic", "mimeType": "image/heic", "buffer": b"no picture"}
    opened.page.set_input_files("#files", [photo("a.png"), text, *[photo(f"{k}.png") for k in range(6)]])
    status = opened.page.locator("#status")
    playwright.expect(status).to_have_text("8 pictures were answered.", timeout=10_000)
    cards = opened.page.locator(".card")
    names = ["a.png", "notes.heic", *[f"{k}.png" for k in range(6)]]
    assert cards.locator(".file").all_inner_texts() == names
    assert [cards.nth(k).locator("h3").count() for k in range(8)] == [1, 0, 1, 1, 1, 1, 1, 1]
    assert "notes.heic" in opened.fault()
    assert opened.overflow() == 0
    assert opened.faults() == []


def test_a_picture_that_is_quicker_than_the_list_of_nets_waits_for_it(served: Served, look: Look) -> None:
    held: list[Any] = []
    opened = look(served("pets"), routes={"**/v1/models": lambda route: held.append(route)})
    opened.page.set_input_files("#files", photo())
    held.pop().continue_()
    assert opened.name() == EVIL


# ---- the pad


def test_a_drawn_digit_is_sent_as_ink_on_paper(served: Served, look: Look) -> None:
    opened = look(served("digits"), scheme="dark")
    opened.draw(*SEVEN)
    assert opened.name() == "9"  # the net answers so to ink
    assert "ink=true" in opened.predictions[0]
    # The browser keeps a form's files to itself; what the page shows as sent is the same file.
    sent = seen(opened.page.locator(".card .frame img")).convert("L")
    assert sent.size == (280, 280)
    assert sent.getpixel((2, 2)) > 240 > 60 > sent.getpixel((140, 59))  # in the dark scheme too


def test_the_pad_is_undone_stroke_by_stroke_and_cleared(served: Served, look: Look) -> None:
    opened = look(served("digits"))
    undo, clear = opened.page.locator("#undo"), opened.page.locator("#clear")

    def dark() -> int:
        return sum(seen(pad).convert("L").histogram()[:128])

    pad = opened.page.locator("#canvas")
    assert undo.is_disabled() and clear.is_disabled()
    opened.draw((0.2, 0.2), (0.8, 0.2))
    one = dark()
    opened.draw((0.2, 0.8), (0.8, 0.8))
    assert dark() > 1.5 * one > 0
    undo.click()
    assert dark() == one
    opened.name()
    clear.click()
    assert dark() == 0
    assert opened.page.locator(".card").count() == 0
    assert undo.is_disabled() and clear.is_disabled()


def test_a_finger_draws_without_scrolling_the_page(served: Served, look: Look) -> None:
    opened = look(served("digits"), PHONE, has_touch=True, is_mobile=True)
    pad = opened.page.locator("#canvas")
    pad.wait_for()
    assert pad.evaluate("pad => getComputedStyle(pad).touchAction") == "none"
    box = pad.bounding_box()
    touch = opened.page.context.new_cdp_session(opened.page)
    for kind, y in (("touchStart", 0.2), ("touchMove", 0.5), ("touchMove", 0.8), ("touchEnd", None)):
        points = [] if y is None else [{"x": box["x"] + box["width"] / 2, "y": box["y"] + y * box["height"]}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert opened.name() == "9"
    # The answer's name is in sight, and so is most of the pad.
    assert opened.page.locator(".card h3").evaluate(
        "name => name.getBoundingClientRect().bottom <= innerHeight"
    )
    assert pad.evaluate("pad => pad.getBoundingClientRect().bottom") > 150


def test_the_keys_alone_draw_and_get_an_answer(served: Served, look: Look) -> None:
    opened = look(served("digits"))
    page = opened.page
    page.locator("#work").wait_for()
    for _ in range(5):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "canvas":
            break
    for key in ["ArrowLeft"] * 5 + ["ArrowUp"] * 6 + [" "] + ["ArrowRight"] * 10:
        page.keyboard.press(key)
    page.keyboard.down("ArrowDown")
    for _ in range(8):
        page.keyboard.press("ArrowLeft")  # aslant, while the other is held
    page.keyboard.up("ArrowDown")
    page.keyboard.press("Enter")
    assert opened.name() == "9"
    assert len(opened.predictions) == 1
    sent = seen(page.locator(".card .frame img")).convert("L")
    # From (7, 6) of 24 right to 17, down to 7, and eight aslant to (9, 15); half way of that is ink.
    assert (
        sent.getpixel((280 * 13 // 24, 280 * 11 // 24))
        < 60
        < 200
        < sent.getpixel((280 * 9 // 24, 280 * 11 // 24))
    )
    page.keyboard.press("Backspace")
    playwright.expect(page.locator(".card")).to_have_count(0)


def test_the_keys_alone_choose_a_file(served: Served, look: Look) -> None:
    opened = look(served("pets"))
    page = opened.page
    choosers: list[Any] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    page.locator("#work").wait_for()
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "files":
            break
    assert page.evaluate("document.activeElement.id") == "files"
    outline = page.locator("label[for=files]").evaluate("label => getComputedStyle(label).outlineStyle")
    assert outline == "solid"  # the focus is seen, though the input itself is not
    page.keyboard.press("Enter")
    for _ in range(500):
        if not choosers:
            page.wait_for_timeout(20)
    choosers[0].set_files(photo())
    assert opened.name() == EVIL
    assert page.locator("#status").inner_text() == f"{EVIL}, 75.0 %"


def test_a_net_that_reads_no_digits_has_no_pad(served: Served, look: Look) -> None:
    opened = look(served("pets"))
    opened.page.locator("#work").wait_for()
    assert not opened.page.locator("#canvas").is_visible()
