"""What tests of the page share: the page in a browser, pictures for it, refusals to meet it with."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image

DESKTOP, PHONE = 1280, 360
EVIL = "<script>alert(1)</script>"
SEVEN = ((0.27, 0.22), (0.72, 0.2), (0.6, 0.5), (0.45, 0.85))


def png(width: int = 60, height: int = 40, colour: str = "teal") -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def photo(name: str = "photo.png", **of: Any) -> dict[str, Any]:
    """A picture as a file that is chosen."""
    return {"name": name, "mimeType": "image/png", "buffer": png(**of)}


def problem(status: int, detail: str, **headers: str) -> Callable[[Any], None]:
    """Answers a request as the server would when it refuses."""

    def refuse(route: Any) -> None:
        told = {"type": "about:blank", "title": "t", "status": status, "detail": detail}
        route.fulfill(
            status=status, json=told, headers={**headers, "content-type": "application/problem+json"}
        )

    return refuse


def seen(element: Any) -> Image.Image:
    """What an img or a canvas of the page shows."""
    address = element.evaluate(
        """async (shown) => {
          await shown.decode?.();
          const [width, height] = [shown.naturalWidth ?? shown.width, shown.naturalHeight ?? shown.height];
          const copy = Object.assign(document.createElement("canvas"), {width, height});
          copy.getContext("2d").drawImage(shown, 0, 0);
          return copy.toDataURL();
        }"""
    )
    return Image.open(BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the server answers that it is ready."""
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        try:
            with urlopen(f"{address}readyz") as answer:
                assert answer.status == 200
                return
        except URLError:
            time.sleep(0.05)
    raise AssertionError("the server is not ready")


class Opened:
    """The page in the browser; what it complains of and what it asks for is kept."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[Any] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: self.asked.append(request))

    def _heard(self, message: Any) -> None:
        # That a request was refused the browser tells in its own words; the page has told it in the reader's.
        own = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not own:
            self.complaints.append(message.text)

    @property
    def predictions(self) -> list[str]:
        """The addresses of the requests for answers, in order."""
        return [request.url for request in self.asked if "/v1/predict" in request.url]

    def name(self) -> str:
        """What the answer says in large, once it is there."""
        return str(self.page.locator(".card h3").first.inner_text(timeout=10_000))

    def fault(self) -> str:
        """The sentence in the place of an answer."""
        return str(self.page.locator(".card .fault").first.inner_text(timeout=10_000))

    def faults(self) -> list[str]:
        """What axe-core finds: its rule and the first place."""
        from axe_playwright_python.sync_playwright import Axe

        violations = Axe().run(self.page).response["violations"]
        return [f"{v['impact']}: {v['id']} at {v['nodes'][0]['html'][:200]}" for v in violations]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(wide))

    def draw(self, *points: tuple[float, float]) -> None:
        """A stroke with the mouse; points are shares of the pad's sides."""
        self.page.locator("#canvas").wait_for()
        pad = self.page.locator("#canvas").bounding_box()
        places = [(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=5)
        self.page.mouse.up()


Look = Callable[..., Opened]
Served = Callable[..., str]
