"""Augmentation that moves pixels: mirror, shift, warp, and the boxes of crops and erasing.

Pure functions of a batch and of numbers already drawn. Pictures are uint8 arrays, N, H, W, C. No number
is computed from more than one picture, so a picture's result does not depend on those beside it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch.nn.functional import grid_sample

Pictures = NDArray[np.uint8]

_TRIES = 10


def mirror(pictures: Pictures, which: NDArray[np.bool_]) -> Pictures:
    """Swap left and right of the pictures that ``which`` (bool, N) marks."""
    mirrored = pictures.copy()
    mirrored[which] = _reverse_columns(pictures[which])
    return mirrored


def _reverse_columns(pictures: Pictures) -> Pictures:
    """The columns from right to left; torch does pixels of three bytes 5 times as fast as NumPy."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).flip(3).permute(0, 2, 3, 1).numpy()


def shift(pictures: Pictures, offsets: NDArray[np.int64], margin: int, padding: str) -> Pictures:
    """Cut a window of the old size out of pictures that are padded by ``margin`` pixels on every side.

    offsets: int64, N × 2 (top, left), each from 0 to 2·margin; margin is the window that changes nothing.
    padding: "zero", or "reflect" (the edge pixel is not repeated; margin must be under the height and width).
    """
    count, height, width, channels = pictures.shape
    m = margin
    make = np.zeros if padding == "zero" else np.empty
    padded = make((count, height + 2 * m, width + 2 * m, channels), dtype=np.uint8)
    padded[:, m : m + height, m : m + width] = pictures
    if padding == "reflect":
        padded[:, :m] = padded[:, 2 * m : m : -1]
        padded[:, m + height :] = padded[:, m + height - 2 : height - 2 : -1]
        padded[:, :, :m] = padded[:, :, 2 * m : m : -1]
        padded[:, :, m + width :] = padded[:, :, m + width - 2 : width - 2 : -1]
    windows = sliding_window_view(padded, (height, width), axis=(1, 2))  # N, tops, lefts, C, H, W
    chosen = windows[np.arange(count), offsets[:, 0], offsets[:, 1]]  # N, C, H, W
    return np.ascontiguousarray(chosen.transpose(0, 2, 3, 1))


def affine(
    rotate: NDArray[np.float64],
    zoom: NDArray[np.float64],
    shear: NDArray[np.float64],
    move: NDArray[np.float64],
    centre: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The matrices that lead from a pixel of the result back to the picture: float64, N × 2 × 3.

    As in torchvision's ``affine``: shear, then zoom, then turn about the centre, then move.

    rotate: degrees, N, clockwise as one sees it. zoom: factor, N; 2 makes things twice as large.
    shear: degrees, N × 2, along x and along y. move: pixels, N × 2, to the right and down.
    centre: pixels, N × 2, x and y, counted from the middle of the picture.
    """
    angle, along_x, along_y = np.radians(rotate), np.radians(shear[:, 0]), np.radians(shear[:, 1])
    # M = rotation · shear has determinant 1, so that its inverse is [[d, -b], [-c, a]].
    a = np.cos(angle - along_y) / np.cos(along_y)
    b = -a * np.tan(along_x) - np.sin(angle)
    c = np.sin(angle - along_y) / np.cos(along_y)
    d = -c * np.tan(along_x) + np.cos(angle)
    back = np.stack([np.stack([d, -b], axis=-1), np.stack([-c, a], axis=-1)], axis=1) / zoom[:, None, None]
    offset = centre - np.einsum("nij,nj->ni", back, centre + move)
    return np.concatenate([back, offset[:, :, None]], axis=2)


def warp(
    pictures: Pictures, matrices: NDArray[np.float64], *, smooth: bool, padding: str = "zero"
) -> Pictures:
    """Draw each picture through its own affine map.

    matrices: N × 2 × 3, from a pixel of the result to one of the picture, counted from the middle.
    smooth: bilinear instead of nearest. padding: "zero" or "reflect", for what lies outside.
    """
    _, height, width, _ = pictures.shape
    m = torch.from_numpy(matrices).float()
    half = torch.tensor([width / 2, height / 2])
    x = torch.arange(width) + (0.5 - width / 2)
    y = torch.arange(height) + (0.5 - height / 2)
    # Elementwise rather than by a matrix product, whose rounding may depend on the size of the batch.
    column = m[:, None, None, :, 0] * x[None, None, :, None]  # N, 1, W, 2
    row = m[:, None, None, :, 1] * y[None, :, None, None] + m[:, None, None, :, 2]  # N, H, 1, 2
    source = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    moved = grid_sample(
        source,
        (column + row) / half,
        mode="bilinear" if smooth else "nearest",
        padding_mode="zeros" if padding == "zero" else "reflection",
        align_corners=False,
    )
    return np.ascontiguousarray(moved.round_().to(torch.uint8).permute(0, 2, 3, 1).numpy())


def random_boxes(
    heights: NDArray[np.int64],
    widths: NDArray[np.int64],
    uniform: NDArray[np.float64],
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Boxes of random area and aspect inside pictures, by rejection: (boxes, found).

    Ten tries a picture; the first that fits counts. Area is uniform, aspect (width over height) is
    log-uniform, and the place is uniform, as in Szegedy et al. (2015, section 6) and in torchvision.

    heights, widths: int64, N. uniform: numbers in [0, 1), N × 40. area: shares of the picture's.
    boxes: int64, N × 4 (top, left, height, width). found: bool, N; where false, the box means nothing.
    """
    draws = uniform.reshape(-1, _TRIES, 4)
    size = (heights * widths)[:, None] * (area[0] + (area[1] - area[0]) * draws[:, :, 0])
    low, high = math.log(aspect[0]), math.log(aspect[1])
    shape = np.exp(low + (high - low) * draws[:, :, 1])
    box_width = np.round(np.sqrt(size * shape)).astype(np.int64)  # N, tries
    box_height = np.round(np.sqrt(size / shape)).astype(np.int64)
    room_down, room_right = heights[:, None] - box_height, widths[:, None] - box_width
    fits = (box_width > 0) & (box_height > 0) & (room_down >= 0) & (room_right >= 0)
    top = np.floor(draws[:, :, 2] * (room_down + 1)).astype(np.int64)
    left = np.floor(draws[:, :, 3] * (room_right + 1)).astype(np.int64)
    every = np.stack([top, left, box_height, box_width], axis=-1)  # N, tries, 4
    first = np.argmax(fits, axis=1)
    return every[np.arange(len(every)), first], fits[np.arange(len(every)), first]


def central_boxes(
    heights: NDArray[np.int64], widths: NDArray[np.int64], aspect: tuple[float, float]
) -> NDArray[np.int64]:
    """The largest box in the middle of each picture whose aspect is allowed: int64, N × 4."""
    box_width = np.minimum(widths, np.round(heights * aspect[1]).astype(np.int64))
    box_height = np.minimum(heights, np.round(widths / aspect[0]).astype(np.int64))
    return np.stack([(heights - box_height) // 2, (widths - box_width) // 2, box_height, box_width], axis=-1)


def inside(boxes: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """Which pixels lie in each picture's box (top, left, height, width): bool, N, H, W, 1."""
    top, left, tall, wide = (boxes[:, column, None] for column in range(4))
    y, x = np.arange(height), np.arange(width)
    rows = (y >= top) & (y < top + tall)
    columns = (x >= left) & (x < left + wide)
    return np.asarray(rows[:, :, None, None] & columns[:, None, :, None], dtype=np.bool_)
