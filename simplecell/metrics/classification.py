"""Figures of a classifier, from labels and probabilities alone.

labels: int64, N, the index of each example's class, 0 … K-1.
probabilities: float, N × K, rows that sum to 1. Of equal probabilities the lower class index comes first.
Shares are from 0 to 1. Each function raises ValueError where the shapes do not fit or there is no example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simplecell.metrics.intervals import Figure, bootstrap, bootstrap_counts, wilson

#: The smallest probability that a logarithm is taken of: that of float32's rounding, so that one
#: confident mistake of a float32 softmax costs 16 nats and not infinity.
SMALLEST = 2.0**-23


def accuracy(labels: ArrayLike, probabilities: ArrayLike) -> Figure:
    """Share of examples whose most probable class is theirs, with Wilson's interval."""
    return top_k(labels, probabilities, 1)


def top_k(labels: ArrayLike, probabilities: ArrayLike, k: int) -> Figure:
    """Share of examples whose class is among the k most probable, with Wilson's interval.

    With k at or above the number of classes it is 1.
    """
    truth, chances = checked(labels, probabilities)
    own = chances[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(chances.shape[1])[None, :] < truth[:, None]
    rank = ((chances > own) | ((chances == own) & earlier)).sum(axis=1)
    return wilson(int((rank < k).sum()), len(truth))


def confusion(labels: ArrayLike, probabilities: ArrayLike) -> NDArray[np.int64]:
    """Counts, K × K: how many examples of the row's class were taken for the column's."""
    truth, chances = checked(labels, probabilities)
    classes = chances.shape[1]
    cells = truth * classes + chances.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def balanced_accuracy(matrix: NDArray[np.int64], seed: int = 0) -> Figure:
    """Mean over the classes that occur of the share found of each, with a bootstrap interval.

    matrix: of ``confusion``.
    """

    # Only what was found and what was missed of each class matters: 2 × K counts instead of K × K, which with
    # a thousand classes would be a thousand resamples of a million numbers.
    right = np.diagonal(matrix)

    def mean_recall(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        recall = _ratio(counts[:, 0], counts.sum(axis=1))  # resamples × K, nan where a class is absent
        there = np.isfinite(recall)
        total: NDArray[np.float64] = np.where(there, recall, 0).sum(axis=1, keepdims=True)
        mean: NDArray[np.float64] = total / there.sum(axis=1, keepdims=True)
        return mean

    return bootstrap_counts(np.stack([right, matrix.sum(axis=1) - right]), mean_recall, seed=seed)[0]


def by_class(matrix: NDArray[np.int64], classes: Sequence[str]) -> dict[str, dict[str, Figure]]:
    """``precision``, ``recall`` and ``F1`` of each class.

    Precision (share right of what was taken for the class) and recall (share found of the class) have
    Wilson's interval. So has F1, their harmonic mean: of the examples that are of the class or were taken for
    it, it is a function of the share J that is both, 2J / (1 + J), and so are the ends of its interval. A
    class that nothing was taken for has no precision, one without examples no recall (nan), one without both
    no F1.

    matrix: of ``confusion``. classes: K names, in the order of the matrix.
    """
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(f"{len(classes)} class names for a matrix of shape {matrix.shape}")
    right, taken, there = np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    return {
        name: {
            "precision": wilson(int(right[k]), int(taken[k])),
            "recall": wilson(int(right[k]), int(there[k])),
            "F1": _f1(int(right[k]), int(taken[k] + there[k] - right[k])),
        }
        for k, name in enumerate(classes)
    }


def negative_log_likelihood(labels: ArrayLike, probabilities: ArrayLike, seed: int = 0) -> Figure:
    """Mean of -ln(probability of the example's class), in nats, with a bootstrap interval.

    Probabilities under 2⁻²³ count as 2⁻²³.
    """
    truth, chances = checked(labels, probabilities)
    return bootstrap(-np.log(np.maximum(chances[np.arange(len(truth)), truth], SMALLEST)), seed=seed)


def calibration_error(
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int = 15,
    seed: int = 0,
    equal: Literal["width", "mass"] = "width",
) -> Figure:
    """Expected calibration error: how far confidence is from accuracy, with a bootstrap interval.

    The examples are put in ``bins`` ranges of their highest probability (see ``reliability``); in each the
    distance between its mean and the share right is taken, and averaged by the examples in it.
    Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015;
    15 bins of equal width as in Guo et al.: On Calibration of Modern Neural Networks, ICML 2017.
    The error is biased upwards where examples are few.
    """
    truth, chances = checked(labels, probabilities)
    confidence = chances.max(axis=1)
    place, _ = _ranges(confidence, bins, equal)
    excess = (chances.argmax(axis=1) == truth) - confidence

    def error(rows: NDArray[np.float64]) -> float:
        by_range = np.bincount(rows[:, 0].astype(np.int64), weights=rows[:, 1], minlength=bins)
        return float(np.abs(by_range).sum() / len(rows))

    return bootstrap(np.column_stack([place, excess]), error, seed=seed, centred=True)


@dataclass(frozen=True)
class Bin:
    """The examples whose highest probability is above ``low`` and at most ``high``.

    confidence: the mean of those probabilities. accuracy: the share right, with Wilson's interval.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: Figure


def reliability(
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int = 15,
    equal: Literal["width", "mass"] = "width",
) -> list[Bin]:
    """What a reliability diagram shows: accuracy by ranges of the highest probability, empty ones left out.

    equal: the ranges have one width, or (nearly: equal probabilities stay together) one number of examples
    (Nguyen, O'Connor: Posterior Calibration and Exploratory Analysis for Natural Language Processing Models,
    EMNLP 2015).
    """
    truth, chances = checked(labels, probabilities)
    confidence = chances.max(axis=1)
    right = chances.argmax(axis=1) == truth
    place, edges = _ranges(confidence, bins, equal)
    found = []
    for k in np.unique(place).tolist():
        inside = place == k
        accuracy = wilson(int(right[inside].sum()), int(inside.sum()))
        mean = float(confidence[inside].mean())
        found.append(Bin(float(edges[k]), float(edges[k + 1]), int(inside.sum()), mean, accuracy))
    return found


def coverage(
    labels: ArrayLike, probabilities: ArrayLike, thresholds: Sequence[float]
) -> list[tuple[Figure, Figure]]:
    """For each threshold the share of examples whose highest probability reaches it, and their accuracy.

    Both with Wilson's interval; where no example reaches it the accuracy is nan.
    Geifman, El-Yaniv: Selective Classification for Deep Neural Networks, NeurIPS 2017.
    """
    truth, chances = checked(labels, probabilities)
    confidence = chances.max(axis=1)
    right = chances.argmax(axis=1) == truth
    answered = [confidence >= threshold for threshold in thresholds]
    return [
        (wilson(int(some.sum()), len(truth)), wilson(int(right[some].sum()), int(some.sum())))
        for some in answered
    ]


def tempered(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """The probabilities that the same logits have when divided by so much more: N × K, float64.

    With 1/T it takes back a temperature T.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    with np.errstate(divide="ignore"):  # a probability of 0 stays one
        scaled = np.log(chances) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    normalised: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return normalised


def _ranges(
    confidence: NDArray[np.float64], bins: int, equal: Literal["width", "mass"]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """In which of ``bins`` ranges each confidence lies, and their bins + 1 edges.

    Ranges are open below and closed above, as in the papers: (0, 1/15], (1/15, 2/15], …
    """
    if equal == "width":
        place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
        return place, np.linspace(0, 1, bins + 1)
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1), method="inverted_cdf")
    return np.searchsorted(edges[1:-1], confidence, side="left"), edges


def _f1(right: int, concerned: int) -> Figure:
    """F1 of the examples found and those that are of the class or were taken for it."""
    share = wilson(right, concerned)
    value, low, high = (2 * j / (1 + j) for j in (share.value, share.low or 0.0, share.high or 0.0))
    return Figure(value, low, high)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """part / whole, and nan where the whole is 0."""
    ratio = np.full(part.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Both as arrays, once they fit each other; see the file's head for what is raised."""
    truth, chances = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1 or chances.ndim != 2 or len(truth) != len(chances):
        raise ValueError(f"labels of shape {truth.shape} do not fit probabilities of shape {chances.shape}")
    if len(truth) == 0:
        raise ValueError("there is no example to take a figure of")
    if truth.min() < 0 or truth.max() >= chances.shape[1]:
        raise ValueError(f"a label is outside 0 … {chances.shape[1] - 1}")
    return truth.astype(np.int64), chances
