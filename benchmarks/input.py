"""Pictures a second, from a folder of JPEGs to normalised float batches at 224 px: simplecell beside PyTorch.

    python benchmarks/input.py [FOLDER] [--json]

FOLDER has a sub-folder of JPEGs a class; without it the script makes one in a temporary folder, of pictures
of 500 × 375 pixels with the spectrum of photographs. Both sides crop at random (8 to 100 % of the area),
resize with antialiasing, mirror half of the pictures and normalise, with two threads or two processes:

- pytorch: ImageFolder, Pillow and torchvision's transforms in a DataLoader of two workers, which stay alive
  between epochs;
- ours: simplecell's cache, augmentation and batches, and the normalisation at the front of its nets.

Epoch 1 begins with nothing: reading the folder, starting workers, filling a new cache are on each side's
time. From then on the sides take turns, and the median epoch counts. Before the clock starts, both sides cut
the same boxes out of the same pictures and have to agree.

The goals: at least 1.5 times faster in epoch 1, 5 times from epoch 2. Exits with 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import datasets, transforms
from torchvision.transforms import functional

from simplecell.data.addressed import Address
from simplecell.data.allocation import keep_large_buffers
from simplecell.data.augment import Augmentation
from simplecell.data.geometry import Geometry
from simplecell.data.loading import PictureExamples
from simplecell.data.prepare import prepare_splits
from simplecell.data.sources import read_source
from simplecell.learn.stages import Stream
from simplecell.learn.streams import Order, batches
from simplecell.nets.normalising import Normalised

SIZE, BATCH, THREADS, LATER_EPOCHS = 224, 32, 2, 5
GOAL_FIRST, GOAL_LATER = 1.5, 5.0
PICTURES, HEIGHT, WIDTH = 1200, 375, 500
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NORMALISED = Normalised(nn.Identity(), MEAN, DEVIATION)
#: How far apart the sides' pictures may be on average, in deviations of a channel: about half a level.
AGREEMENT = 0.01


def make_folder(folder: Path) -> None:
    """JPEGs in two classes: noise whose amplitude falls with its frequency, as in photographs."""

    def make(number: int) -> None:
        random = np.random.default_rng(number)
        picture = np.full((HEIGHT, WIDTH, 3), 128.0)
        for octave in range(1, 9):
            height, width = 1 + 3 * 2**octave // 4, 1 + 2**octave
            noise = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
            smooth = noise.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            picture += (np.asarray(smooth) - 128.0) * 1.6 / 1.6**octave
        path = folder / f"class{number % 2}" / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path, quality=88)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(make, range(PICTURES)))


def our_examples(folder: Path, augmentation: Augmentation, only: int | None = None) -> PictureExamples:
    """The folder, or some pictures of it, as training examples; fills the cache if it is empty."""
    table = next(iter(read_source(folder).tables.values()))
    if only is not None:
        table = table.take(np.unique(np.linspace(0, len(table) - 1, only).astype(np.int64)))
    examples, _ = prepare_splits({"train": table}, set(), Geometry(SIZE, SIZE), augmentation)
    return examples["train"]


class Ours:
    """Epochs as simplecell makes them."""

    def __init__(self, folder: Path) -> None:
        self.examples = our_examples(folder, Augmentation(crop=0.08, flip=True))
        self.order = Order(Stream("train", lambda: self.examples, BATCH), self.examples, seed=0)

    def epoch(self, number: int) -> Iterable[Tensor]:
        a_round = self.order.batches_an_epoch
        made = batches([self.order], number * a_round, (number + 1) * a_round, torch.device("cpu"))
        with torch.inference_mode():
            for batch in made:
                yield NORMALISED(batch["picture"])


class PyTorch:
    """Epochs as one writes them in PyTorch."""

    def __init__(self, folder: Path) -> None:
        steps = [
            transforms.RandomResizedCrop(SIZE),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, DEVIATION),
        ]
        self.loader = torch.utils.data.DataLoader(
            datasets.ImageFolder(str(folder), transforms.Compose(steps)),
            batch_size=BATCH,
            shuffle=True,
            drop_last=True,
            num_workers=THREADS,
            persistent_workers=True,
        )

    def epoch(self, number: int) -> Iterable[Tensor]:
        for pictures, _ in self.loader:
            yield pictures


def disagreement(folder: Path, count: int = 32) -> float:
    """Mean absolute difference of normalised pictures, when both sides cut out the same boxes."""
    augmentation = Augmentation(crop=0.08)
    examples = our_examples(folder, augmentation, only=count)
    chosen = np.arange(len(examples))
    address = Address(0, 0, chosen)
    ours = NORMALISED(examples.batch(chosen, address)["picture"])
    heights, widths = examples.sizes[chosen].T
    boxes = augmentation.boxes(heights, widths, address)
    paths = [path for path, _ in datasets.ImageFolder(str(folder)).samples]
    by_id = {Path(path).relative_to(folder).as_posix(): path for path in paths}
    differences = []
    for row, index in enumerate(chosen):
        picture = datasets.folder.pil_loader(by_id[examples.ids[int(index)]])
        # The cache keeps large pictures smaller: the same box is larger in the file.
        box = boxes[row] * np.tile([picture.height / heights[row], picture.width / widths[row]], 2)
        cut = functional.resized_crop(picture, *np.rint(box).astype(int).tolist(), [SIZE, SIZE])
        theirs = functional.normalize(functional.to_tensor(cut), MEAN, DEVIATION)
        differences.append(float((ours[row] - theirs).abs().mean()))
    return statistics.mean(differences)


def seconds_of(side: Any, number: int) -> float:
    """Seconds of one epoch; every batch is looked at, so that none is left unmade."""
    begun = time.perf_counter()
    for pictures in side.epoch(number):
        if pictures.dtype != torch.float32 or pictures.shape != (BATCH, 3, SIZE, SIZE):
            sys.exit(f"a batch is {pictures.dtype}, {tuple(pictures.shape)}")
    return time.perf_counter() - begun


def measure(folder: Path) -> dict[str, dict[str, float]]:
    """Pictures a second by side: "first" and "later", the median of the epochs after the first."""
    makers: dict[str, Callable[[Path], Any]] = {"pytorch": PyTorch, "ours": Ours}
    sides, first = {}, {}
    for name, make in makers.items():
        begun = time.perf_counter()
        sides[name] = make(folder)
        seconds_of(sides[name], 0)
        first[name] = time.perf_counter() - begun
    later: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(1, 1 + LATER_EPOCHS):
        for name, side in sides.items():
            later[name].append(seconds_of(side, number))
    pictures = len(sides["ours"].examples) // BATCH * BATCH
    return {
        name: {"first": pictures / first[name], "later": pictures / statistics.median(later[name])}
        for name in sides
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="a sub-folder of JPEGs a class")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    keep_large_buffers()  # as simplecell does when it trains; it is the process's, so both sides have it
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary) / "pictures"
        if not asked.folder:
            folder.mkdir()
            make_folder(folder)
        os.environ["SIMPLECELL_CACHE"] = f"{temporary}/cache of the comparison"
        apart = disagreement(folder)
        if apart > AGREEMENT:
            sys.exit(f"the sides' pictures differ by {apart:.4f} deviations")
        os.environ["SIMPLECELL_CACHE"] = f"{temporary}/cache"
        speeds = measure(folder)
    ratios = {epoch: speeds["ours"][epoch] / speeds["pytorch"][epoch] for epoch in ("first", "later")}
    reached = ratios["first"] >= GOAL_FIRST and ratios["later"] >= GOAL_LATER
    if asked.json:
        document = {"pictures_a_second": speeds, "ratios": ratios, "disagreement": apart, "reached": reached}
        print(json.dumps({**document, "threads": THREADS, "torch": torch.__version__}, indent=2))
    else:
        print(f"{'pictures a second':18}{'epoch 1':>10}{'from epoch 2':>14}")
        for name, speed in speeds.items():
            print(f"{name:18}{speed['first']:10.0f}{speed['later']:14.0f}")
        print(f"{'ratio':18}{ratios['first']:10.2f}{ratios['later']:14.2f}{'' if reached else '   MISSED'}")
        print(f"equal boxes, mean difference: {apart:.4f} deviations of a channel")
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
