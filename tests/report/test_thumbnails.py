"""Thumbnails and heat maps."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simplecell.report.thumbnails import blend, data_uri

GENERATOR = np.random.default_rng(5)


def shown(address: str) -> NDArray[np.uint8]:
    """The picture that a data address holds."""
    head, _, content = address.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def test_a_digit_is_kept_to_the_bit() -> None:
    digit = GENERATOR.integers(0, 256, (28, 28, 1), np.uint8)
    assert np.array_equal(shown(data_uri(digit, 112)), digit.repeat(3, 2))


def test_a_photo_becomes_small_and_keeps_its_shape() -> None:
    photo = np.zeros((300, 600, 3), np.uint8)
    photo[..., 0] = np.linspace(0, 255, 600)
    small = shown(data_uri(photo, 100))
    assert small.shape == (50, 100, 3)
    wanted = np.asarray(Image.fromarray(photo).resize((100, 50), Image.Resampling.BOX), np.float32)
    assert np.abs(small.astype(np.float32) - wanted).mean() < 6


def test_a_picture_is_never_made_larger() -> None:
    assert shown(data_uri(np.zeros((20, 30, 3), np.uint8), 100)).shape == (20, 30, 3)


def test_heat_makes_a_picture_lighter_in_grey_too() -> None:
    heat = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(4, 0)
    lightness = np.asarray(
        Image.fromarray(blend(np.full((4, 64, 1), 128, np.uint8), heat)).convert("L"), np.int64
    )
    assert (np.diff(lightness[0]) >= 0).all()
    assert lightness[0, -1] - lightness[0, 0] > 80


def test_the_colours_are_those_of_cividis() -> None:
    from matplotlib import colormaps

    heat = np.linspace(0, 1, 9, dtype=np.float32)[None]
    black = blend(np.zeros((1, 9, 3), np.uint8), heat).astype(np.float64)
    wanted = 0.55 * 255 * colormaps["cividis"](heat)[..., :3]
    assert np.abs(black - wanted).max() < 3


def test_the_picture_is_still_seen_under_the_heat() -> None:
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 255
    seen = blend(stripes, np.full((8, 8), 0.7, np.float32)).astype(np.int64)
    assert (seen[:, 0] - seen[:, 1]).min() > 100
