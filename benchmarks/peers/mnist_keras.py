"""Keras' program of the race: its own example, the simple MNIST convnet, on the PyTorch backend.

    28×28×1 → conv 3×3, 32, relu → max-pool 2 → conv 3×3, 64, relu → max-pool 2
            → dropout ½ → dense 10, softmax

Adam, batches of 128, pictures as an array from 0 to 1. The example holds a tenth of the training pictures
back for validation; here all 60,000 are trained on. Run: python mnist_keras.py SEED FOLDER-OF-IDX-GZ
"""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from race import MOST_EPOCHS, Race


def side(folder: Path, name: str) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Pictures N×28×28×1 from 0 to 1, and labels N×10 one-hot."""
    pictures = np.frombuffer(
        gzip.decompress((folder / f"{name}-images-idx3-ubyte.gz").read_bytes()), np.uint8
    )
    labels = np.frombuffer(gzip.decompress((folder / f"{name}-labels-idx1-ubyte.gz").read_bytes()), np.uint8)
    return (
        pictures[16:].reshape(-1, 28, 28, 1).astype(np.float32) / 255,
        keras.utils.to_categorical(labels[8:], 10),
    )


class Laps(keras.callbacks.Callback):
    """Ends the race's epochs with those of Keras."""

    def __init__(self, race: Race, pictures: NDArray[np.float32], labels: NDArray[Any]) -> None:
        super().__init__()
        self.race, self.pictures, self.labels = race, pictures, labels

    def accuracy(self) -> float:
        right = self.model.predict(self.pictures, batch_size=1000, verbose=0).argmax(1) == self.labels.argmax(
            1
        )
        return float(right.mean())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.stop_training = self.race.epoch(self.accuracy)


def main(seed: int, folder: Path) -> None:
    keras.utils.set_random_seed(seed)
    race = Race()
    pictures, labels = side(folder, "train")
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    laps = Laps(race, *side(folder, "t10k"))
    model.fit(pictures, labels, batch_size=128, epochs=MOST_EPOCHS, verbose=0, callbacks=[laps])
    race.report()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
