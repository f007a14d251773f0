"""LeNet-5, the net that read cheques.

LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition,
Proceedings of the IEEE, 1998, section II.B, figure 2, table I, appendix A.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from simplecell.errors import UserError

#: Table I: which of the six maps of S2 each of the sixteen maps of C3 looks at. Three in a row, four in a
#: row, two pairs, all: different inputs force the maps to extract different features.
_TABLE_I = (
    "012", "123", "234", "345", "045", "015",
    "0123", "1234", "2345", "0345", "0145", "0125",
    "0134", "1245", "0235",
    "012345",
)  # fmt: skip


def squash(activation: Tensor) -> Tensor:
    """The paper's sigmoid, f(a) = 1.7159 tanh(2a/3): f(1) = 1, f(-1) = -1 (appendix A)."""
    return 1.7159 * torch.tanh(activation * (2 / 3))


class Subsampling(nn.Module):
    """Sum each 2×2 square, times a coefficient and plus a bias that each map learns.

    ::

        N, C, H, W ── Σ over 2×2 ── · a_c + b_c ──▶ N, C, ⌊H/2⌋, ⌊W/2⌋

    LeCun et al. 1998, section II.B, layers S2 and S4.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        # Uniform within ±2.4/fan-in, as every weight of the paper; four inputs a unit.
        self.coefficient = nn.Parameter(torch.empty(maps, 1, 1).uniform_(-2.4 / 4, 2.4 / 4))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return 4 * functional.avg_pool2d(maps, 2) * self.coefficient + self.bias


class LeNet5(nn.Module):
    """LeNet-5 as printed, with a linear last layer.

    ::

        N, C, 28, 28
          │ pad 2                     32 × 32
          │ C1  convolution 5×5    6 × 28 × 28
          │ S2  subsampling 2×2    6 × 14 × 14
          │ C3  convolution 5×5   16 × 10 × 10    each map looks at 3, 4 or 6 of the 6 (table I)
          │ S4  subsampling 2×2   16 ×  5 ×  5
          │ C5  convolution 5×5  120              the whole map: 5×5 for pictures of 28 px
          │ F6  dense             84
          ▼ output              classes           logits

    Every layer up to F6 ends in ``squash``. LeCun et al. 1998, figure 2. For one channel of 28 × 28 the
    layers C1 to F6 have the paper's 156 + 12 + 1,516 + 32 + 48,120 + 10,164 = 60,000 parameters.

    One departure: the paper's output layer measures distances to fixed drawings of the digits (radial
    basis functions) and minimises a loss made for them; here it is linear and gives logits for a
    cross-entropy, so that any classes will do. The paper reports 0.95 % errors on MNIST (0.8 % with
    distorted training pictures).

    table: connect C3 by table I; otherwise to all six maps.
    Raises UserError for pictures under 12 px, which leave S4 without a pixel.
    """

    connections: Tensor

    def __init__(self, channels: int, classes: int, height: int, width: int, *, table: bool = True) -> None:
        super().__init__()
        # What S4 holds of a side: two unpadded 5×5 convolutions and two halvings of side + 4.
        rows, columns = ((side // 2 - 4) // 2 for side in (height, width))
        if min(rows, columns) < 1:
            raise UserError(
                f"LeNet-5 needs pictures of at least 12 × 12 px, not {width} × {height}",
                where="net",
                remedy="enlarge the pictures or take the net 'dense'",
            )
        self.c1 = nn.Conv2d(channels, 6, 5, padding=2)
        self.s2 = Subsampling(6)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = Subsampling(16)
        self.c5 = nn.Conv2d(16, 120, (rows, columns))
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, classes)
        looks = [[float(not table or str(source) in sources) for source in range(6)] for sources in _TABLE_I]
        # A constant of the paper and not a state of the net: it stays out of the saved tensors.
        self.register_buffer("connections", torch.tensor(looks)[:, :, None, None], persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Weights uniform within ±2.4/fan-in, counting connections that are there; biases 0 (appendix A)."""
        for layer in (self.c1, self.c3, self.c5, self.f6, self.output):
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            assert layer.bias is not None
            nn.init.uniform_(layer.weight, -2.4, 2.4)
            fan_in = (
                self.connections.sum(dim=1, keepdim=True) * 25
                if layer is self.c3
                else layer.weight[0].numel()
            )
            with torch.no_grad():
                layer.weight.div_(fan_in)
            nn.init.zeros_(layer.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures N, C, H, W to logits N, classes."""
        maps = squash(self.c1(pictures))  # N, 6, H, W
        maps = squash(self.s2(maps))  # N, 6, H/2, W/2
        maps = squash(functional.conv2d(maps, self.c3.weight * self.connections, self.c3.bias))
        maps = squash(self.s4(maps))  # N, 16, H/4 - 2, W/4 - 2
        features = squash(self.c5(maps)).flatten(1)  # N, 120
        logits: Tensor = self.output(squash(self.f6(features)))
        return logits
