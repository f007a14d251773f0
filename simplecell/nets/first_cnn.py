"""The first convolutional net one builds: two convolutions with pooling, then dense layers.

Sewak, Karim, Pujari: Practical Convolutional Neural Networks, Packt, 2018, chapter 3, in the form that
TensorFlow's tutorial "Deep MNIST for Experts" (2015) made well known. Dropout is of Srivastava et al.:
Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR, 2014.
"""

from __future__ import annotations

from torch import Tensor, nn

from simplecell.nets import blocks
from simplecell.nets.settings import Activation, Order
from simplecell.nets.sizes import refuse_under


class FirstCNN(nn.Module):
    """Two blocks of convolution and pooling, a dense layer, dropout, a dense layer.

    ::

        N, C, 28, 28
          │ convolution 5×5, ReLU   32 × 28 × 28
          │ max-pooling 2×2         32 × 14 × 14
          │ convolution 5×5, ReLU   64 × 14 × 14
          │ max-pooling 2×2         64 ×  7 ×  7
          │ dense, ReLU           1024
          │ dropout               1024
          ▼ dense                classes            logits

    Sewak, Karim, Pujari 2018, chapter 3. 3.3 million parameters at 28 px, almost all of them between the
    last map and the dense layer: their number grows with the area of the picture.

    depth: convolutions; each has twice the maps of the one before it, up to 8 × base, and is halved.
    base: maps of the first convolution.
    activation, batch_norm, order: of every layer but the last, see ``simplecell.nets.blocks``.
    dropout: share of the dense layer's units that a training step leaves out.
    Raises UserError for pictures under 2^depth px.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        height: int,
        width: int,
        *,
        depth: int = 2,
        base: int = 32,
        activation: Activation = "relu",
        batch_norm: bool = False,
        dropout: float = 0.5,
        order: Order = "conv-bn-act",
    ) -> None:
        super().__init__()
        shrinks = 2**depth
        refuse_under(shrinks, f"first-cnn of depth {depth}", height, width)
        style: blocks.Style = {"activation": activation, "batch_norm": batch_norm, "order": order}
        layers: list[nn.Module] = []
        for maps in blocks.widths(base, depth):
            layers += blocks.convolution(channels, maps, 5, padding=2, pool=True, **style)
            channels = maps
        self.features = nn.Sequential(*layers)
        units = channels * (height // shrinks) * (width // shrinks)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            *blocks.dense(units, 1024, dropout=dropout, **style),
            nn.Linear(1024, classes),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        logits: Tensor = self.classifier(self.features(pictures))
        return logits
