"""Pictures small enough to stand in the page itself, and heat maps over them."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Below so many pixels a side a picture is kept exactly: a digit of 28 pixels has none to spare, and is
#: hardly smaller as a lossy file.
_EXACT = 40

#: Colours of rising lightness, after Nuñez, Anderton and Renslow 2018 (cividis: the same to the
#: colour-blind), sampled at 0, 1/8, … 1; sRGB.
_CIVIDIS = np.array(
    [
        (0, 34, 78), (26, 56, 111), (67, 78, 108), (97, 101, 111), (125, 124, 120),
        (155, 148, 118), (188, 174, 108), (222, 201, 88), (254, 232, 56),
    ],
    np.float32,
)  # fmt: skip


def data_uri(picture: NDArray[np.uint8], side: int, quality: int = 70) -> str:
    """A picture as a data address for an img.

    picture: uint8, H, W, C with C 1 (grey) or 3 (RGB). side: its longer side has at most so many pixels.
    quality: of WebP, 0 … 100; pictures of a few pixels are kept exactly, whatever it is.
    """
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    content = io.BytesIO()
    exact = max(image.size) <= _EXACT
    image.save(content, "WEBP", lossless=exact, quality=40 if exact else quality, method=2)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def blend(picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A heat map over a picture: uint8, H, W, 3.

    picture: uint8, H, W, C with C 1 or 3. heat: float32, H, W, 0 … 1.
    Where nothing is hot the picture stands grey and dark; heat makes it lighter, and turns it from blue to
    yellow, so that it is read in grey too, and by the colour-blind.
    """
    grey = picture.astype(np.float32).mean(2, keepdims=True)  # H, W, 1
    hot = np.clip(heat, 0, 1)
    places = np.linspace(0, 1, len(_CIVIDIS))
    colours = np.stack([np.interp(hot, places, _CIVIDIS[:, k]) for k in range(3)], 2)  # H, W, 3
    blended: NDArray[np.uint8] = (0.45 * grey + 0.55 * colours + 0.5).astype(np.uint8)
    return blended
