"""MNIST's and CIFAR's own files: read as they are, and refused when they lie."""

from __future__ import annotations

import gzip
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from source_files import refusal, write

from simplecell.data.pictures import ArrayPictures
from simplecell.data.sources import read_source


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


DIGITS = np.random.default_rng(0).integers(0, 256, (12, 5, 4), dtype=np.uint8)
NUMBERS = np.arange(12, dtype=np.uint8) % 3 + 1


def digits(folder: Path, pack: Callable[[bytes], bytes] = bytes, suffix: str = "", mark: str = "-") -> Path:
    return write(
        folder,
        {
            f"train-images{mark}idx3-ubyte{suffix}": pack(idx(DIGITS)),
            f"train-labels{mark}idx1-ubyte{suffix}": pack(idx(NUMBERS)),
            f"t10k-images{mark}idx3-ubyte{suffix}": pack(idx(DIGITS[:4])),
            f"t10k-labels{mark}idx1-ubyte{suffix}": pack(idx(NUMBERS[:4])),
        },
    )


@pytest.mark.parametrize("folder", ["", "MNIST/raw"])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_are_read(tmp_path: Path, zipped: bool, mark: str, folder: str) -> None:
    digits(tmp_path / folder, gzip.compress if zipped else bytes, ".gz" if zipped else "", mark)
    source = read_source(tmp_path)
    assert (source.format, source.classes) == ("idx", ("1", "2", "3"))
    train, test = source.tables["train"], source.tables["test"]
    assert (len(train), len(test), train.ids[11]) == (12, 4, "train/00011")
    assert train.labels.tolist() == [0, 1, 2] * 4
    assert (train.pictures.read(7) == DIGITS[7, ..., None]).all()
    assert (train.take([7, 3]).pictures.read(1) == DIGITS[3, ..., None]).all()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train-images-idx3-ubyte", idx(DIGITS)[:-1], "more than the file can hold|ends after 239 of 240"),
        ("train-images-idx3-ubyte", idx(DIGITS) + b"x", "goes on after the 240 bytes"),
        ("train-images-idx3-ubyte", bytes([0, 0, 8, 3]) + b"\xff" * 12, "more than the file can hold"),
        ("train-images-idx3-ubyte", bytes([0, 0, 8, 3]) + bytes(12), "without data"),
        ("train-images-idx3-ubyte", idx(NUMBERS), "does not begin like an idx file"),
        ("train-images-idx3-ubyte", b"", "does not begin like an idx file"),
        ("train-labels-idx1-ubyte", idx(NUMBERS[:5]), "there are 5 labels for the 12 pictures"),
    ],
)
def test_idx_files_that_lie_are_told(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    write(digits(tmp_path), {name: content})
    sentence = refusal(tmp_path)
    assert any(word in sentence for word in words.split("|"))
    assert name in sentence


@pytest.mark.parametrize("cut", [5, 30, 120])
def test_a_truncated_gz_is_told(tmp_path: Path, cut: int) -> None:
    digits(tmp_path, gzip.compress, ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:cut])
    assert "train-images-idx3-ubyte.gz: the compressed file is cut short or damaged" in refusal(tmp_path)


def test_a_gz_that_claims_the_impossible_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    digits(tmp_path, gzip.compress, ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 60000, 28, 28) + bytes(100)))
    assert "tells of 47,040,000 bytes, more than the file can hold" in refusal(tmp_path)


def test_a_missing_half_of_idx_is_told(tmp_path: Path) -> None:
    (digits(tmp_path) / "t10k-labels-idx1-ubyte").unlink()
    assert "there are t10k-images but no t10k-labels" in refusal(tmp_path)


def cifar(folder: Path, batches: int = 5) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, (batches + 1, 3, 3, 32, 32), dtype=np.uint8)
    labels = np.arange((batches + 1) * 3, dtype=np.uint8).reshape(-1, 3, 1) % 10
    records = np.concatenate([labels, pixels.reshape(batches + 1, 3, -1)], axis=2)
    names = [f"data_batch_{number}.bin" for number in range(1, batches + 1)] + ["test_batch.bin"]
    write(folder, {name: batch.tobytes() for name, batch in zip(names, records, strict=True)})
    write(folder, {"batches.meta.txt": "\n".join("abcdefghij").encode() + b"\n\n", "readme.html": b""})
    return pixels, labels


@pytest.mark.parametrize("folder", ["", "cifar-10-batches-bin"])
def test_cifar_10_is_read(tmp_path: Path, folder: str) -> None:
    pixels, labels = cifar(tmp_path / folder)
    source = read_source(tmp_path)
    assert (source.format, source.classes) == ("cifar", tuple("abcdefghij"))
    train = source.tables["train"]
    assert train.labels.tolist() == labels[:5].ravel().tolist()
    assert (train.pictures.read(4)[2, 7] == pixels[1, 1, :, 2, 7]).all()
    assert len(source.tables["test"]) == 3


def test_cifar_100_has_its_fine_labels(tmp_path: Path) -> None:
    record = bytes([1, 99]) + bytes(range(256)) * 12
    names = "\n".join(f"name_{number}" for number in range(100)).encode()
    write(tmp_path, {"train.bin": record * 2, "test.bin": record, "fine_label_names.txt": names})
    source = read_source(tmp_path)
    assert (len(source.classes), source.tables["train"].labels.tolist()) == (100, [99, 99])


def test_every_fault_of_cifar_has_its_sentence(tmp_path: Path) -> None:
    cifar(tmp_path / "hole")
    (tmp_path / "hole/data_batch_3.bin").unlink()
    assert "data_batch_3.bin is absent" in refusal(tmp_path / "hole")
    cifar(tmp_path / "cut")
    write(tmp_path / "cut", {"data_batch_2.bin": bytes(3072)})
    assert "data_batch_2.bin: its 3,072 bytes are no whole number of records" in refusal(tmp_path / "cut")
    cifar(tmp_path / "label")
    write(tmp_path / "label", {"test_batch.bin": b"\x0b" + bytes(3072)})
    assert "there is a label 11 though there are 10 classes" in refusal(tmp_path / "label")
    write(tmp_path / "python", {"data_batch_1": b"\x80", "batches.meta": b"\x80"})
    assert "pickled" in refusal(tmp_path / "python")


def test_mnist_is_read_whole(shared: Callable[[str], Path]) -> None:
    source = read_source(shared("mnist"))
    assert source.classes == tuple("0123456789")
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(source.tables["train"].labels).tolist() == counts
    pictures = source.tables["train"].pictures
    assert isinstance(pictures, ArrayPictures)
    assert pictures.array.mean() == pytest.approx(33.318421, abs=1e-6)
