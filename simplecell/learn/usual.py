"""What the settings of ``Training`` come to for a task of the usual kind: one stage of one update."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from simplecell.data.batches import Batch, Examples
from simplecell.learn.optimisers import optimiser, usual_rate
from simplecell.learn.regular import max_norm, penalties
from simplecell.learn.schedules import schedule
from simplecell.learn.settings import Training
from simplecell.learn.stages import At, Learn, NamedParameters, Stream, Terms, Update

_STEPS = 1500  # what "auto" epochs aim at: enough for a small net on a small set, seconds a thousand


def settled(asked: Training, count: int, *, normalised: bool) -> Training:
    """The settings with every "auto" replaced by a value that suits so many training examples.

    normalised: whether the net has batch normalisation, and so bears a higher rate.
    """
    batch = asked.batch_size if asked.batch_size != "auto" else _usual_batch(count)
    steps_an_epoch = max(1, count // batch)
    epochs = (
        asked.epochs if asked.epochs != "auto" else float(min(60, max(4, round(_STEPS / steps_an_epoch))))
    )
    name = "adamw" if asked.optimiser == "auto" else asked.optimiser
    rate = usual_rate(name, batch, normalised) if asked.learning_rate == "auto" else asked.learning_rate
    decay = (0.05 if name == "adamw" else 5e-4) if asked.weight_decay == "auto" else asked.weight_decay
    return dataclasses.replace(
        asked, batch_size=batch, epochs=epochs, optimiser=name, learning_rate=rate, weight_decay=decay
    )


def _usual_batch(count: int) -> int:
    """From 16 to 256, a power of two: at least some 40 steps in an epoch."""
    return int(2 ** np.clip(np.floor(np.log2(max(1, count) / 40)), 4, 8))


def one_update(
    name: str,
    net: nn.Module,
    source: Callable[[], Examples],
    loss: Callable[[nn.Module, Batch, At], Terms],
    asked: Training,
    order: Literal["shuffled", "sequential"] | NDArray[np.float64] = "shuffled",
) -> Learn:
    """A stage in which one update trains all of a net that may be trained, as the settled settings say.

    name: of the update; it stands before its terms in metrics.jsonl. source, order: see ``Stream``.
    """
    assert isinstance(asked.batch_size, int) and isinstance(asked.weight_decay, float)
    assert isinstance(asked.learning_rate, float) and isinstance(asked.epochs, float)
    parameters = [(each, p) for each, p in net.named_parameters() if p.requires_grad]
    update = Update(
        name,
        parameters,
        optimiser(asked.optimiser, momentum=asked.momentum, weight_decay=asked.weight_decay),
        _penalised(loss, parameters, asked) if asked.l1 or asked.l2 else loss,
        schedule(asked.schedule, asked.learning_rate, asked.warm_up),
        clip=asked.clip or None,
        afterwards=max_norm(asked.max_norm) if asked.max_norm else None,
    )
    return Learn(
        "learn",
        [Stream("train", source, asked.batch_size, order)],
        [update],
        asked.epochs,
        ema=asked.ema or None,
        accumulate=asked.accumulate,
        patience=asked.patience or None,
    )


def _penalised(
    loss: Callable[[nn.Module, Batch, At], Terms], parameters: NamedParameters, asked: Training
) -> Callable[[nn.Module, Batch, At], Terms]:
    """The loss with the penalties on weights among its terms."""

    def penalised(net: nn.Module, batch: Batch, at: At) -> Terms:
        terms = loss(net, batch, at)
        extra = penalties(parameters, asked.l1, asked.l2)
        return dataclasses.replace(terms, minimise={**terms.minimise, **extra})

    return penalised
