"""A fully connected net: what there was before convolutions, and what they are measured against.

Rumelhart, Hinton, Williams: Learning Representations by Back-Propagating Errors, Nature, 1986; with the
rectifiers of Nair and Hinton (ICML 2010) and the dropout of Srivastava et al. (JMLR 2014).
"""

from __future__ import annotations

from torch import Tensor, nn

from simplecell.nets import blocks
from simplecell.nets.settings import Activation


class Dense(nn.Module):
    """Dense layers on the flattened picture.

    ::

        N, C, 28, 28
          │ flatten                C·784
          │ dense, ReLU, dropout   512
          │ dense, ReLU, dropout   512
          ▼ dense                 classes    logits

    Rumelhart, Hinton, Williams 1986; 784-512-512-10 is chapter 1's net for MNIST. A picture shifted by a
    pixel is another picture to it: no weight is shared between places.

    depth: hidden layers; none makes it logistic regression. base: units of each hidden layer.
    activation, batch_norm: of each hidden layer, the norm before the activation.
    dropout: share of each hidden layer's units that a training step leaves out.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        height: int,
        width: int,
        *,
        depth: int = 2,
        base: int = 512,
        activation: Activation = "relu",
        batch_norm: bool = False,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        style: blocks.Style = {"activation": activation, "batch_norm": batch_norm, "order": "conv-bn-act"}
        layers: list[nn.Module] = [nn.Flatten()]
        units = channels * height * width
        for _ in range(depth):
            layers += blocks.dense(units, base, dropout=dropout, **style)
            units = base
        self.layers = nn.Sequential(*layers, nn.Linear(units, classes))

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        logits: Tensor = self.layers(pictures)
        return logits
