"""The MNIST that the package carries is the original one."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from simplecell import mnist


@pytest.mark.parametrize(
    ("name", "md5"),
    [
        ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
        ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    ],
)
def test_a_file_equals_the_original_byte_for_byte(name: str, md5: str) -> None:
    """Against the checksums of the uncompressed originals, as published for the data set."""
    content = gzip.decompress((mnist.path() / f"{name}.gz").read_bytes())
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5


def test_the_licence_of_the_digits_lies_beside_them() -> None:
    assert "CC-BY-SA-3.0" in (mnist.path() / "LICENCE").read_text(encoding="utf-8")
