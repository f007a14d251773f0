"""fastai's program of the race: the page of its documentation on moving from pure PyTorch.

The plain program's net and loaders, with batches of 256, in a Learner with Adam and one cycle up to a rate
of 0.01. One cycle wants its length beforehand; where EPOCHS do not arrive, fastai stands with the time they
took, which can only be in its favour.
Run: python mnist_fastai.py SEED FOLDER-OF-IDX-GZ
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fastai.callback.core import CancelFitException
from fastai.callback.schedule import Learner  # with fit_one_cycle
from fastai.data.core import DataLoaders
from fastai.metrics import accuracy
from fastai.optimizer import Adam
from fastai.torch_core import set_seed
from fastai.vision.all import Callback
from mnist_pytorch import Net, loaders
from race import Race, unpacked
from torch.nn import functional as F

EPOCHS = 3


class Laps(Callback):
    """Ends the race's epochs with those of fastai, whose own validation is the measurement."""

    order = 60  # after the Recorder, which then has the epoch's accuracy

    def __init__(self, race: Race) -> None:
        self.race = race

    def before_validate(self) -> None:
        self.race.pause()

    def after_validate(self) -> None:
        self.race.go_on()

    def after_epoch(self) -> None:
        if self.race.epoch(lambda: float(self.recorder.values[-1][-1])):
            raise CancelFitException


def main(seed: int, root: str) -> None:
    set_seed(seed)
    race = Race()
    learner = Learner(
        DataLoaders(*loaders(root, batch_size=256)),
        Net(),
        loss_func=F.nll_loss,
        opt_func=Adam,
        metrics=accuracy,
    )
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(EPOCHS, 1e-2, cbs=Laps(race))
    race.report()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        unpacked(Path(sys.argv[2]), Path(folder))
        main(int(sys.argv[1]), folder)
