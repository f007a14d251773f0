"""What tests of the page stand on: a server with nets that have learnt nothing, and a browser."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from paged import DESKTOP, Look, Opened, Served, wait_for

_NETS = Path(__file__).with_name("page_nets.py")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The address of a server with nets of these names; equal ones are the same server."""
    pytest.importorskip("uvicorn", reason="needs the extra serve: fastapi, uvicorn")
    running: dict[tuple[str, ...], tuple[str, subprocess.Popen[bytes]]] = {}

    def at(*names: str, token: str = "") -> str:
        key = (token, *names)
        if key not in running:
            with closing(socket.create_server(("127.0.0.1", 0))) as free:
                port = free.getsockname()[1]
            process = subprocess.Popen([sys.executable, _NETS, str(port), token, *names])
            running[key] = (f"http://127.0.0.1:{port}/", process)
            wait_for(running[key][0], process)
        return running[key][0]

    yield at
    for _, process in running.values():
        process.terminate()
    assert [process.wait(20) for _, process in running.values()] == [0] * len(running)


@pytest.fixture
def look(browser: Any) -> Iterator[Look]:
    """Opens the page; at the end nothing may have been complained of, nor asked of anybody else."""
    contexts: list[Any] = []
    pages: list[Opened] = []

    def at(
        address: str, width: int = DESKTOP, scheme: str = "light", routes: Any = None, **options: Any
    ) -> Opened:
        window = {"width": width, "height": 800}
        contexts.append(browser.new_context(viewport=window, color_scheme=scheme, **options))
        pages.append(Opened(contexts[-1].new_page()))
        for pattern, handler in (routes or {}).items():
            pages[-1].page.route(pattern, handler)
        pages[-1].page.goto(address)
        return pages[-1]

    yield at
    for context in contexts:
        context.close()
    for opened in pages:
        home = re.match(r"http://[^/]+/", opened.page.url)
        assert home is not None
        own = (home.group(), f"blob:{home.group()}", "data:")
        assert [request.url for request in opened.asked if not request.url.startswith(own)] == []
        assert opened.complaints == []
