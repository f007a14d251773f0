"""Which labels of a data set are probably wrong, from what a net says of pictures it has not learnt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simplecell.metrics.classification import checked


@dataclass(frozen=True)
class Suspect:
    """An example whose label is doubted.

    place: which of the examples. label: the class it is given; suggested: the one it seems to be.
    given, instead: their probabilities.
    """

    place: int
    label: int
    suggested: int
    given: float
    instead: float

    @property
    def margin(self) -> float:
        """How much more probable the suggested class is, above 0 … 1: the order of suspicion."""
        return self.instead - self.given


def suspects(labels: ArrayLike, probabilities: ArrayLike) -> list[Suspect]:
    """The examples that confident learning doubts, the most doubtful first.

    A class counts as confidently seen in an example when its probability reaches that class's threshold: the
    mean of its probabilities over the examples that bear its label. An example is doubted where the most
    probable of the classes confidently seen in it is not its label, and more probable than that. Thresholds
    by class make up for a net that is more sure of one class than of another. The order is that of the
    normalised margin.
    Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 2021,
    sections 3.1 (equation 2) and 4.2.

    labels: int64, N, 0 … K-1. probabilities: N × K. They should be out of sample: of examples that the net
    learnt it repeats the labels, wrong ones too. Raises ValueError as the figures of a classifier do.
    """
    truth, chances = checked(labels, probabilities)
    thresholds = class_thresholds(truth, chances)
    seen = np.where(chances >= thresholds, chances, -1.0)
    suggested = seen.argmax(axis=1)
    rows = np.arange(len(truth))
    instead, given = seen[rows, suggested], chances[rows, truth]
    doubted = np.flatnonzero((suggested != truth) & (instead > given))
    order = doubted[np.lexsort((doubted, given[doubted] - instead[doubted]))]
    return [
        Suspect(k, int(truth[k]), int(suggested[k]), float(given[k]), float(instead[k]))
        for k in order.tolist()
    ]


def class_thresholds(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each class the mean of its probability over the examples labelled so; infinite without any."""
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    totals = np.bincount(labels, weights=probabilities[np.arange(len(labels)), labels], minlength=classes)
    thresholds = np.full(classes, np.inf)
    np.divide(totals, counts, out=thresholds, where=counts > 0)
    return thresholds
