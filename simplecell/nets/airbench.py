"""The net that learns CIFAR-10 fastest: Jordan: 94 % on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024.

It goes back to Page's ResNet-9 (How to Train Your ResNet, 2018) and to tysam-code's hlb-CIFAR10 (2023).
Three of its ideas are in this file: a first layer that whitens (Page 2018), convolutions that begin as the
identity, and biases that learn 64 times faster than weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from simplecell.errors import UserError

#: Side of the patches that the first layer whitens.
_PATCH = 2
#: Added to the patches' variances, so that what is hardly there is not blown up to noise.
_FLOOR = 5e-4
#: A bias is stored as an eighth of itself: a step on it then moves the bias 8 × 8 times as far.
_BIAS = 8.0
#: What the logits are multiplied by.
_LOGITS = 1 / 9


class Airbench(nn.Module):
    """A whitening first layer and three groups of two convolutions, then the maximum of each map.

    ::

        N, 3, 32, 32
          │ whitening 2×2 (fitted, not trained), GELU            24 × 31 × 31
          │ convolution 3×3, max-pooling 2×2, norm, GELU         64 × 15 × 15
          │ convolution 3×3, norm, GELU                          64 × 15 × 15
          │ convolution 3×3, max-pooling 2×2, norm, GELU        256 ×  7 ×  7
          │ convolution 3×3, norm, GELU                         256 ×  7 ×  7
          │ convolution 3×3, max-pooling 2×2, norm, GELU        256 ×  3 ×  3
          │ convolution 3×3, norm, GELU                         256 ×  3 ×  3
          │ maximum of each map                                 256
          ▼ dense without bias, × 1/9                         classes           logits

    Jordan 2024, section 3. 1.97 million parameters and 0.12 G multiply-adds a picture of 32 px; the paper
    has 94.01 % on CIFAR-10 after 9.9 epochs.

    base: maps of the first group; the others have four times as many.
    Raises UserError for pictures under 9 px.
    """

    whitening: Tensor

    def __init__(self, channels: int, classes: int, height: int, width: int, *, base: int = 64) -> None:
        super().__init__()
        if min(height, width) < 9:
            raise UserError(
                f"airbench needs pictures of at least 9 × 9 px, not {width} × {height}",
                where="net",
                remedy="enlarge the pictures or take the net 'dense'",
            )
        first, wide = 2 * channels * _PATCH**2, 4 * base
        self.register_buffer("whitening", torch.empty(first, channels, _PATCH, _PATCH))
        nn.init.kaiming_uniform_(self.whitening, a=5**0.5)  # until `initialise` has seen pictures
        self.bias = nn.Parameter(torch.zeros(first))
        self.groups = nn.Sequential(_Group(first, base), _Group(base, wide), _Group(wide, wide))
        self.classifier = nn.Linear(wide, classes, bias=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        maps = functional.gelu(functional.conv2d(pictures, self.whitening, self.bias))
        logits: Tensor = self.classifier(self.groups(maps).amax((2, 3)))
        return logits * _LOGITS

    @torch.no_grad()
    def initialise(self, pictures: Tensor) -> None:
        """Fit the whitening layer to normalised pictures N, C, H, W; a few thousand are enough.

        Its filters are the principal components of all patches, each over the root of its variance, and
        their negatives: what comes out is uncorrelated and of variance 1.
        """
        channels = pictures.shape[1]
        patches = functional.unfold(pictures.float(), _PATCH)  # N, C·2·2, places
        rows = patches.transpose(1, 2).reshape(-1, channels * _PATCH**2)
        # Of double precision: the smallest variances are thousands of times under the largest.
        covariance = torch.cov(rows.T.double(), correction=0)
        variances, components = torch.linalg.eigh(covariance.cpu())
        filters = (components / (variances + _FLOOR).sqrt()).T.flip(0)  # largest variance first
        filters = filters.reshape(-1, channels, _PATCH, _PATCH)
        self.whitening.copy_(torch.cat([filters, -filters]))


class _Group(nn.Module):
    """Two convolutions with norms and GELUs; the first one's map is halved."""

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__()
        self.first, self.first_norm = _convolution(channels, maps), _Norm(maps)
        self.second, self.second_norm = _convolution(maps, maps), _Norm(maps)

    def forward(self, maps: Tensor) -> Tensor:
        maps = functional.max_pool2d(self.first(maps), 2)
        maps = functional.gelu(self.first_norm(maps))
        return functional.gelu(self.second_norm(self.second(maps)))


def _convolution(channels: int, maps: int) -> nn.Conv2d:
    """A convolution whose first maps begin as those that came in, as far as there are."""
    made = nn.Conv2d(channels, maps, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(made.weight[:channels])
    return made


class _Norm(nn.Module):
    """Batch normalisation without a scale, whose bias learns fast and whose statistics forget fast."""

    ones: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(maps))
        self.register_buffer("mean", torch.zeros(maps))
        self.register_buffer("variance", torch.ones(maps))
        self.register_buffer("ones", torch.ones(maps), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        return functional.batch_norm(
            maps, self.mean, self.variance, self.ones, _BIAS * self.bias, self.training, momentum=0.4
        )
