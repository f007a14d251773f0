"""One number that makes a classifier as sure as it is right: the temperature of its logits.

Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from simplecell.data.batches import Batch, Examples
from simplecell.learn.evaluate import collect
from simplecell.learn.stages import Fit

#: The least and greatest temperature; beyond them probabilities are all alike, or all 0 and 1.
LEAST, GREATEST = 0.05, 20.0

#: Newton takes some six steps; so many halvings of the bracket reach float64's precision without it.
_STEPS = 60
#: Logits computed with at a time.
_ROWS = 4096


def temperature() -> Fit:
    """A stage that fits a net's buffer ``temperature`` (see ``nets.normalising``) on the validation side.

    Which class is most probable stays as it is. Without validation pictures the temperature stays 1.
    """
    return Fit("temperature", _fit, reads="validation")


def _fit(net: nn.Module, examples: Examples) -> None:
    fitted = net.get_buffer("temperature")
    fitted.fill_(1.0)
    if len(examples) == 0:
        return
    rows = collect(_logits, net, examples, fitted.device)
    fitted.fill_(best_temperature(rows["logits"], rows["label"]))


def _logits(net: nn.Module, batch: Batch) -> dict[str, Any]:
    logits: Tensor = net(batch["picture"])
    return {
        "id": list(batch["id"]),
        "label": batch["label"].cpu().numpy(),
        "logits": logits.float().cpu().numpy(),
    }


def best_temperature(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """The temperature, from 0.05 to 20, at which the labels are most likely; computed in float64.

    As in Platt scaling a label counts for 1 - 1/(N + 2), and the other classes share the rest: who was right
    N times out of N need not be right always. Without it the temperature that fits a few pictures, all of
    them answered rightly, would be 0. (Platt: Probabilistic Outputs for Support Vector Machines, 1999,
    section 2.2.)

    The negative log-likelihood is convex in the inverse of the temperature; Newton's steps, kept inside the
    bracket that the signs of its slope give, find the minimum.

    logits: N × K, at temperature 1, K > 1. labels: N, 0 … K-1.
    """
    low, high, inverse = 1 / GREATEST, 1 / LEAST, 1.0
    for _ in range(_STEPS):
        slope, curvature = _slope(logits, labels, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        step = inverse - slope / curvature if curvature > 0 else high
        following = step if low < step < high else (low + high) / 2
        if abs(following - inverse) <= 1e-12 * inverse:
            break
        inverse = following
    return 1 / inverse


def _slope(logits: NDArray[Any], labels: NDArray[np.int64], inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean negative log-likelihood by the inverse temperature."""
    count, classes = logits.shape
    doubt = 1 / (count + 2)
    slope = curvature = 0.0
    for start in range(0, count, _ROWS):
        values = logits[start : start + _ROWS].astype(np.float64)
        values -= values.max(axis=1, keepdims=True)
        chances = np.exp(inverse * values)
        chances /= chances.sum(axis=1, keepdims=True)
        own = values[np.arange(len(values)), labels[start : start + _ROWS]]
        others = (values.sum(axis=1) - own) / (classes - 1)
        mean = (chances * values).sum(axis=1)
        slope += float((mean - (1 - doubt) * own - doubt * others).sum())
        curvature += float(((chances * values**2).sum(axis=1) - mean**2).sum())
    return slope / count, curvature / count
