"""The first convolutional net one builds: two convolutions with pooling, then dense layers.

Sewak, Karim, Pujari: Practical Convolutional Neural Networks, Packt, 2018, chapter 3, in the form that
TensorFlow's tutorial "Deep MNIST for Experts" (2015) made well known. Dropout is of Srivastava et al.:
Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR, 2014.
"""

from __future__ import annotations

from torch import Tensor, nn

from simplecell.errors import UserError


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

    dropout: share of the dense layer's units that a training step leaves out.
    Raises UserError for pictures under 4 px.
    """

    def __init__(self, channels: int, classes: int, height: int, width: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        if min(height, width) < 4:
            raise UserError(
                f"first-cnn needs pictures of at least 4 × 4 px, not {width} × {height}",
                where="net",
                remedy="enlarge the pictures or take the net 'dense'",
            )
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * (height // 4) * (width // 4), 1024),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(1024, classes),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        logits: Tensor = self.classifier(self.features(pictures))
        return logits
