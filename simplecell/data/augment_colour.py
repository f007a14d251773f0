"""Augmentation that changes values and leaves every pixel where it is.

Pure functions of uint8 pictures, N, H, W, C, and of one number a picture. Sums and blends are whole
numbers: a picture's result is the same to the bit in a batch of one and of a thousand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
Numbers = NDArray[np.float64]

_BITS = 12
_ONE = 1 << _BITS
_LUMA = np.array([1225, 2404, 467], dtype=np.int32)  # ITU-R BT.601: 0.299, 0.587, 0.114; the sum is 4096


def fixed(numbers: Numbers) -> NDArray[np.int32]:
    """Numbers as multiples of 2^-12, shaped to stand before N, H, W, C."""
    return np.round(numbers * _ONE).astype(np.int32)[:, None, None, None]


def unfixed(numbers: NDArray[np.int32]) -> Pictures:
    """Multiples of 2^-12 rounded to levels from 0 to 255."""
    levels: NDArray[np.int32] = (numbers + (_ONE >> 1)) >> _BITS
    return np.clip(levels, 0, 255).astype(np.uint8)


def grey(pictures: Pictures) -> NDArray[np.int32]:
    """Luma in levels, N, H, W, 1."""
    if pictures.shape[3] == 1:
        return pictures.astype(np.int32)
    red, green, blue = (pictures[..., channel].astype(np.int32) for channel in range(3))
    luma = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2] + (_ONE >> 1)
    return np.asarray(luma >> _BITS, dtype=np.int32)[..., None]


def jitter(pictures: Pictures, brightness: Numbers, contrast: Numbers, saturation: Numbers) -> Pictures:
    """Brightness, then contrast, then saturation; each a factor, N, where 1 changes nothing.

    Factors are those of torchvision's ``adjust_brightness`` and its fellows. The three are one blend,
    σκβ·x + (1-σ)κβ·grey(x) + (1-κ)β·mean(grey), that is rounded and clipped once, at its end.
    """
    luma = grey(pictures)
    mean = luma.mean(axis=(1, 2, 3), dtype=np.float64)  # exact: a sum of whole numbers under 2^53
    scale = contrast * brightness
    out = pictures * fixed(saturation * scale)
    out += luma * fixed((1 - saturation) * scale)
    out += fixed((1 - contrast) * brightness * mean)
    return unfixed(out)


def sharpen(pictures: Pictures, factor: Numbers) -> Pictures:
    """Blend with a blurred copy: factor 0 is the copy, 1 changes nothing, 2 sharpens. The rim is kept.

    The blur is the 3×3 of Pillow and torchvision: 5/13 of the pixel, 1/13 of each neighbour.
    """
    if min(pictures.shape[1:3]) < 3:
        return pictures
    wide = pictures.astype(np.int32)
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    centre = wide[:, 1:-1, 1:-1]
    blurred = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * centre + 6) // 13
    out = pictures.copy()
    out[:, 1:-1, 1:-1] = unfixed(centre * fixed(factor) + blurred * fixed(1 - factor))
    return out


def posterise(pictures: Pictures, bits: NDArray[np.int64]) -> Pictures:
    """Keep the highest ``bits`` (N, 0 to 8) bits of every value."""
    mask = (0xFF00 >> bits) & 0xFF
    return pictures & mask.astype(np.uint8)[:, None, None, None]


def solarise(pictures: Pictures, threshold: Numbers) -> Pictures:
    """Invert the values at and above the threshold (N, levels)."""
    return np.where(pictures >= threshold[:, None, None, None], 255 - pictures, pictures)


def stretch(pictures: Pictures) -> Pictures:
    """Spread each channel over the whole range from 0 to 255; a channel of one value stays."""
    low = pictures.min(axis=(1, 2), keepdims=True)  # N, 1, 1, C
    high = pictures.max(axis=(1, 2), keepdims=True)
    levels = np.arange(256, dtype=np.int32)[None, :, None, None]
    span = np.maximum(high.astype(np.int32) - low, 1)
    table = np.clip((levels - low) * 255 // span, 0, 255)  # N, 256, 1, C
    return _look_up(np.where(high > low, table, levels).astype(np.uint8), pictures)


def equalise(pictures: Pictures) -> Pictures:
    """Flatten each channel's histogram, as Pillow does; a channel of one value stays."""
    count, height, width, channels = pictures.shape
    strip = np.arange(count)[:, None, None, None] * channels + np.arange(channels)
    histogram = np.bincount((pictures + 256 * strip).ravel(), minlength=256 * count * channels)
    histogram = histogram.reshape(count, channels, 256)
    last = 255 - np.argmax(histogram[:, :, ::-1] > 0, axis=2)  # the brightest level in use: N, C
    brightest = np.take_along_axis(histogram, last[:, :, None], axis=2)
    step = (height * width - brightest) // 255  # N, C, 1
    before = np.cumsum(histogram, axis=2) - histogram
    table = np.minimum((before + step // 2) // np.maximum(step, 1), 255)
    table = np.where(step > 0, table, np.arange(256))
    return _look_up(table.astype(np.uint8).transpose(0, 2, 1)[:, :, None, :], pictures)


def _look_up(table: Pictures, pictures: Pictures) -> Pictures:
    """Replace every value by its entry in the table of its picture and channel (N, 256, 1, C)."""
    count, _, _, channels = pictures.shape
    flat = pictures.reshape(count, -1, channels)
    return np.take_along_axis(table[:, :, 0], flat.astype(np.intp), axis=1).reshape(pictures.shape)
