"""Time of an answer: simplecell's nets beside torchvision's at 224 px, and the ways to run one net.

    python benchmarks/inference.py [--json]

The first table: both sides have the same random weights, float32, two threads and the same normalised
pictures:

- torchvision: its net as it comes, eager, pictures as N, C, H, W;
- ours: batch norms folded into the convolutions, channels last.

The sides take turns, and each turn of ours is compared with the one beside it: the ratio is the median over
turns, with its quartiles. Before the clock starts the sides have to agree.

The goal: at least 1.1 times faster on every net that has batch normalisation.

The second table runs a net in four ways, from fitted uint8 pictures to probabilities: eager as it is trained,
ours (folded, channels last), and exported to ONNX in float32 and in 8-bit whole numbers. ResNet-50 has random
weights; MNIST's net is trained first, so that what whole numbers cost is known on the 10,000 test digits.

The goals: whole numbers at least 1.8 times faster than ONNX in float32 where the processor has instructions
for them (VNNI), for less than half a point of accuracy. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn

import simplecell as sc
from simplecell import mnist, nets
from simplecell.commands.export import fitted_pictures
from simplecell.commands.opening import answering
from simplecell.data.geometry import Geometry
from simplecell.export import writing
from simplecell.export.described import FITTED
from simplecell.export.quantising import quantise
from simplecell.export.session import Session
from simplecell.nets.folding import fold
from simplecell.nets.normalising import Normalised
from simplecell.tasks.classify import Classify

THREADS, SIZE, CLASSES, GOAL = 2, 224, 1000, 1.1
#: Our names, and torchvision's with what it is made with.
NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet18": ("resnet18", {}),
    "resnet50": ("resnet50", {}),
    "vgg11-bn": ("vgg11_bn", {}),
    "googlenet": ("googlenet", {"init_weights": False}),
}
#: Turns of each side by batch size.
TURNS = {1: 20, 16: 6}
#: How far apart answers may be, in deviations of the logits.
AGREEMENT = 1e-4
#: Batches and turns of the nets that are run in four ways, and the goals of whole numbers.
WAYS = {"resnet50": {1: 20, 8: 8}, "mnist": {1: 200, 64: 60}}
INT8_GOAL, MOST_LOST = 1.8, 0.5


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """torchvision's net and ours with its weights, ready to answer."""
    theirs_name, options = NETS[name]
    theirs = getattr(torchvision.models, theirs_name)(num_classes=CLASSES, **options).eval()
    # As after training: statistics of norms that are not 0 and 1.
    for layer in theirs.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    ours = nets.build(name, channels=3, classes=CLASSES, height=SIZE, width=SIZE)
    ours.load_state_dict(theirs.state_dict())
    return theirs, fold(ours).to(memory_format=torch.channels_last)


def ratio_of(
    sides: dict[str, Callable[[], Any]], turns: int, slow: str = "torchvision", fast: str = "ours"
) -> dict[str, Any]:
    """Median seconds of each side, and those of ``slow`` over ``fast`` turn by turn: quartiles and median."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns + 2):
        for name, answer in sides.items():
            begun = time.perf_counter()
            answer()
            times[name].append(time.perf_counter() - begun)
    times = {name: spent[2:] for name, spent in times.items()}  # 2 warm it up
    ratios = [theirs / ours for theirs, ours in zip(times[slow], times[fast], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    seconds = {name: statistics.median(spent) for name, spent in times.items()}
    return {"seconds": seconds, "ratio": middle, "quartiles": [low, high]}


def figures(name: str, batch: int) -> dict[str, Any]:
    """One row of the table."""
    torch.manual_seed(0)
    theirs, ours = pair(name)
    pictures = torch.randn(batch, 3, SIZE, SIZE)
    laid_out = pictures.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        apart = disagreement(theirs(pictures), ours(laid_out))
        if apart > AGREEMENT:
            sys.exit(f"{name}: the sides' answers differ by {apart:.1e} deviations")
        found = ratio_of(
            {"torchvision": lambda: theirs(pictures), "ours": lambda: ours(laid_out)}, TURNS[batch]
        )
    return {"net": name, "batch": batch, **found, "reached": found["ratio"] >= GOAL}


def disagreement(theirs: Tensor, ours: Tensor) -> float:
    """The largest difference of logits, in deviations of theirs."""
    return float((theirs - ours).abs().max() / theirs.std())


def line(row: dict[str, Any]) -> str:
    """The row as markdown."""
    low, high = row["quartiles"]
    theirs, ours = (f"{1000 * row['seconds'][side]:.1f} ms" for side in ("torchvision", "ours"))
    ratio = f"{row['ratio']:.2f} ({low:.2f}–{high:.2f})" + ("" if row["reached"] else " MISSED")
    return f"| {row['net']} | {row['batch']} | {theirs} | {ours} | {ratio} |"


def has_vnni() -> bool:
    """Whether the processor multiplies and adds 8-bit whole numbers in one instruction; Linux tells."""
    with contextlib.suppress(OSError):
        return "vnni" in Path("/proc/cpuinfo").read_text()
    return False


def resnet50() -> tuple[nn.Module, dict[str, Any], NDArray[np.uint8]]:
    """The net, its meaning and pictures to calibrate on: no more than noise, for the time alone."""
    torch.manual_seed(0)
    body, _ = pair("resnet50")
    geometry = Geometry(SIZE, SIZE)
    meaning = {"classes": [str(k) for k in range(CLASSES)], "geometry": geometry.to_json()}
    pictures = np.random.default_rng(0).integers(0, 256, (16, 3, SIZE, SIZE), np.uint8)
    return Normalised(body, [0.45] * 3, [0.25] * 3).eval(), meaning, pictures


def four_ways(
    net: nn.Module, meaning: dict[str, Any], calibrating: NDArray[np.uint8]
) -> dict[str, Callable[[NDArray[np.uint8]], NDArray[np.float32]]]:
    """From fitted pictures, uint8 N, C, H, W, to probabilities N, classes."""
    ours = Classify().export(answering(net), meaning)
    core = writing.core(ours)
    whole = quantise(core, calibrating)
    sessions = {
        name: Session(model.SerializeToString(), name) for name, model in (("onnx", core), ("int8", whole))
    }

    def torch_way(module: nn.Module, memory_format: torch.memory_format) -> Any:
        def answer(fitted: NDArray[np.uint8]) -> Any:
            with torch.inference_mode():
                pictures = torch.from_numpy(fitted).contiguous(memory_format=memory_format)
                return module(pictures).numpy()

        return answer

    def onnx_way(name: str) -> Any:
        return lambda fitted: sessions[name].run({FITTED: fitted})["scores"]

    eager = nn.Sequential(net.to(memory_format=torch.contiguous_format), nn.Softmax(1))
    return {
        "eager": torch_way(eager, torch.contiguous_format),
        "ours": torch_way(ours.net, torch.channels_last),
        "onnx": onnx_way("onnx"),
        "int8": onnx_way("int8"),
    }


def measured_ways(name: str, ways: dict[str, Any], shape: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Rows of the second table."""
    for batch, turns in WAYS[name].items():
        pictures = np.random.default_rng(1).integers(0, 256, (batch, *shape), np.uint8)
        apart = float(np.abs(ways["eager"](pictures) - ways["onnx"](pictures)).max())
        if apart > AGREEMENT:
            sys.exit(f"{name}: the ways' answers differ by {apart:.1e}")
        sides = {key: partial(answer, pictures) for key, answer in ways.items()}
        found = ratio_of(sides, turns, "onnx", "int8")
        yield {"net": name, "batch": batch, **found, "reached": found["ratio"] >= INT8_GOAL or not has_vnni()}


def mnist_ways() -> tuple[dict[str, Any], dict[str, Any]]:
    """The four ways of a net that has learnt MNIST, and what whole numbers cost it on the test digits."""
    with tempfile.TemporaryDirectory() as folder:
        trained = sc.train("classify", mnist.path(), out=Path(folder) / "run", epochs=2, threads=THREADS)
        opened = trained.opened
        splits = opened.task.load()
        ways = four_ways(opened.net, dict(opened.meaning), fitted_pictures(splits.train, 256))
        rows = np.arange(len(splits.test))
        right: dict[str, float] = {}
        for name in ("onnx", "int8"):
            batches = (splits.test.batch(part) for part in np.array_split(rows, 100))
            right[name] = float(
                np.concatenate(
                    [ways[name](b["picture"].numpy()).argmax(1) == b["label"].numpy() for b in batches]
                ).mean()
            )
    lost = 100 * (right["onnx"] - right["int8"])
    return ways, {"digits": len(rows), **right, "points_lost": lost, "reached": lost < MOST_LOST}


def ways_line(row: dict[str, Any]) -> str:
    """The row as markdown."""
    times = " | ".join(f"{1000 * seconds:.2f} ms" for seconds in row["seconds"].values())
    low, high = row["quartiles"]
    ratio = f"{row['ratio']:.2f} ({low:.2f}–{high:.2f})" + ("" if row["reached"] else " MISSED")
    return f"| {row['net']} | {row['batch']} | {times} | {ratio} |"


def second_table(as_json: bool) -> dict[str, Any]:
    """Rows of the four ways, and what whole numbers cost."""
    if not as_json:
        print("\n| net | batch | eager | ours | ONNX | ONNX int8 | int8 faster (quartiles) |")
        print("|---|---|---|---|---|---|---|")
    ways, cost = mnist_ways()
    rows = []
    for name, each, shape in (
        ("mnist", ways, (1, 28, 28)),
        ("resnet50", four_ways(*resnet50()), (3, SIZE, SIZE)),
    ):
        for row in measured_ways(name, each, shape):
            rows.append(row)
            if not as_json:
                print(ways_line(row), flush=True)
    if not as_json:
        print(
            f"\nMNIST's {cost['digits']:,} test digits: {cost['onnx']:.4f} in float32, {cost['int8']:.4f} in "
            f"whole numbers" + ("" if cost["reached"] else " MISSED")
        )
    return {"ways": rows, "mnist": cost, "vnni": has_vnni()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    as_json = parser.parse_args().json
    torch.set_num_threads(THREADS)
    if not as_json:
        print("| net | batch | torchvision | simplecell | times faster (quartiles) |\n|---|---|---|---|---|")
    rows = []
    for name in NETS:
        for batch in TURNS:
            rows.append(figures(name, batch))
            if not as_json:
                print(line(rows[-1]), flush=True)
    second = second_table(as_json)
    reached = all(row["reached"] for row in (*rows, *second["ways"], second["mnist"]))
    if as_json:
        document = {
            "answers": rows,
            **second,
            "threads": THREADS,
            "torch": torch.__version__,
            "reached": reached,
        }
        print(json.dumps(document, indent=2))
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
