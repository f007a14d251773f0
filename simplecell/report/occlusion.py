"""Which places of a picture a net needs for its answer: cover each in turn, and see how far the answer falls.

Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

#: The square that covers has a sixth of the picture's side, and moves by half of its own.
_SHARE, _PER_SQUARE = 6, 2
#: Covered pictures that are answered at a time.
_BATCH = 32


def occlusion(
    net: nn.Module, picture: Tensor, label: int, cover: Tensor
) -> tuple[NDArray[np.float32], float, tuple[int, int]]:
    """How much the probability of a class falls when a place is covered.

    net: in eval mode; it gives logits N, classes. picture: what it takes, 1, C, H, W, on its device. label:
    the class. cover: what the square is filled with, C, 1, 1, of the picture's type: the data's mean colour.

    Gives a map H, W of 0 … 1, the mean fall over the squares that covered a pixel, 1 where it is largest and
    0 where it does not fall; the largest fall of one square, as a probability, below 0 where every square
    raises it; and the row and column of that square's middle.
    """
    height, width = picture.shape[2:]
    square = max(1, round(min(height, width) / _SHARE))
    corners = [(top, left) for top in _starts(height, square) for left in _starts(width, square)]
    with torch.inference_mode(False), torch.no_grad():
        before = _chance(net, picture, label)
        falls = []
        for start in range(0, len(corners), _BATCH):
            some = corners[start : start + _BATCH]
            covered = picture.repeat(len(some), 1, 1, 1)
            for row, (top, left) in enumerate(some):
                covered[row, :, top : top + square, left : left + square] = cover
            falls.append(before - _chance(net, covered, label))
        fall = torch.cat(falls).cpu()
    summed, times = torch.zeros(height, width), torch.zeros(height, width)
    for (top, left), value in zip(corners, fall, strict=True):
        summed[top : top + square, left : left + square] += value
        times[top : top + square, left : left + square] += 1
    heat = (summed / times).clamp_min(0)
    most = heat.max()
    largest = int(fall.argmax())
    top, left = corners[largest]
    shown: NDArray[np.float32] = (heat / most if most > 0 else heat).numpy()
    return shown, float(fall[largest]), (top + square // 2, left + square // 2)


def _starts(side: int, square: int) -> list[int]:
    """Where squares begin along a side: at equal steps, the last at the very end."""
    count = max(1, -(-(side - square) * _PER_SQUARE // square)) + 1
    return sorted({round(k * (side - square) / (count - 1)) for k in range(count)})


def _chance(net: nn.Module, pictures: Tensor, label: int) -> Tensor:
    """The probability of a class, N."""
    chances: Tensor = functional.softmax(net(pictures).float(), 1)[:, label]
    return chances
