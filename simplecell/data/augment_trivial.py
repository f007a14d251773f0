"""TrivialAugment (Müller & Hutter, 2021), wide space: one random operation a picture, of random strength.

The fourteen operations and their 31 strengths are those of torchvision's ``TrivialAugmentWide``. A batch
is worked off operation by operation, all pictures that drew the same one at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simplecell.data.augment_colour import (
    Numbers,
    Pictures,
    equalise,
    jitter,
    posterise,
    sharpen,
    solarise,
    stretch,
)
from simplecell.data.augment_geometry import affine, warp

STRENGTHS = 31

Operation = Callable[[Pictures, Numbers], Pictures]


def _shear(pictures: Pictures, amount: Numbers, axis: int) -> Pictures:
    """Shear by a share of the side, about the top left corner."""
    _, height, width, _ = pictures.shape
    nought = np.zeros(len(pictures))
    angles = np.zeros((len(pictures), 2))
    angles[:, axis] = np.degrees(np.arctan(amount))
    corner = np.tile([-width / 2, -height / 2], (len(pictures), 1))
    return warp(pictures, affine(nought, nought + 1, angles, np.zeros_like(angles), corner), smooth=False)


def _translate(pictures: Pictures, amount: Numbers, axis: int) -> Pictures:
    """Move by whole pixels."""
    nought = np.zeros(len(pictures))
    move = np.zeros((len(pictures), 2))
    move[:, axis] = np.trunc(amount)
    still = np.zeros_like(move)
    return warp(pictures, affine(nought, nought + 1, still, move, still), smooth=False)


def _rotate(pictures: Pictures, amount: Numbers) -> Pictures:
    """Turn anticlockwise by degrees."""
    still = np.zeros((len(pictures), 2))
    return warp(pictures, affine(-amount, np.ones(len(pictures)), still, still, still), smooth=False)


def _blend(pictures: Pictures, amount: Numbers, which: int) -> Pictures:
    """Brightness (0), contrast (1) or saturation (2) by the factor 1 + amount."""
    factors = np.ones((3, len(pictures)))
    factors[which] += amount
    return jitter(pictures, *factors)


#: name → (strengths of the 31 bins, whether the sign is drawn too, the operation)
OPERATIONS: dict[str, tuple[Numbers, bool, Operation]] = {
    "identity": (np.zeros(STRENGTHS), False, lambda x, _: x),
    "shear x": (np.linspace(0, 0.99, STRENGTHS), True, lambda x, by: _shear(x, by, 0)),
    "shear y": (np.linspace(0, 0.99, STRENGTHS), True, lambda x, by: _shear(x, by, 1)),
    "translate x": (np.linspace(0, 32, STRENGTHS), True, lambda x, by: _translate(x, by, 0)),
    "translate y": (np.linspace(0, 32, STRENGTHS), True, lambda x, by: _translate(x, by, 1)),
    "rotate": (np.linspace(0, 135, STRENGTHS), True, _rotate),
    "brightness": (np.linspace(0, 0.99, STRENGTHS), True, lambda x, by: _blend(x, by, 0)),
    "contrast": (np.linspace(0, 0.99, STRENGTHS), True, lambda x, by: _blend(x, by, 1)),
    "colour": (np.linspace(0, 0.99, STRENGTHS), True, lambda x, by: _blend(x, by, 2)),
    "sharpness": (np.linspace(0, 0.99, STRENGTHS), True, lambda x, by: sharpen(x, 1 + by)),
    "posterise": (
        8 - np.round(np.arange(STRENGTHS) / ((STRENGTHS - 1) / 6)),
        False,
        lambda x, bits: posterise(x, bits.astype(np.int64)),
    ),
    "solarise": (np.linspace(255, 0, STRENGTHS), False, solarise),
    "autocontrast": (np.zeros(STRENGTHS), False, lambda x, _: stretch(x)),
    "equalise": (np.zeros(STRENGTHS), False, lambda x, _: equalise(x)),
}


def trivial(pictures: Pictures, uniform: NDArray[np.float64]) -> Pictures:
    """Apply one operation of one strength to each picture.

    uniform: numbers in [0, 1), N × 3, that choose the operation, the strength and the sign.
    """
    operation = (uniform[:, 0] * len(OPERATIONS)).astype(np.int64)
    strength = (uniform[:, 1] * STRENGTHS).astype(np.int64)
    sign = np.where(uniform[:, 2] < 0.5, 1.0, -1.0)
    out = np.empty_like(pictures)
    for number, (strengths, signed, apply) in enumerate(OPERATIONS.values()):
        rows = np.flatnonzero(operation == number)
        if len(rows):
            amount = strengths[strength[rows]] * (sign[rows] if signed else 1.0)
            out[rows] = apply(pictures[rows], amount)
    return out
