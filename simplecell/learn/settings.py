"""The settings that every task shares: how it learns, and on what machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simplecell.settings import Auto, setting


@dataclass(frozen=True)
class Training:
    """How a net learns. "auto" is settled before the first step, and written to settings.toml."""

    epochs: float | Auto = setting("auto", "passes over the training data, also a fraction", above=0)
    minutes: float = setting(0.0, "time to train in: measures the speed, then fixes the epochs", at_least=0)
    batch_size: int | Auto = setting(
        "auto", "examples a step; auto goes by size and measured memory", at_least=1
    )
    optimiser: Literal["auto", "sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"] = setting(
        "auto", "auto is the task's choice; sgd is with Nesterov momentum"
    )
    learning_rate: float | Literal["auto", "find"] = setting(
        "auto", "peak rate; find runs the learning-rate finder first", above=0
    )
    schedule: Literal["one-cycle", "cosine", "step", "constant"] = setting("one-cycle", "the rate's course")
    warm_up: float = setting(0.0, "share of the training in which the rate rises", at_least=0, at_most=1)
    momentum: float = setting(0.9, "of sgd and rmsprop", at_least=0, at_most=1)
    weight_decay: float | Auto = setting("auto", "of weights; norms and biases have none", at_least=0)
    l1: float = setting(0.0, "penalty on the sum of absolute weights", at_least=0)
    l2: float = setting(0.0, "penalty on half the sum of squared weights, beside weight decay", at_least=0)
    max_norm: float = setting(0.0, "largest norm of the weights into a unit; 0 is no limit", at_least=0)
    clip: float = setting(0.0, "largest norm of the gradient; 0 is no limit", at_least=0)
    accumulate: int = setting(1, "batches whose gradients make one step", at_least=1)
    ema: float = setting(0.0, "decay of a moving average of the weights; 0 is none", at_least=0, at_most=1)
    patience: int = setting(0, "epochs without a better figure before it ends; 0 is never", at_least=0)


@dataclass(frozen=True)
class Machine:
    """Where and how it is computed."""

    seed: int = setting(0, "every random number is a function of it", at_least=0)
    threads: int = setting(0, "0 is one a physical core", at_least=0)
    device: str = setting("auto", "cpu, cuda, cuda:1, mps; auto is the fastest there", place=True)
    precision: Literal["auto", "float32", "bfloat16"] = setting("auto", "auto is what was measured faster")
    memory: Literal["plain", "tight"] = setting(
        "plain", "tight computes activations twice instead of keeping them"
    )
    checkpoint_every: float = setting(60.0, "seconds", at_least=0, place=True)
