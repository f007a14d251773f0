"""Ink on paper as MNIST shows its digits: light on black, of one size, in the middle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: MNIST's digits fill 20 of the 28 pixels of a side (LeCun et al. 1998, section III A).
_SHARE = 20 / 28
_SIDE = 112  # of the picture made here: four times MNIST's, so that fitting it still has something to average
_DARK = 0.35  # of the darkest ink; lighter marks are shadows and the texture of the paper


def ink(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A photograph of dark ink on light paper as a light digit on black.

    picture: uint8, H, W, C. Returns uint8, 112 × 112 × C: the ink cut out, its longer side scaled to 20/28
    of the picture, its centre of mass in the middle. Paper without ink becomes black.
    """
    grey = picture.mean(axis=2)
    darkness = np.clip(np.quantile(grey, 0.75) - grey, 0, None)  # most of the picture is paper
    most = float(np.quantile(darkness, 0.995))
    canvas = np.zeros((_SIDE, _SIDE), np.uint8)
    strokes = darkness >= _DARK * most
    if most < 8 or not strokes.any():  # 8 levels: less is noise
        return np.repeat(canvas[:, :, None], picture.shape[2], axis=2)
    rows, columns = np.flatnonzero(strokes.any(axis=1)), np.flatnonzero(strokes.any(axis=0))
    cut = (darkness * strokes)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    light = np.clip(cut / most * 255, 0, 255).astype(np.uint8)
    scale = _SHARE * _SIDE / max(light.shape)
    height, width = (max(1, round(scale * side)) for side in light.shape)
    # By Pillow: an exported net reads ink without torch.
    small = np.asarray(Image.fromarray(light).resize((width, height), Image.Resampling.BILINEAR))
    weight = small.astype(np.float64)
    middle = [
        float((weight.sum(axis=1 - k) * np.arange(small.shape[k])).sum() / weight.sum()) for k in (0, 1)
    ]
    top, left = (
        int(np.clip(round(_SIDE / 2 - m), 0, _SIDE - side))
        for m, side in zip(middle, small.shape, strict=True)
    )
    canvas[top : top + height, left : left + width] = small
    return np.repeat(canvas[:, :, None], picture.shape[2], axis=2)
