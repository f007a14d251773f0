"""simplecell serve under load: what a net costs beside the server itself, and what is lost when it is killed.

    python benchmarks/serve.py [--json] [--run RUN] [--requests N] [--large N] [--rounds N] [--no-kill]

The load comes from this process over 64 kept connections on loopback; the servers are processes of their
own. A small run shows that all works: --requests 1000 --large 64 --rounds 1.

- MNIST: the net of `simplecell demo`, exported to ONNX (made first where --run names neither a run nor a
  file), and a constant net behind the same server, in turns; the ratio is the median over turns. Each answer
  is compared with what the net says when it is asked without the server. Goal: nothing failed or wrong, at
  least 0.7 of the constant net's rate.
- ResNet-50 of this package with random weights, as an ONNX file, at 224 px, eight pictures at once, beside
  ONNX Runtime alone with the same file, pictures, batch and threads, in turns. Goal: at least 0.95 of its
  rate.
- Killed: under load, the MNIST server is stopped by SIGTERM and begun again, then by SIGKILL and begun again.
  Goal: each request is answered, refused, or ends with its connection; none is wrong, none is lost. On
  SIGTERM the connections alone may break that come at the moment when it ceases to listen.

Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import cycle, islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simplecell import mnist

sys.path.insert(0, str(Path(__file__).parent))

from peers.load import Outcomes, Request, ask, post

CONNECTIONS, THREADS = 64, 2
GOAL_MNIST, GOAL_LARGE = 0.7, 0.95
DIGITS, PHOTOS, BATCH, SIZE, CLASSES = 10_000, 64, 8, 224, 1000
#: How far scores may be apart: the size of a batch moves the last bits.
AGREEMENT = 1e-4


# ---- servers


class Server:
    """A server in a process of its own, that can be ended and begun again at its port."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._words = [sys.executable, *words, "--port", str(self.port)]
        self._log = folder / f"{self.port}.log"
        self.begin()

    def begin(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
        with self._log.open("w") as log:
            self.process = subprocess.Popen(self._words, stderr=log, env=environment)
        while "serving" not in self._log.read_text(errors="replace"):
            if self.process.poll() is not None:
                sys.exit(f"the server ended:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def end(self, sign: signal.Signals) -> int:
        """Its exit status."""
        self.process.send_signal(sign)
        return self.process.wait(60)


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Server]:
    server = Server(words, folder)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def constant(port: int) -> int:
    """The same server with a net that looks at no picture."""
    from simplecell.predictions import ClassAsk, ClassPrediction
    from simplecell.serve.limits import Limits
    from simplecell.serve.model import Model, Source
    from simplecell.serve.server import serve

    top = [(str(k), 0.2) for k in range(5)]

    def answer(pairs: Sequence[tuple[str, Any]], asked: Any) -> list[ClassPrediction]:
        return [ClassPrediction(path, "0", 0.2, top) for path, _ in pairs]

    model = Model("classify", "0" * 64, {"classes": list("0123456789")}, ClassAsk, answer)
    source = Source("constant", None, lambda: model)
    return serve([source], Limits(), host="127.0.0.1", port=port, token=None, cors=())


# ---- requests and what is right


def png(picture: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def right(name: str, score: float) -> Callable[[bytes], bool]:
    """Whether an answer has this class with this score."""

    def check(body: bytes) -> bool:
        (found,) = json.loads(body)["predictions"]
        return bool(found["class"] == name and abs(found["score"] - score) < AGREEMENT)

    return check


def digits(run: Path, count: int) -> list[Request]:
    """MNIST's test pictures as PNG, each with what the net says without the server."""
    import torch

    from simplecell.commands.opening import open_net
    from simplecell.data.sources import read_source
    from simplecell.export.session import Exported
    from simplecell.predictions import ClassAsk

    pictures = read_source(mnist.path()).tables["test"].pictures
    read = [pictures.read(k) for k in range(min(count, DIGITS))]
    inputs = [(str(k), picture) for k, picture in enumerate(read)]
    if run.suffix == ".onnx":
        answers = list(Exported(run, THREADS).predict(inputs, ClassAsk()))
    else:
        opened = open_net(run, device="cpu", threads=THREADS)
        with torch.inference_mode():
            answers = list(opened.task.predict(opened.answering, opened.meaning, inputs, ClassAsk()))
    told = [answer.to_json() for answer in answers]
    return [
        (post("/v1/predict", png(picture[:, :, 0])), right(each["class"], each["score"]))
        for picture, each in zip(read, told, strict=True)
    ]


def photos() -> list[Any]:
    """Pictures of soft noise, uint8 H, W, 3, which weigh as JPEG what photographs do."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (PHOTOS, 28, 28, 3), np.uint8)
    return [
        np.asarray(Image.fromarray(each).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for each in small
    ]


def as_jpeg(picture: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90)
    return file.getvalue()


def export_resnet(path: Path) -> None:
    """resnet50 with random weights as `simplecell export` would write it."""
    import onnx
    import torch
    from torch import nn

    from simplecell import nets
    from simplecell.data.geometry import Geometry
    from simplecell.export import writing
    from simplecell.export.described import Description
    from simplecell.export.exportable import Exportable
    from simplecell.nets.folding import fold
    from simplecell.nets.normalising import Normalised

    torch.manual_seed(0)
    body = nets.build("resnet50", channels=3, classes=CLASSES, height=SIZE, width=SIZE)
    net = Normalised(body, [0.5] * 3, [0.25] * 3).eval()
    about = {"classes": [f"class {k}" for k in range(CLASSES)]}
    geometry = Geometry(SIZE, SIZE, "crop", 3)
    exportable = Exportable(nn.Sequential(fold(net), nn.Softmax(1)), geometry, ("scores",), "classes", about)
    description = Description("classify", "0" * 64, geometry.to_json(), "classes", about)
    onnx.save(writing.whole(writing.core(exportable), exportable, description), str(path))


# ---- the three parts


def fair(found: Outcomes) -> bool:
    return found.right == found.all and found.right > 0


def told(found: Sequence[Outcomes]) -> dict[str, Any]:
    """Several turns as one."""
    whole = Outcomes(seconds=[s for each in found for s in each.seconds])
    return {
        "requests": sum(each.all for each in found),
        "failed": sum(each.all - each.right - each.wrong for each in found),
        "wrong": sum(each.wrong for each in found),
        "a_second": statistics.median(each.all / each.elapsed for each in found),
        "p50": whole.quantile(0.5),
        "p99": whole.quantile(0.99),
    }


def small_net(
    run: Path, requests: Sequence[Request], count: int, rounds: int, folder: Path
) -> dict[str, Any]:
    """The net of MNIST and a constant one, in turns."""
    any_answer = [(request, lambda body: True) for request, _ in requests]
    ours: list[Outcomes] = []
    bare: list[Outcomes] = []
    with (
        serving(folder, "-m", "simplecell", "serve", f"digits={run}", "--threads", "1") as net,
        serving(folder, __file__, "--constant") as empty,
    ):
        for server in (net, empty):  # warms up
            ask(server.port, list(islice(cycle(any_answer), 1000)), CONNECTIONS)
        for turn in range(rounds):
            share = count // rounds
            start = turn * share % len(requests)
            ours.append(ask(net.port, islice(cycle(requests), start, start + share), CONNECTIONS))
            bare.append(ask(empty.port, islice(cycle(any_answer), start, start + share), CONNECTIONS))
    ratios = [b.elapsed / o.elapsed for o, b in zip(ours, bare, strict=True)]
    ratio = statistics.median(ratios)
    sound = all(map(fair, ours + bare))
    return {
        "net": told(ours),
        "constant": told(bare),
        "ratio": ratio,
        "ratios": ratios,
        "goal": GOAL_MNIST,
        "reached": sound and ratio >= GOAL_MNIST,
    }


def large_net(count: int, rounds: int, folder: Path) -> dict[str, Any]:
    """ResNet-50 behind the server and in ONNX Runtime alone, in turns."""
    import onnxruntime

    path = folder / "resnet50.onnx"
    export_resnet(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    alone = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    contents = [as_jpeg(picture) for picture in photos()]
    decoded = [np.asarray(Image.open(BytesIO(content))) for content in contents]
    batches = [np.stack(decoded[at : at + BATCH]) for at in range(0, PHOTOS, BATCH)]
    scores = np.concatenate([alone.run(None, {"picture": batch})[0] for batch in batches])
    requests = [
        (post("/v1/predict", content), right(f"class {each.argmax()}", float(each.max())))
        for content, each in zip(contents, scores, strict=True)
    ]
    share = count // rounds
    ours: list[Outcomes] = []
    rates: list[float] = []
    words = ("-m", "simplecell", "serve", str(path), "--threads", str(THREADS), "--batch-size", str(BATCH))
    with serving(folder, *words) as server:
        ask(server.port, requests, CONNECTIONS)  # warms up
        for _ in range(rounds):
            began = time.perf_counter()
            for batch in islice(cycle(batches), max(1, share // BATCH)):
                alone.run(None, {"picture": batch})
            rates.append(max(1, share // BATCH) * BATCH / (time.perf_counter() - began))
            ours.append(ask(server.port, islice(cycle(requests), share), CONNECTIONS))
    ratios = [each.all / each.elapsed / rate for each, rate in zip(ours, rates, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "net": told(ours),
        "alone_a_second": statistics.median(rates),
        "ratio": ratio,
        "ratios": ratios,
        "goal": GOAL_LARGE,
        "reached": all(map(fair, ours)) and ratio >= GOAL_LARGE,
    }


def killed(run: Path, requests: Sequence[Request], folder: Path) -> dict[str, Any]:
    """Load without a pause, while the server is stopped and begun again, politely and not."""
    found: dict[str, Any] = {}
    with serving(folder, "-m", "simplecell", "serve", f"digits={run}", "--threads", "1") as server:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            found[sign.name] = _killed(server, sign, requests)
    polite, rude = found.values()
    sound = all(
        part["right"] and not (part["wrong"] or part["failed"] or part["lost"]) for part in (polite, rude)
    )
    # When it is killed, each connection may break once; politely, those alone that came with the very end.
    breaks = rude["broken"] <= CONNECTIONS and polite["broken"] <= CONNECTIONS / 4
    return {**found, "reached": sound and breaks and polite["status"] == 0}


def _killed(server: Server, sign: signal.Signals, requests: Sequence[Request]) -> dict[str, Any]:
    """How requests ended while the server was ended by this signal and begun again."""
    over = threading.Event()
    statuses: list[int] = []

    def kill() -> None:
        time.sleep(2)
        statuses.append(server.end(sign))
        server.begin()
        time.sleep(2)
        over.set()

    killer = threading.Thread(target=kill)
    killer.start()
    found = ask(server.port, takewhile(lambda _: not over.is_set(), cycle(requests)), CONNECTIONS)
    killer.join()
    kinds = ("right", "wrong", "refused", "failed", "broken", "lost")
    return {kind: getattr(found, kind) for kind in kinds} | {"status": statuses[0]}


def demo(folder: Path) -> Path:
    """The net of `simplecell demo`, exported to ONNX, as one would serve it on a small machine."""
    run, file = folder / "demo", folder / "mnist.onnx"
    for words in (["demo", "--out", run], ["export", run, "-o", file]):
        subprocess.run([sys.executable, "-m", "simplecell", *map(str, words)], check=True, stdout=sys.stderr)
    return file


def lines(document: dict[str, Any]) -> Iterator[str]:
    """The document in words."""
    for name, part in document.items():
        verdict = "" if part["reached"] else "  MISSED"
        if name == "killed":
            for sign in ("SIGTERM", "SIGKILL"):
                kinds = ("right", "refused", "broken", "wrong", "failed", "lost")
                shown = ", ".join(f"{part[sign][kind]:,} {kind}" for kind in kinds)
                yield f"{sign}: {shown}; exit status {part[sign]['status']}{verdict}"
            continue
        net = part["net"]
        beside = part["constant"]["a_second"] if name == "mnist" else part["alone_a_second"]
        yield (
            f"{name}: {net['requests']:,} requests, {net['failed']} failed, {net['wrong']} wrong, "
            f"{net['a_second']:,.1f} a second "
            f"(p50 {1000 * net['p50']:.1f} ms, p99 {1000 * net['p99']:.1f} ms) "
            f"beside {beside:,.1f}: {part['ratio']:.3f} (goal {part['goal']}){verdict}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--run", type=Path, help="a run of `simplecell demo`, or its .onnx file; trained where none is named"
    )
    parser.add_argument("--requests", type=int, default=100_000, help="to the MNIST net; 0 leaves it out")
    parser.add_argument("--large", type=int, default=2_000, help="to ResNet-50; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--no-kill", action="store_true", help="leave the kills out")
    parser.add_argument("--constant", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.constant:
        sys.exit(constant(given.port))
    document: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.requests or not given.no_kill:
            run = given.run or demo(folder)
            requests = digits(run, given.requests or DIGITS)
        if given.requests:
            document["mnist"] = small_net(run, requests, given.requests, given.rounds, folder)
        if given.large:
            document["resnet50"] = large_net(given.large, given.rounds, folder)
        if not given.no_kill:
            document["killed"] = killed(run, requests, folder)
    reached = all(part["reached"] for part in document.values())
    if given.json:
        print(
            json.dumps(
                {**document, "threads": THREADS, "connections": CONNECTIONS, "reached": reached}, indent=2
            )
        )
    else:
        print("\n".join(lines(document)))
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
