"""The VGG nets: nothing but convolutions of 3×3, and many of them.

Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR, 2015.
With batch normalisation (Ioffe and Szegedy, ICML, 2015) they train without the paper's start from the
weights of a shallower one.
"""

from __future__ import annotations

from torch import Tensor, nn

from simplecell.nets.sizes import refuse_under

#: Convolutions between poolings by the number of layers with weights: table 1, columns A, B, D and E.
_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_MAPS = (64, 128, 256, 512, 512)
_UNITS = 4096


class VGG(nn.Module):
    """Five groups of 3×3 convolutions, halved after each, two dense layers with dropout, a dense layer.

    ::

        N, 3, 224, 224                                 convolutions in a group
          │                            layers            11   13   16   19
          │ convolutions 3×3, ReLU    64 × 224 × 224      1    2    2    2
          │ max-pooling 2×2           64 × 112 × 112
          │ convolutions 3×3, ReLU   128 × 112 × 112      1    2    2    2
          │ max-pooling 2×2          128 ×  56 ×  56
          │ convolutions 3×3, ReLU   256 ×  56 ×  56      2    2    3    4
          │ max-pooling 2×2          256 ×  28 ×  28
          │ convolutions 3×3, ReLU   512 ×  28 ×  28      2    2    3    4
          │ max-pooling 2×2          512 ×  14 ×  14
          │ convolutions 3×3, ReLU   512 ×  14 ×  14      2    2    3    4
          │ max-pooling 2×2          512 ×   7 ×   7
          │ mean of 7 × 7 places     512 ×   7 ×   7    what fits any other size to the dense layers
          │ dense, ReLU, dropout    4096
          │ dense, ReLU, dropout    4096
          ▼ dense                 classes               logits

    Simonyan and Zisserman 2015, table 1. Two convolutions of 3×3 see 5×5 pixels and three see 7×7, with
    fewer weights and more rectifiers than one that large.

    ======  ==========  ==============================================
    layers  parameters  errors on ImageNet, one scale: top-1, top-5
    ======  ==========  ==============================================
        11       133 M  29.6 %, 10.4 %
        13       133 M  28.7 %,  9.9 %
        16       138 M  25.6 %,  8.1 % (trained at several scales)
        19       144 M  25.5 %,  8.0 % (trained at several scales)
    ======  ==========  ==============================================

    (Tables 2 and 3; the paper counts a net's columns A, B, D, E.) Its keys and shapes are torchvision's, so
    those weights load unchanged; so are the first weights: He's normal distribution (ICCV 2015) over a
    convolution's outgoing connections, a deviation of 0.01 in dense layers, biases 0.

    layers: with weights: 11, 13, 16 or 19. batch_norm: between each convolution and its rectifier.
    dropout: share of each hidden dense layer's units that a training step leaves out.
    Raises UserError for pictures under 32 px.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        height: int,
        width: int,
        *,
        layers: int = 11,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        refuse_under(32, f"vgg{layers}", height, width)
        features: list[nn.Module] = []
        for maps, convolutions in zip(_MAPS, _CONVOLUTIONS[layers], strict=True):
            for _ in range(convolutions):
                features.append(nn.Conv2d(channels, maps, 3, padding=1))
                if batch_norm:
                    features.append(nn.BatchNorm2d(maps))
                features.append(nn.ReLU(inplace=True))
                channels = maps
            features.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, _UNITS),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(_UNITS, _UNITS),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(_UNITS, classes),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, 0, 0.01)
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        maps = self.avgpool(self.features(pictures))  # N, 512, 7, 7
        logits: Tensor = self.classifier(maps.flatten(1))
        return logits
