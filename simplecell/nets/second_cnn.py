"""The book's second convolutional net: fewer and larger steps than the first, with batch normalisation.

Sewak, Karim, Pujari: Practical Convolutional Neural Networks, Packt, 2018, chapter 3, "putting all together
for creating the second CNN", for the 62 classes of Belgian traffic signs at 32 px. Batch normalisation is
of Ioffe and Szegedy, ICML, 2015.
"""

from __future__ import annotations

from torch import Tensor, nn

from simplecell.nets import blocks
from simplecell.nets.settings import Activation, Order
from simplecell.nets.sizes import refuse_under

_UNITS = 512


class SecondCNN(nn.Module):
    """Two blocks of convolution, norm and pooling, a dense layer with norm and dropout, a dense layer.

    ::

        N, 3, 32, 32
          │ convolution 6×6, ReLU, norm             128 × 32 × 32
          │ max-pooling 2×2                         128 × 16 × 16
          │ convolution 4×4 stride 2, ReLU, norm    256 ×  8 ×  8
          │ max-pooling 2×2                         256 ×  4 ×  4
          │ dense, ReLU, norm                       512
          │ dropout                                 512
          ▼ dense                                 classes            logits

    Sewak, Karim, Pujari 2018, chapter 3. 2.67 million parameters for 62 classes.

    Two departures: the book's program rectifies the logits, so that no class can be told to be unlikely,
    and leaves norm and dropout in training mode when it answers. Here neither is so.

    depth: convolutions; the third and later ones are 3×3 and halved. Each has twice the maps of the one
    before it, up to 8 × base.
    base: maps of the first convolution.
    activation, batch_norm, order: of every layer but the last, see ``simplecell.nets.blocks``.
    dropout: share of the dense layer's units that a training step leaves out.
    Raises UserError for pictures under 2 px at depth 1, under 2^(depth+1) px at more.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        height: int,
        width: int,
        *,
        depth: int = 2,
        base: int = 128,
        activation: Activation = "relu",
        batch_norm: bool = True,
        dropout: float = 0.25,
        order: Order = "conv-act-bn",
    ) -> None:
        super().__init__()
        shrinks = 2 if depth == 1 else 2 ** (depth + 1)
        refuse_under(shrinks, f"second-cnn of depth {depth}", height, width)
        style: blocks.Style = {"activation": activation, "batch_norm": batch_norm, "order": order}
        # An even kernel cannot be centred: TensorFlow pads one pixel more at the right and the bottom.
        layers: list[nn.Module] = [nn.ZeroPad2d((2, 3, 2, 3))]
        for number, maps in enumerate(blocks.widths(base, depth)):
            kernel, stride, padding = ((6, 1, 0), (4, 2, 1), (3, 1, 1))[min(number, 2)]
            layers += blocks.convolution(
                channels, maps, kernel, stride=stride, padding=padding, pool=True, **style
            )
            channels = maps
        self.features = nn.Sequential(*layers)
        units = channels * (height // shrinks) * (width // shrinks)
        self.classifier = nn.Sequential(
            nn.Flatten(), *blocks.dense(units, _UNITS, dropout=dropout, **style), nn.Linear(_UNITS, classes)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        logits: Tensor = self.classifier(self.features(pictures))
        return logits
