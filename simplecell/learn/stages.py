"""What a task tells the loop: stages of streams and updates. The loop knows nothing else of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from simplecell.data.batches import Batch, Examples

NamedParameters = Sequence[tuple[str, nn.Parameter]]


@dataclass(frozen=True)
class At:
    """A moment of a training: schedules and random numbers are functions of it.

    step: steps done before this one, 0 … steps-1, within the stage; epoch: passes over the first stream.
    """

    seed: int
    stage: str
    step: int
    steps: int
    epoch: int


@dataclass(frozen=True)
class Terms:
    """What an update's loss gives: named scalars.

    minimise: the terms whose sum is minimised. watch: what is only logged. count: the weight of the
    batch in averages and in accumulated gradients (its examples, or its words).
    """

    minimise: Mapping[str, Tensor]
    watch: Mapping[str, Tensor] = field(default_factory=dict)
    count: float = 1.0


@dataclass(frozen=True)
class Stream:
    """How examples become batches.

    source: called when its stage starts. order: shuffled anew each epoch, as they stand, or drawn with
    replacement in proportion to weights (float, one an example). augment: whether batches are augmented.
    """

    name: str
    source: Callable[[], Examples]
    batch_size: int
    order: Literal["shuffled", "sequential"] | NDArray[np.float64] = "shuffled"
    augment: bool = True


@dataclass(frozen=True)
class Update:
    """One optimiser's part of a step.

    parameters: (name, parameter) pairs that this update, and no other at that moment, changes.
    loss(net, batch, at): its terms. rate(at): the learning rate; a parameter group with "rate_scale"
    has it multiplied by that. every: runs in each ``every``-th step only. backward(terms, parameters):
    for methods that combine gradients themselves; it must leave them in ``.grad``.
    clip: the largest norm of the gradient, or None. afterwards(net): constraints on the weights.
    """

    name: str
    parameters: NamedParameters
    optimiser: Callable[[NamedParameters], Optimizer]
    loss: Callable[[nn.Module, Batch, At], Terms]
    rate: Callable[[At], float]
    every: int = 1
    backward: Callable[[Terms, Iterable[nn.Parameter]], None] | None = None
    clip: float | None = None
    afterwards: Callable[[nn.Module], None] | None = None


@dataclass(frozen=True)
class Learn:
    """A stage that learns by gradient.

    streams: the first sets the epoch. With one, ``loss`` gets its batch; with several, a mapping from the
    stream's name to its batch. prepare(net, batch, at): computes what the updates of a step share.
    epochs: passes over the first stream, also a fraction. ema: decay of the weights' moving average,
    which then is what is evaluated and kept. accumulate: batches a step. evaluate_every: epochs from one
    evaluation to the next; the end of the stage always has one. patience: evaluations without a better
    headline figure before the stage ends; the best net is kept then.
    """

    name: str
    streams: Sequence[Stream]
    updates: Sequence[Update]
    epochs: float
    prepare: Callable[[nn.Module, Any, At], Any] | None = None
    ema: float | None = None
    accumulate: int = 1
    evaluate_every: int = 1
    patience: int | None = None


@dataclass(frozen=True)
class Fit:
    """A stage in closed form, or a classical learner: its result lies in the net's parameters and buffers.

    reads: the side of the data that it is given.
    """

    name: str
    fit: Callable[[nn.Module, Examples], None]
    reads: str = "train"


Stage = Learn | Fit
