"""The plain PyTorch program of the race: the well-known example net, written as its readers write it.

    1×28×28 → conv 3×3, 32 → relu → conv 3×3, 64 → relu → max-pool 2 → dropout ¼
            → dense 128 → relu → dropout ½ → dense 10

Adadelta with rate 1.0, times 0.7 after each epoch; batches of 64 from a DataLoader that decodes in the
training process, as the example does without a GPU. Run: python mnist_pytorch.py SEED FOLDER-OF-IDX-GZ
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from race import Race, unpacked
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


class Net(nn.Module):
    """The example net; gives log-probabilities, N×10."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.dense1 = nn.Linear(9216, 128)
        self.dense2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))  # N, 32, 26, 26
        x = F.relu(self.conv2(x))  # N, 64, 24, 24
        x = self.dropout1(F.max_pool2d(x, 2)).flatten(1)  # N, 9216
        x = self.dropout2(F.relu(self.dense1(x)))
        return F.log_softmax(self.dense2(x), dim=1)


def loaders(root: str, batch_size: int) -> tuple[DataLoader[Tensor], DataLoader[Tensor]]:
    """Training and test batches of normalised pictures."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    train = datasets.MNIST(root, train=True, transform=transform)
    test = datasets.MNIST(root, train=False, transform=transform)
    return DataLoader(train, batch_size, shuffle=True), DataLoader(test, batch_size=1000)


@torch.no_grad()
def accuracy(net: nn.Module, test: DataLoader[Tensor]) -> float:
    net.eval()
    right = sum(int((net(pictures).argmax(1) == labels).sum()) for pictures, labels in test)
    return right / 10_000


def main(seed: int, root: str) -> None:
    torch.manual_seed(seed)
    race = Race()
    train, test = loaders(root, batch_size=64)
    net = Net()
    optimiser = torch.optim.Adadelta(net.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimiser, step_size=1, gamma=0.7)
    while True:
        net.train()
        for pictures, labels in train:
            optimiser.zero_grad()
            F.nll_loss(net(pictures), labels).backward()
            optimiser.step()
        scheduler.step()
        if race.epoch(lambda: accuracy(net, test)):
            break
    race.report()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        unpacked(Path(sys.argv[2]), Path(folder))
        main(int(sys.argv[1]), folder)
