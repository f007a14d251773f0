"""Learning rates as functions of the moment: there is no scheduler object, so there is none to save."""

from __future__ import annotations

import math
from collections.abc import Callable

from simplecell.learn.stages import At

Rate = Callable[[At], float]


def constant(peak: float) -> Rate:
    """The same rate throughout."""
    return lambda at: peak


def step(peak: float, factor: float = 0.1, at_shares: tuple[float, ...] = (0.5, 0.75)) -> Rate:
    """Multiplied by ``factor`` when each share of the training is done (He et al. 2015, section 4.2)."""
    return lambda at: peak * factor ** sum(at.step >= share * at.steps for share in at_shares)


def cosine(peak: float, low: float = 0.0) -> Rate:
    """Half a cosine from ``peak`` to ``low`` (Loshchilov and Hutter 2017, without restarts)."""
    return lambda at: low + (peak - low) * 0.5 * (1 + math.cos(math.pi * at.step / max(1, at.steps)))


def one_cycle(peak: float, rise: float = 0.25, start: float = 0.04, end: float = 1e-3) -> Rate:
    """Up to ``peak`` over the first ``rise`` of the training, then down (Smith and Topin 2018).

    start and end are shares of the peak; both ways follow half a cosine.
    """

    def rate(at: At) -> float:
        done = (at.step + 0.5) / at.steps
        if done < rise:
            low, share = start, done / rise
        else:
            low, share = end, (1 - done) / (1 - rise)
        return peak * (low + (1 - low) * 0.5 * (1 - math.cos(math.pi * share)))

    return rate


def warm_up(rate: Rate, share: float) -> Rate:
    """``rate``, scaled from near nothing to itself over the first ``share`` of the training."""
    if share <= 0:
        return rate
    return lambda at: rate(at) * min(1.0, (at.step + 1) / max(1.0, share * at.steps))


def schedule(name: str, peak: float, warm: float = 0.0) -> Rate:
    """The schedule of a name: constant, step, cosine or one-cycle; with warm-up."""
    makers = {"constant": constant, "step": step, "cosine": cosine, "one-cycle": one_cycle}
    return warm_up(makers[name](peak), warm)
