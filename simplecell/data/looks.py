"""What is remembered of a picture after it was decoded once: enough to compare, describe and normalise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from simplecell.data.geometry import with_channels

#: Thumbnails are this many pixels high and wide.
SIDE = 16

_DIGEST = 16  # bytes

#: Rows of levels added up in float32 at a time: 256 × 255² is the most that stays below 2²⁴, so exact.
_ROWS = 256


@dataclass(frozen=True, eq=False)
class Looks:
    """What is remembered of N pictures.

    digests: uint8, N × 16, of shape and pixels: equal pictures have equal ones and, malice aside, only they.
    thumbnails: uint8, N × 16 × 16, grey, antialiased.
    shapes: int64, N × 3 (height, width, channels).
    sums: int64, N × 2 × C: by channel, the sum of the levels and of their squares over pixels that stand for
    the picture. pixels: int64, N, how many these were. (C is 0 where pictures were only looked at.)
    """

    digests: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]
    shapes: NDArray[np.int64]
    sums: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.digests)

    def take(self, indices: NDArray[np.int64]) -> Looks:
        """Those at ``indices``, in that order."""
        return Looks(**{name: array[indices] for name, array in self.arrays().items()})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def join(looks: Sequence[Looks], channels: int) -> Looks:
    """One after another; ``channels`` counts where there are none."""
    nothing = Looks(
        np.empty((0, _DIGEST), np.uint8),
        np.empty((0, SIDE, SIDE), np.uint8),
        np.empty((0, 3), np.int64),
        np.empty((0, 2, channels), np.int64),
        np.empty(0, np.int64),
    )
    parts = [part.arrays() for part in (nothing, *looks)]
    return Looks(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def look(pictures: NDArray[np.uint8], standing: NDArray[np.uint8] | None = None) -> Looks:
    """Look at decoded pictures of one shape (uint8, N, H, W, C).

    standing: pixels that stand for each in mean and deviation (uint8, N, h, w, c), like the fitted picture.
    """
    pictures = np.ascontiguousarray(pictures)
    count, height, width, channels = pictures.shape
    small = thumbnails(pictures)
    if standing is None:
        standing = np.empty((count, 0, 0, 0), np.uint8)
    return Looks(
        _digests(pictures, small),
        small,
        np.tile(np.array([height, width, channels], np.int64), (count, 1)),
        sums(standing),
        np.full(count, standing.shape[1] * standing.shape[2], np.int64),
    )


def _digests(pictures: NDArray[np.uint8], small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of shape, thumbnail and a checksum of each half: a quarter of the time of a digest of all pixels."""
    count, height, width, channels = pictures.shape
    size = height * width * channels
    pixels, thumbs, shape = (
        pictures.reshape(-1).data,
        small.reshape(-1).data,
        str(pictures.shape[1:]).encode(),
    )
    digests = bytearray()
    for place in range(count):
        picture = pixels[place * size : (place + 1) * size]
        checksums = crc32(picture[: size // 2]) << 32 | crc32(picture[size // 2 :])
        digest = blake2b(checksums.to_bytes(8, "little") + shape, digest_size=_DIGEST)
        digest.update(thumbs[place * SIDE**2 : (place + 1) * SIDE**2])
        digests += digest.digest()
    return np.frombuffer(digests, np.uint8).reshape(count, _DIGEST)


def thumbnails(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures (uint8, N, H, W, C) as 16 × 16 grey ones: uint8, N × 16 × 16."""
    pixels = torch.from_numpy(np.require(pictures, requirements=("C", "W"))).permute(0, 3, 1, 2)
    small = interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)  # N, C, 16, 16
    return np.ascontiguousarray(with_channels(small.permute(0, 2, 3, 1).numpy(), 1)[..., 0])


def sums(pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sum of levels and of squared levels by channel: pictures (uint8, N, H, W, C) → int64, N × 2 × C."""
    count, height, width, channels = pictures.shape
    total = np.zeros((count, 2, width * channels), np.int64)
    for start in range(0, height, _ROWS):
        rows = pictures[:, start : start + _ROWS].reshape(count, -1, width * channels).astype(np.float32)
        total[:, 0] += rows.sum(axis=1).astype(np.int64)
        total[:, 1] += np.square(rows, out=rows).sum(axis=1).astype(np.int64)
    return np.asarray(total.reshape(count, 2, width, channels).sum(axis=2))
