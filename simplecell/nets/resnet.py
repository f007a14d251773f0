"""The residual nets for ImageNet: blocks that add to what they were given, so that depth does no harm.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR, 2016 (arXiv 2015).
"""

from __future__ import annotations

from torch import Tensor, nn


class ResNet(nn.Module):
    """A convolution, four groups of residual blocks, the mean of each map, a dense layer.

    ::

        N, 3, 224, 224                                      blocks in a group
          │                          layers           18     34     50    101    152
          │ convolution 7×7 stride 2, norm, ReLU    64 × 112 × 112
          │ max-pooling 3×3 stride 2                64 ×  56 ×  56
          │ group 1                   64 × 56 × 56     2      3      3      3      3
          │ group 2                  128 × 28 × 28     2      4      4      4      8
          │ group 3                  256 × 14 × 14     2      6      6     23     36
          │ group 4                  512 ×  7 ×  7     2      3      3      3      3
          │ mean of each map                         512    512   2048   2048   2048
          ▼ dense                 classes                    logits

    The blocks of 50 layers and more are bottlenecks, which give four times the maps that are written here.
    He et al. 2016, table 1. Errors on ImageNet's validation pictures, ten crops (tables 2 and 3; of 18 layers
    with the shortcuts of option A, of the others with those of option B, which are built here):

    ======  ==========  =================
    layers  parameters  top-1, top-5
    ======  ==========  =================
        18      11.7 M  27.88 %
        34      21.8 M  24.52 %, 7.46 %
        50      25.6 M  22.85 %, 6.71 %
       101      44.5 M  21.75 %, 6.05 %
       152      60.2 M  21.43 %, 5.71 %
    ======  ==========  =================

    Its keys and shapes are torchvision's, so those weights load unchanged. So is the place of a bottleneck's
    stride: at its 3×3 convolution, and not, as in the paper, at its first 1×1, which drops three pixels of
    four unseen (Goyal et al. 2017, section 5.1). First weights: He's normal distribution (ICCV 2015) over a
    convolution's outgoing connections.

    layers: with weights: 18, 34, 50, 101 or 152.
    """

    def __init__(self, channels: int, classes: int, height: int, width: int, *, layers: int = 18) -> None:
        super().__init__()
        block, blocks = _GROUPS[layers]
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _group(block, 64, 64, blocks[0], stride=1)
        self.layer2 = _group(block, 64 * block.expansion, 128, blocks[1], stride=2)
        self.layer3 = _group(block, 128 * block.expansion, 256, blocks[2], stride=2)
        self.layer4 = _group(block, 256 * block.expansion, 512, blocks[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(pictures))))  # N, 64, H/4, W/4
        maps = self.layer2(self.layer1(maps))  # N, 128, H/8, W/8
        maps = self.layer4(self.layer3(maps))  # N, 512, H/32, W/32
        logits: Tensor = self.fc(self.avgpool(maps).flatten(1))
        return logits


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut.

    ::

        maps ─┬─ 3×3, norm, ReLU ─ 3×3, norm ─ + ─ ReLU ─▶
              └─ as it is, or 1×1, norm ───────┘

    He et al. 2016, figure 5 left; the 1×1 stands where size or number of maps changes (option B).
    """

    expansion = 1  # maps that come out, over ``maps``

    def __init__(self, channels: int, maps: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, maps, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(maps)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(maps)
        self.downsample = _projection(channels, maps, stride)

    def forward(self, maps: Tensor) -> Tensor:
        residual = self.relu(self.bn1(self.conv1(maps)))
        residual = self.bn2(self.conv2(residual))
        shortcut = maps if self.downsample is None else self.downsample(maps)
        total: Tensor = self.relu(residual + shortcut)
        return total


class Bottleneck(nn.Module):
    """A convolution between two of 1×1, which make the maps fewer and then more, beside a shortcut.

    ::

        maps ─┬─ 1×1, norm, ReLU ─ 3×3, norm, ReLU ─ 1×1, norm ─ + ─ ReLU ─▶
              └─ as it is, or 1×1, norm ─────────────────────────┘

    He et al. 2016, figure 5 right; the stride is at the 3×3 (see ``ResNet``).
    """

    expansion = 4

    def __init__(self, channels: int, maps: int, stride: int) -> None:
        super().__init__()
        wide = self.expansion * maps
        self.conv1 = nn.Conv2d(channels, maps, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(maps)
        self.conv2 = nn.Conv2d(maps, maps, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(maps)
        self.conv3 = nn.Conv2d(maps, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(channels, wide, stride)

    def forward(self, maps: Tensor) -> Tensor:
        residual = self.relu(self.bn1(self.conv1(maps)))
        residual = self.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        shortcut = maps if self.downsample is None else self.downsample(maps)
        total: Tensor = self.relu(residual + shortcut)
        return total


def _projection(channels: int, maps: int, stride: int) -> nn.Sequential | None:
    """What makes a shortcut fit where size or number of maps changes."""
    if stride == 1 and channels == maps:
        return None
    return nn.Sequential(nn.Conv2d(channels, maps, 1, stride, bias=False), nn.BatchNorm2d(maps))


def _group(
    block: type[BasicBlock | Bottleneck], channels: int, maps: int, count: int, stride: int
) -> nn.Sequential:
    """Blocks in a row, of which the first has the stride."""
    later = [block(block.expansion * maps, maps, 1) for _ in range(count - 1)]
    return nn.Sequential(block(channels, maps, stride), *later)


#: Block and number of blocks in each group by the number of layers: table 1.
_GROUPS: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
