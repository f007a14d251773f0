"""How sure a figure is: Wilson's interval for shares, the bootstrap for the rest, deviation over seeds.

Wilson: Probable Inference, the Law of Succession, and Statistical Inference, JASA, 1927.
Efron, Tibshirani: An Introduction to the Bootstrap, 1993, section 13.3 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Resampled indices made at a time: bounds the memory of a bootstrap (8 bytes each).
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Figure:
    """A measured value and the interval it lies in; ``low`` and ``high`` are None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """``{"value", "low", "high"}``, as ``evaluate --json`` writes it; what is not finite becomes null."""
        return {"value": _finite(self.value), "low": _finite(self.low), "high": _finite(self.high)}


def wilson(successes: float, total: float, confidence: float = 0.95) -> Figure:
    """The share of successes with Wilson's score interval, without continuity correction.

    It stays inside [0, 1] and has a width above 0 at 0 % and 100 %, where the normal interval fails.
    Of nothing the share is not a number, and anything between 0 and 1 is possible.
    Raises ValueError where successes are not between 0 and total.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total}")
    if total == 0:
        return Figure(float("nan"), 0.0, 1.0)
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    share = successes / total
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    reach = sqrt(z2 * (share * (1 - share) + z2 / (4 * total)) / total) / (1 + z2 / total)
    # At 0 and 1 one end equals the share exactly; rounding must not put it on the other side.
    return Figure(share, max(0.0, min(centre - reach, share)), min(1.0, max(centre + reach, share)))


def bootstrap(
    rows: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], float] | None = None,
    *,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
    centred: bool = False,
) -> Figure:
    """A statistic of rows, with the percentile interval of its bootstrap distribution.

    rows: N or N × columns, one row an example: rows are drawn with replacement, whole.
    statistic: takes rows such as these and gives a number; None is the mean of N numbers, and fast.
    seed: the same seed, rows and arguments give the same interval.
    centred: move the distribution so that its mean is the value, and cut it off at 0. It is for a sum of
    absolute values, which resampling makes larger by as much again as the examples have already.
    Resamples whose statistic is not finite (a recall without positives) are left out of the interval.
    Raises ValueError where there is no row, or where the mean of more than one column is asked for.
    """
    rows = np.asarray(rows)
    if len(rows) == 0:
        raise ValueError("a bootstrap needs at least one row")
    if statistic is None and rows.ndim != 1:
        raise ValueError(f"the mean is of N numbers, not of an array of shape {rows.shape}")
    value = float(np.mean(rows) if statistic is None else statistic(rows))
    draws = np.concatenate(
        [
            rows[indices].mean(axis=1)
            if statistic is None
            else np.array([float(statistic(rows[row])) for row in indices])
            for indices in _resamplings(len(rows), resamples, seed)
        ]
    )
    if centred:
        draws = np.maximum(draws + value - draws.mean(), 0.0)
    return _percentile(value, draws, confidence)


def bootstrap_counts(
    counts: NDArray[np.int64],
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    *,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> list[Figure]:
    """Statistics of a table of counts, such as a confusion matrix, each with its bootstrap interval.

    Drawing N examples with replacement and counting them again is drawing once from a multinomial
    distribution, so a resample costs as much as the table is large, however many examples were counted.

    counts: whole numbers of any shape, above 0 in sum.
    statistic: takes counts with a leading axis, resamples × shape, and gives resamples × M.
    Raises ValueError where the counts sum to 0.
    """
    counts = np.asarray(counts)
    total = int(counts.sum())
    if total == 0:
        raise ValueError("a bootstrap needs at least one example")
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(total, counts.ravel() / total, size=resamples)
    values = statistic(counts[None])[0]
    draws = statistic(drawn.reshape(resamples, *counts.shape))
    return [_percentile(float(values[m]), draws[:, m], confidence) for m in range(len(values))]


def mean_and_deviation(values: ArrayLike) -> tuple[float, float]:
    """Mean and sample standard deviation (N - 1) of figures over seeds; one figure has no deviation (nan)."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.size == 0:
        raise ValueError("no figures to take the mean of")
    return float(numbers.mean()), float(numbers.std(ddof=1)) if numbers.size > 1 else float("nan")


def over_seeds(values: ArrayLike) -> Figure:
    """The mean of figures over 2 to 10 seeds with its 95 % interval, by Student's t; of one the figure alone.

    Raises ValueError for none, or more than 10.
    """
    numbers = np.asarray(values, dtype=np.float64)
    mean, deviation = mean_and_deviation(numbers)
    if numbers.size == 1:
        return Figure(mean)
    if numbers.size > len(_STUDENT) + 1:
        raise ValueError(f"{numbers.size} seeds are more than the table of quantiles has")
    half = _STUDENT[numbers.size - 2] * deviation / numbers.size**0.5
    return Figure(mean, mean - half, mean + half)


#: 97.5 % quantiles of Student's t for 1 to 9 degrees of freedom.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def _resamplings(count: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Indices of the resamples in blocks, each resamples-of-the-block × count."""
    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // count)
    for start in range(0, resamples, step):
        yield generator.integers(0, count, size=(min(step, resamples - start), count))


def _percentile(value: float, draws: NDArray[np.float64], confidence: float) -> Figure:
    draws = draws[np.isfinite(draws)]
    if len(draws) == 0:
        return Figure(value)
    low, high = np.quantile(draws, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Figure(value, float(low), float(high))


def _finite(number: float | None) -> float | None:
    return number if number is not None and np.isfinite(number) else None
