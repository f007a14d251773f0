"""What stands around a net that gives logits: normalisation before it, and a temperature after it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Normalised(nn.Module):
    """uint8 pictures → normalised → body → logits, in eval mode divided by a temperature.

    ::

        N, C, H, W uint8  →  (x/255 − mean) / deviation  →  body  →  N, classes logits  →  / temperature

    mean, deviation: of the training pictures, a channel each, on the scale 0 … 1.
    temperature: a scalar, 1 until it is fitted (Guo et al. 2017); training never sees it.
    views: in eval mode logits are the mean over 1 view, the picture; 2, with its mirror; or 6, with both
    moved by a pixel up and left, and down and right, which count half (as Jordan 2024 tests on CIFAR-10).
    """

    scale: Tensor
    shift: Tensor
    temperature: Tensor

    def __init__(self, body: nn.Module, mean: list[float], deviation: list[float], views: int = 1) -> None:
        super().__init__()
        # At least so much that a channel which never changes stays finite.
        spread = torch.tensor(deviation, dtype=torch.float64).clamp_min(1e-3)
        self.register_buffer("scale", (1 / (255 * spread)).float().view(1, -1, 1, 1))
        shift = -torch.tensor(mean, dtype=torch.float64) / spread
        self.register_buffer("shift", shift.float().view(1, -1, 1, 1))
        self.register_buffer("temperature", torch.ones(()))
        self.body = body
        self.views = views

    def normalise(self, picture: Tensor) -> Tensor:
        """uint8 N, C, H, W to what the body takes: floats of that shape."""
        shift, scale = (_along_rows(values, picture.shape[3]) for values in (self.shift, self.scale))
        return torch.addcmul(shift, picture.float(), scale)

    def forward(self, picture: Tensor) -> Tensor | tuple[Tensor, ...]:
        """uint8 N, C, H, W to logits N, classes; in training mode also auxiliary ones, where the body has."""
        pictures = self.normalise(picture)
        if self.training:
            given: Tensor | tuple[Tensor, ...] = self.body(pictures)
            return given
        return self._answer(pictures) / self.temperature

    def _answer(self, pictures: Tensor) -> Tensor:
        """The logits of normalised pictures N, C, H, W, as the mean of their views."""
        if self.views == 1:
            logits: Tensor = self.body(pictures)
            return logits
        both: Tensor = (self.body(pictures) + self.body(pictures.flip(3))) / 2
        if self.views == 2:
            return both
        padded = functional.pad(pictures, (1, 1, 1, 1), mode="reflect")
        moved = [padded[:, :, :-2, :-2], padded[:, :, 2:, 2:]]
        others: list[Tensor] = [self.body(view) for each in moved for view in (each, each.flip(3))]
        return both / 2 + torch.stack(others).mean(0) / 2


def _along_rows(values: Tensor, width: int) -> Tensor:
    """A value a channel, 1, C, 1, 1, laid out along the rows of channels-last pictures, 1, C, 1, W.

    One long inner loop over width and channels is seven times faster than many of three steps.
    """
    return values.expand(1, -1, 1, width).contiguous(memory_format=torch.channels_last)
