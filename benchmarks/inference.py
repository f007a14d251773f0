"""Time of an answer at 224 px: simplecell's nets beside torchvision's.

    python benchmarks/inference.py [--json]

Both sides have the same random weights, float32, two threads and the same normalised pictures:

- torchvision: its net as it comes, eager, pictures as N, C, H, W;
- ours: batch norms folded into the convolutions, channels last.

The sides take turns, and each turn of ours is compared with the one beside it: the ratio is the median over
turns, with its quartiles. Before the clock starts the sides have to agree.

The goal: at least 1.1 times faster on every net that has batch normalisation. Exits with 1 when it is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from simplecell import nets
from simplecell.nets.folding import fold

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


def ratio_of(sides: dict[str, Callable[[], Any]], turns: int) -> dict[str, Any]:
    """Median seconds of each side, and torchvision's over ours turn by turn: quartiles and median."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns + 2):
        for name, answer in sides.items():
            begun = time.perf_counter()
            answer()
            times[name].append(time.perf_counter() - begun)
    times = {name: spent[2:] for name, spent in times.items()}  # 2 warm it up
    ratios = [theirs / ours for theirs, ours in zip(times["torchvision"], times["ours"], strict=True)]
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
    reached = all(row["reached"] for row in rows)
    if as_json:
        document = {"answers": rows, "threads": THREADS, "torch": torch.__version__, "reached": reached}
        print(json.dumps(document, indent=2))
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
