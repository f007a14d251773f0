"""GoogLeNet: inception modules, which look at several scales at once, and heads that teach the middle.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich: Going Deeper with Convolutions,
CVPR, 2015. With batch normalisation, as its authors soon added (Ioffe and Szegedy, ICML, 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simplecell.nets.sizes import refuse_under


class GoogLeNet(nn.Module):
    """Three convolutions, nine inception modules, the mean of each map; two auxiliary heads in training.

    ::

        N, 3, 224, 224
          │ convolution 7×7 stride 2        64 × 112 × 112
          │ max-pooling 3×3 stride 2        64 ×  56 ×  56
          │ convolutions 1×1, 3×3          192 ×  56 ×  56
          │ max-pooling 3×3 stride 2       192 ×  28 ×  28
          │ inception 3a, 3b               480 ×  28 ×  28
          │ max-pooling 3×3 stride 2       480 ×  14 ×  14
          │ inception 4a                   512 ×  14 ×  14 ──▶ auxiliary head 1
          │ inception 4b, 4c, 4d           528 ×  14 ×  14 ──▶ auxiliary head 2
          │ inception 4e                   832 ×  14 ×  14
          │ max-pooling 2×2                832 ×   7 ×   7
          │ inception 5a, 5b              1024 ×   7 ×   7
          │ mean of each map, dropout     1024
          ▼ dense                      classes             logits

    Szegedy et al. 2015, table 1 and figure 3. 6.6 million parameters for 1000 classes (13.0 with the heads,
    which no answer needs). The paper has 10.07 % top-5 errors on ImageNet's validation pictures with one
    net and one crop, 6.67 % with seven nets and 144 crops.

    Its keys and shapes are torchvision's, so those weights load unchanged, and so it shares their
    departures from the paper: a batch normalisation after each convolution, 3×3 where the module's third
    branch has 5×5 in the paper, and the numbers of the heads. One thing is left to whoever loads
    torchvision's pretrained weights: they were trained on pictures of mean and deviation 0.5 in each
    channel. torchvision's net turns ImageNet's mean and deviation into that itself (``transform_input``);
    here normalisation stands before the net and is given those two numbers.

    In training mode it gives (logits, logits of head 1, logits of head 2), in eval mode logits alone. The
    paper counts the loss of each head 0.3. A head pools its map to 4 × 4, so every picture that the net
    takes is large enough for them.

    auxiliary: whether there are heads. dropout: share of the last means that a training step leaves out;
    of a head's units it is 0.7 always.
    Raises UserError for pictures under 15 px.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        height: int,
        width: int,
        *,
        auxiliary: bool = True,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        refuse_under(15, "googlenet", height, width)
        self.conv1 = Convolution(channels, 64, 7, stride=2)
        self.conv2 = Convolution(64, 64, 1)
        self.conv3 = Convolution(64, 192, 3)
        self.inception3a = Inception(192, 64, (96, 128), (16, 32), 32)
        self.inception3b = Inception(256, 128, (128, 192), (32, 96), 64)
        self.inception4a = Inception(480, 192, (96, 208), (16, 48), 64)
        self.inception4b = Inception(512, 160, (112, 224), (24, 64), 64)
        self.inception4c = Inception(512, 128, (128, 256), (24, 64), 64)
        self.inception4d = Inception(512, 112, (144, 288), (32, 64), 64)
        self.inception4e = Inception(528, 256, (160, 320), (32, 128), 128)
        self.inception5a = Inception(832, 256, (160, 320), (32, 128), 128)
        self.inception5b = Inception(832, 384, (192, 384), (48, 128), 128)
        self.aux1 = AuxiliaryHead(512, classes) if auxiliary else None
        self.aux2 = AuxiliaryHead(528, classes) if auxiliary else None
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.last_pool = nn.MaxPool2d(2, ceil_mode=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, 0, 0.01)

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Normalised pictures N, C, H, W to logits N, classes; in training mode also those of the heads."""
        maps = self.pool(self.conv1(pictures))  # N, 64, H/4, W/4
        maps = self.pool(self.conv3(self.conv2(maps)))  # N, 192, H/8, W/8
        maps = self.inception3b(self.inception3a(maps))
        four_a = self.inception4a(self.pool(maps))  # N, 512, H/16, W/16
        four_d = self.inception4d(self.inception4c(self.inception4b(four_a)))
        maps = self.last_pool(self.inception4e(four_d))  # N, 832, H/32, W/32
        maps = self.inception5b(self.inception5a(maps))
        logits: Tensor = self.fc(self.dropout(self.avgpool(maps).flatten(1)))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return logits, self.aux1(four_a), self.aux2(four_d)
        return logits


class Inception(nn.Module):
    """Four looks at the same maps, side by side.

    ::

                          N, C, H, W
            ┌─────────────┬────┴────────┬──────────────┐
            │             │ 1×1         │ 1×1          │ max-pooling 3×3
            │ 1×1         │ 3×3         │ 3×3          │ 1×1
            └─────────────┴────┬────────┴──────────────┘
                   their maps one after another

    Szegedy et al. 2015, figure 2b; the third branch has 5×5 there. Each convolution is followed by norm and
    rectifier.

    one: maps of the first branch. three, five: maps of the second and third branch, (after the 1×1
    convolution that makes them fewer, at the end). pooled: maps of the last.
    """

    def __init__(
        self, channels: int, one: int, three: tuple[int, int], five: tuple[int, int], pooled: int
    ) -> None:
        super().__init__()
        self.branch1 = Convolution(channels, one, 1)
        self.branch2 = nn.Sequential(Convolution(channels, three[0], 1), Convolution(*three, 3))
        self.branch3 = nn.Sequential(Convolution(channels, five[0], 1), Convolution(*five, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), Convolution(channels, pooled, 1))

    def forward(self, maps: Tensor) -> Tensor:
        branches = self.branch1(maps), self.branch2(maps), self.branch3(maps), self.branch4(maps)
        return torch.cat(branches, dim=1)


class AuxiliaryHead(nn.Module):
    """A classifier on maps of the middle: what it learns reaches the layers below without a long way.

    ::

        N, C, H, W
          │ mean of 4 × 4 places, convolution 1×1    128 × 4 × 4
          │ dense, ReLU, dropout                    1024
          ▼ dense                                 classes         logits

    Szegedy et al. 2015, section 5.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.conv = Convolution(channels, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, maps: Tensor) -> Tensor:
        features = self.conv(self.pool(maps)).flatten(1)
        logits: Tensor = self.fc2(self.dropout(self.relu(self.fc1(features))))
        return logits


class Convolution(nn.Module):
    """A convolution that keeps the size at stride 1, batch normalisation, rectifier."""

    def __init__(self, channels: int, maps: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, maps, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(maps, eps=0.001)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        made: Tensor = self.relu(self.bn(self.conv(maps)))
        return made
