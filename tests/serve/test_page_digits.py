"""What the page is for: a digit that is drawn on it is read by a net that has learnt MNIST."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from paged import PHONE, SEVEN, Look, seen, wait_for

from simplecell import mnist
from simplecell.commands.train import run_training
from simplecell.learn.settings import Machine, Training
from simplecell.run import Run
from simplecell.tasks.classify import Classify

#: Digits to learn from and to test with: seconds of training.
_LEARNT, _TESTED = 8_000, 500


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A net that has learnt some of MNIST."""
    folder = tmp_path_factory.mktemp("digits")
    for side, count in (("train", _LEARNT), ("t10k", _TESTED)):
        for kind, head, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            whole = gzip.decompress((mnist.path() / f"{side}-{kind}-ubyte.gz").read_bytes())
            counted = whole[:4] + count.to_bytes(4, "big") + whole[8:head]
            (folder / f"{side}-{kind}-ubyte").write_bytes(counted + whole[head : head + count * size])
    training = Training(epochs=2.0, learning_rate=0.02)
    machine = Machine(threads=1, device="cpu", precision="float32")
    return run_training(Classify(data=str(folder), training=training, machine=machine), folder / "run")


@pytest.fixture(scope="module")
def address(digits: Run) -> Iterator[str]:
    """Where ``simplecell serve RUN`` has its page."""
    pytest.importorskip("uvicorn", reason="needs the extra serve: fastapi, uvicorn")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    words = ["-m", "simplecell", "serve", f"digits={digits.path}", "--port", str(port)]
    process = subprocess.Popen([sys.executable, *words])
    wait_for(f"http://127.0.0.1:{port}/", process)
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    assert process.wait(20) == 0


def test_a_drawn_seven_is_read_as_seven_and_the_page_shows_where(address: str, look: Look) -> None:
    opened = look(address)
    opened.draw(*SEVEN)
    assert opened.name() == "7"
    score = opened.page.locator(".card .score").inner_text()
    assert float(score.strip("<> %")) > 50
    # The net learnt light digits on black: what it saw, beneath the heat, is dark where the paper was.
    looked = np.asarray(seen(opened.page.locator(".card figure img").nth(1)))
    assert looked.shape == (28, 28, 3)
    assert looked[0].mean() < looked.max() / 2


def test_a_phone_reads_a_one_and_then_a_seven(address: str, look: Look) -> None:
    opened = look(address, PHONE, "dark")
    opened.draw((0.5, 0.15), (0.5, 0.85))
    assert opened.name() == "1"
    opened.page.get_by_role("button", name="Clear").click()
    opened.draw(*SEVEN)
    assert opened.name() == "7"
    assert opened.faults() == []
    assert opened.overflow() == 0
