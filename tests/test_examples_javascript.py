"""examples/onnx-javascript: an exported net answers in a browser what it answers in ONNX Runtime."""

from __future__ import annotations

import functools
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simplecell.cli import main
from simplecell.commands.train import run_training
from simplecell.tasks.classify import Classify

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra export: onnxruntime")
pytest.importorskip("onnxscript", reason="needs the extra export: onnxscript")

_NPM = shutil.which("npm")
_EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx-javascript"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_NPM is None, reason="needs npm on the PATH"),
]


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with a net in it, installed as its README tells."""
    folder = tmp_path_factory.mktemp("example") / "onnx-javascript"
    shutil.copytree(_EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "net.onnx"))
    words = ["install", "--no-audit", "--no-fund", "--ignore-scripts"]
    installed = subprocess.run([str(_NPM), *words], cwd=folder, capture_output=True, text=True, timeout=300)
    if installed.returncode:
        pytest.skip(f"needs npm's registry: {installed.stderr.strip().splitlines()[-1]}")
    run = run_training(Classify.tiny(), folder.parent / "run")
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run.path), "--to", "onnx", "-o", str(folder / "net.onnx")])
    assert ended.value.code == 0
    return folder


@pytest.fixture(scope="module")
def page(browser: Any, folder: Path) -> Iterator[Any]:
    """The example's page, once its net is loaded; it may have complained of nothing."""
    complaints: list[str] = []
    handler = functools.partial(_Silent, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            page = browser.new_page()
            page.on(
                "console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.locator("#photo:enabled").wait_for(timeout=60_000)
            yield page
        finally:
            server.shutdown()
    assert complaints == []


def reference(net: Path, picture: Path) -> Any:
    """What ONNX Runtime answers for the picture as Pillow reads it: the probabilities of the classes."""
    session = onnxruntime.InferenceSession(str(net))
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    return session.run(["scores"], {"picture": pixels[None]})[0][0]


@pytest.mark.parametrize(("kind", "size"), [("png", (123, 77)), ("png", (31, 200)), ("jpg", (160, 120))])
def test_the_browser_answers_as_onnx_runtime_does(
    page: Any, folder: Path, tmp_path: Path, kind: str, size: tuple[int, int]
) -> None:
    width, height = size
    picture = tmp_path / f"bars.{kind}"
    across = np.arange(width) // 9 % 2 * np.linspace(90, 250, height)[:, None]
    Image.fromarray(np.stack([across, across, 255 - across], axis=2).astype(np.uint8)).save(picture)
    page.set_input_files("#photo", picture)
    page.locator("#told").filter(has_text="most likely").wait_for()
    told = page.evaluate(
        """async () => {
          const {answer} = await import("./main.js");
          return answer(document.getElementById("photo").files[0]);
        }"""
    )
    expected = reference(folder / "net.onnx", picture)
    assert len(told) == len(expected) > 1
    scores = sorted(expected, reverse=True)
    # A browser's own JPEG decoder may differ from Pillow's by a level here and there.
    assert [line["score"] for line in told] == pytest.approx(scores, abs=2e-5 if kind == "png" else 2e-2)
    best = page.locator("#answer li").first.inner_text()
    assert best == f"{told[0]['name']}: {100 * told[0]['score']:.1f} %"


def test_the_names_of_the_classes_come_from_the_file(page: Any, folder: Path) -> None:
    onnx = pytest.importorskip("onnx")
    expected = {prop.key: prop.value for prop in onnx.load(folder / "net.onnx").metadata_props}
    told = page.evaluate(
        """async () => {
          const {metadata} = await import("./metadata.js");
          return metadata(new Uint8Array(await (await fetch("net.onnx")).arrayBuffer()));
        }"""
    )
    assert told == expected
    assert "classes" in told
