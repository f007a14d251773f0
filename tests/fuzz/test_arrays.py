"""MNIST's and CIFAR's own files, spoilt: arrays or a sentence, however much they claim to hold."""

from __future__ import annotations

import gzip
import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from judging import judged
from mutation import EXAMPLES, mutated

from simplecell.data.sources import read_source
from simplecell.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES, LABELS = idx(PIXELS), idx(np.arange(6, dtype=np.uint8) % 3)
NAMES = {"images": "train-images-idx3-ubyte", "labels": "train-labels-idx1-ubyte"}


def digits(folder: Path, images: bytes, labels: bytes, suffix: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / (NAMES["images"] + suffix)).write_bytes(images)
    (folder / (NAMES["labels"] + suffix)).write_bytes(labels)
    return folder


@settings(max_examples=EXAMPLES)
@given(
    images=mutated([IMAGES, LABELS], most=3), labels=mutated([LABELS, IMAGES], most=3), packed=st.booleans()
)
def test_spoilt_idx_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, images: bytes, labels: bytes, packed: bool
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"idx{packed}"
    if packed:
        digits(folder, gzip.compress(images), gzip.compress(labels), ".gz")
    else:
        digits(folder, images, labels)
    source = judged(lambda: read_source(folder), folder.name)
    if not isinstance(source, UserError):
        assert source.tables["train"].pictures.read(0).ndim == 3


@settings(max_examples=EXAMPLES)
@given(images=mutated([gzip.compress(IMAGES)]), labels=mutated([gzip.compress(LABELS)]))
def test_idx_files_whose_compression_is_spoilt_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, images: bytes, labels: bytes
) -> None:
    folder = digits(tmp_path_factory.getbasetemp() / "packed-idx", images, labels, ".gz")
    judged(lambda: read_source(folder), folder.name)


RECORDS = bytes([3]) + PIXELS.tobytes() * 25 + bytes(72) + bytes([9]) + bytes(3072)


@settings(max_examples=EXAMPLES)
@given(
    batch=mutated([RECORDS], most=3),
    names=mutated([b"\n".join(b"class%d" % number for number in range(10))], [b"\n", b"\xff"], most=3),
)
def test_spoilt_cifar_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, batch: bytes, names: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "cifar"
    folder.mkdir(exist_ok=True)
    (folder / "data_batch_1.bin").write_bytes(batch)
    (folder / "batches.meta.txt").write_bytes(names)
    judged(lambda: read_source(folder), folder.name)


def claiming(*shape: int) -> bytes:
    """A compressed idx file as long as one of zeros of that shape would be at least."""
    header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return gzip.compress(header) + bytes(math.prod(shape) // 1000)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (claiming(2, 1 << 15, 1 << 15), claiming(2), "more than 1 GiB"),
        (claiming(1 << 24, 1, 1), claiming(1 << 24), "16,777,216 pictures, more than 10,000,000"),
    ],
    ids=["two gibibytes", "millions of pictures"],
)
def test_idx_files_that_unpack_without_end_are_refused(
    tmp_path: Path, images: bytes, labels: bytes, words: str
) -> None:
    folder = digits(tmp_path, images, labels, ".gz")
    assert words in str(judged(lambda: read_source(folder), NAMES["images"]))


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (2**31, 1, 1), (1, 2**16, 2**16), (7, 5, 4), (6, 5, 3)])
def test_counts_that_lie_are_told(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = IMAGES[:4] + struct.pack(">3I", *shape) + IMAGES[16:]
    assert isinstance(
        judged(lambda: read_source(digits(tmp_path, images, LABELS)), NAMES["images"]), UserError
    )
