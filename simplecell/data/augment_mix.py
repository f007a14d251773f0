"""Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019): two pictures and both their labels.

Every picture is mixed with the next one of its batch, by a share of its own. The share comes from a
uniform number through the quantile function of Beta(α, α), because a sampler that rejects would need
an unknown count of addressed numbers.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simplecell.data.augment_colour import Pictures, fixed, unfixed
from simplecell.data.augment_geometry import inside

_STEPS = 8192


@lru_cache(maxsize=8)
def _beta_table(alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distribution function of Beta(α, α) at steps of t, where logit(x) = logit(t) / min(α, 1).

    The density of x has poles at 0 and 1 for α < 1; that of t is bounded for every α, so that the
    trapezoidal rule integrates it and a straight line between two steps is close.
    """
    t = np.linspace(0, 1, _STEPS + 1)
    inner = t[1:-1]
    distance = np.abs(_logit(inner)) / min(alpha, 1.0)
    density = np.full_like(t, 1.0 if alpha <= 1 else 0.0)  # its limits at both ends
    # x·(1-x) by its logarithm, because 1-x is 0 in float64 long before t is 1.
    density[1:-1] = np.exp(-alpha * (distance + 2 * np.log1p(np.exp(-distance)))) / (inner * (1 - inner))
    distribution = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return distribution / distribution[-1], t


def _logit(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(t) - np.log1p(-t)


def beta_quantile(uniform: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Numbers of Beta(α, α) from uniform numbers in [0, 1), of the same shape."""
    distribution, t = _beta_table(alpha)
    with np.errstate(divide="ignore", over="ignore"):  # 0 and 1 are infinite logits
        return 1 / (1 + np.exp(-_logit(np.interp(uniform, distribution, t)) / min(alpha, 1.0)))


def mixup(pictures: Pictures, share: NDArray[np.float64]) -> Pictures:
    """share · picture + (1 - share) · the next picture of the batch; share: N, from 0 to 1."""
    weight = fixed(share)
    other = np.roll(pictures, -1, axis=0)
    return unfixed(pictures * weight + other * (fixed(np.ones(1)) - weight))


def cutmix(
    pictures: Pictures, share: NDArray[np.float64], place: NDArray[np.float64]
) -> tuple[Pictures, NDArray[np.float64]]:
    """Paste a box of the next picture of the batch: (pictures, the share that is left of each).

    share: N, the part of the area to be left. place: numbers in [0, 1), N × 2, for the box's centre.
    The box has the picture's aspect and is cut off at its edges, as in the paper, so more may be left.
    """
    _, height, width, _ = pictures.shape
    side = np.sqrt(1 - share)[:, None]
    size = np.array([height, width])
    half = np.floor(size * side).astype(np.int64) // 2
    centre = np.floor(place * size).astype(np.int64)
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half, size)
    boxes = np.concatenate([low, high - low], axis=1)
    left = 1 - (high - low).prod(axis=1) / (height * width)
    return np.where(inside(boxes, height, width), np.roll(pictures, -1, axis=0), pictures), left
