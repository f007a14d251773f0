"""AlexNet, in its second form, which runs on one device.

Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, NIPS, 2012.
Krizhevsky: One Weird Trick for Parallelizing Convolutional Neural Networks, arXiv:1404.5997, 2014.
"""

from __future__ import annotations

from torch import Tensor, nn

from simplecell.nets.sizes import refuse_under

_UNITS = 4096


class AlexNet(nn.Module):
    """Five convolutions with overlapping pooling, two dense layers with dropout, a dense layer.

    ::

        N, 3, 224, 224
          │ convolution 11×11 stride 4, ReLU    64 × 55 × 55
          │ max-pooling 3×3 stride 2            64 × 27 × 27
          │ convolution 5×5, ReLU              192 × 27 × 27
          │ max-pooling 3×3 stride 2           192 × 13 × 13
          │ convolution 3×3, ReLU              384 × 13 × 13
          │ convolution 3×3, ReLU              256 × 13 × 13
          │ convolution 3×3, ReLU              256 × 13 × 13
          │ max-pooling 3×3 stride 2           256 ×  6 ×  6
          │ mean of each of 6 × 6 places       256 ×  6 ×  6    what fits any other size to the dense layers
          │ dropout, dense, ReLU              4096
          │ dropout, dense, ReLU              4096
          ▼ dense                           classes             logits

    Krizhevsky 2014: the net of 2012 without its division over two devices and its normalisation of
    responses; 61.1 million parameters for 1000 classes. The paper of 2012 has 40.7 % top-1 and 18.2 %
    top-5 errors on ImageNet's validation pictures with one net; this form, as torchvision trained it, 43.5
    and 20.9 %. Its keys and shapes are torchvision's, so those weights load unchanged.

    dropout: share of its inputs that each of the first two dense layers leaves out of a training step.
    Raises UserError for pictures under 63 px, which leave the last pooling without a pixel.
    """

    def __init__(self, channels: int, classes: int, height: int, width: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        refuse_under(63, "alexnet", height, width)
        self.features = nn.Sequential(
            nn.Conv2d(channels, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, _UNITS),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(_UNITS, _UNITS),
            nn.ReLU(inplace=True),
            nn.Linear(_UNITS, classes),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        maps = self.avgpool(self.features(pictures))  # N, 256, 6, 6
        logits: Tensor = self.classifier(maps.flatten(1))
        return logits
