"""The filters of a net's first layer, as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def first_layer(net: nn.Module, example: Tensor) -> nn.Module | None:
    """The first layer with weights that an example passes; normalisations do not count.

    net: in eval mode. example: what it takes, N first.
    """
    met: list[nn.Module] = []

    def note(module: nn.Module, inputs: Any) -> None:
        weight = getattr(module, "weight", None)
        if not met and isinstance(weight, Tensor) and weight.dim() > 1:
            met.append(module)

    handles = [module.register_forward_pre_hook(note) for module in net.modules()]
    try:
        with torch.no_grad():
            net(example)
    finally:
        for handle in handles:
            handle.remove()
    return met[0] if met else None


def filters(layer: nn.Module | None) -> NDArray[np.uint8] | None:
    """A convolution's filters as pictures: uint8, N, h, w, C with C 1 or 3.

    Each is stretched by its own largest weight, so that 0 is mid-grey, 128. None where the layer is not a
    convolution, or one that looks at neither one channel nor three.
    """
    if not isinstance(layer, nn.Conv2d) or layer.weight.shape[1] not in (1, 3):
        return None
    weights = layer.weight.detach().float().cpu().permute(0, 2, 3, 1).numpy()  # N, h, w, C
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    stretched = np.divide(weights, largest, out=np.zeros_like(weights), where=largest > 0)
    pictures: NDArray[np.uint8] = np.rint(128 + 127 * stretched).astype(np.uint8)
    return pictures


def sheet(pictures: NDArray[np.uint8], columns: int, scale: int = 1) -> NDArray[np.uint8]:
    """Pictures of one size, N, h, w, C, in rows on one: uint8, H, W, C, with white lines between.

    scale: each pixel becomes so many a side.
    """
    count, height, width, channels = pictures.shape
    rows = -(-count // columns)
    tall, wide = height * scale, width * scale
    made = np.full((rows * (tall + 1) - 1, columns * (wide + 1) - 1, channels), 255, np.uint8)
    for k, picture in enumerate(pictures):
        top, left = k // columns * (tall + 1), k % columns * (wide + 1)
        made[top : top + tall, left : left + wide] = picture.repeat(scale, 0).repeat(scale, 1)
    return made
