"""The residual nets for CIFAR-10: narrow, deep, and without a parameter in their shortcuts.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR, 2016 (arXiv 2015), section 4.2.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class CifarResNet(nn.Module):
    """A convolution, three groups of n residual blocks, the mean of each map, a dense layer: 6n + 2 layers.

    ::

        N, 3, 32, 32
          │ convolution 3×3, norm, ReLU       16 × 32 × 32
          │ n blocks                          16 × 32 × 32
          │ n blocks, the first of stride 2   32 × 16 × 16
          │ n blocks, the first of stride 2   64 ×  8 ×  8
          │ mean of each map                  64
          ▼ dense                           classes           logits

    He et al. 2016, section 4.2 and table 6; errors on CIFAR-10 with shifts of 4 px and mirrors:

    ======  ==========  ======
    layers  parameters  errors
    ======  ==========  ======
        20      0.27 M  8.75 %
        32      0.46 M  7.51 %
        44      0.66 M  7.17 %
        56      0.85 M  6.97 %
    ======  ==========  ======

    First weights: He's normal distribution (ICCV 2015) over incoming connections.

    layers: with weights: 20, 32, 44, 56, or another 6n + 2.
    """

    def __init__(self, channels: int, classes: int, height: int, width: int, *, layers: int = 20) -> None:
        super().__init__()
        count = (layers - 2) // 6
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.groups = nn.Sequential(_group(16, 16, count), _group(16, 32, count), _group(32, 64, count))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        maps = self.groups(self.stem(pictures))  # N, 64, H/4, W/4
        logits: Tensor = self.classifier(self.pool(maps).flatten(1))
        return logits


class Block(nn.Module):
    """Two convolutions beside a shortcut that costs no parameter.

    ::

        maps ─┬─ 3×3, norm, ReLU ─ 3×3, norm ─ + ─ ReLU ─▶
              └─ as it is, or shortened ───────┘

    He et al. 2016, option A: where the maps are halved, the shortcut takes every second pixel, and zeros
    for the maps that are new.
    """

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__()
        self.new = maps - channels
        self.stride = 2 if self.new else 1
        self.conv1 = nn.Conv2d(channels, maps, 3, self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(maps)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(maps)

    def forward(self, maps: Tensor) -> Tensor:
        residual = self.relu(self.bn1(self.conv1(maps)))
        residual = self.bn2(self.conv2(residual))
        if self.new:
            maps = functional.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))
        total: Tensor = self.relu(residual + maps)
        return total


def _group(channels: int, maps: int, count: int) -> nn.Sequential:
    return nn.Sequential(Block(channels, maps), *(Block(maps, maps) for _ in range(count - 1)))
