"""Optimisers by name, as fast as torch has them, with no weight decay on norms and biases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

from simplecell.learn.stages import NamedParameters

#: Those that torch has as one fused kernel on the CPU and on GPUs.
_FUSED = ("sgd", "adam", "adamw", "adagrad")
_CLASSES: dict[str, Any] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
}
#: Peak rates for a net with batch normalisation at a batch of 256. AdamW's was chosen on MNIST (0.02 gave
#: 99.54 % in two epochs, 0.01 gave 99.46 %) and on traffic signs (0.01 at 64, 0.005 at 32 or 16).
_USUAL_RATE = {"sgd": 0.1, "adam": 0.01, "adamw": 0.02, "rmsprop": 2e-3, "adagrad": 0.02, "adadelta": 1.0}


def usual_rate(name: str, batch_size: int, normalised: bool) -> float:
    """A peak learning rate to begin with: it grows with the root of the batch size, and is a tenth without
    batch normalisation. Adadelta finds its own scale."""
    if name == "adadelta":
        return _USUAL_RATE[name]
    rate = _USUAL_RATE[name] * (batch_size / 256) ** 0.5 * (1.0 if normalised else 0.1)
    return float(f"{rate:.2g}")


def decay_groups(parameters: NamedParameters, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: weights (two or more dimensions) decay, norms and biases do not."""
    weights = [p for _, p in parameters if p.dim() >= 2]
    others = [p for _, p in parameters if p.dim() < 2]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def optimiser(
    name: str, *, momentum: float = 0.9, weight_decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.999)
) -> Callable[[NamedParameters], Optimizer]:
    """A maker of an optimiser: sgd (Nesterov), adam, adamw, rmsprop, adagrad or adadelta.

    The rate is set by the loop before each step; what it is made with has no meaning.
    """
    options: dict[str, Any] = {}
    if name == "sgd":
        options = {"momentum": momentum, "nesterov": momentum > 0}
    elif name in ("adam", "adamw"):
        options = {"betas": betas}
    elif name == "rmsprop":
        options = {"momentum": momentum}

    def make(parameters: NamedParameters) -> Optimizer:
        kinds = {p.device.type for _, p in parameters}
        fused = (
            name in _FUSED and kinds <= {"cpu", "cuda"} and all(p.is_floating_point() for _, p in parameters)
        )
        chosen = {"fused": True} if fused else {"foreach": True}
        made: Optimizer = _CLASSES[name](decay_groups(parameters, weight_decay), lr=0.0, **chosen, **options)
        return made

    return make


def optimiser_state(made: Optimizer, parameters: NamedParameters) -> dict[str, torch.Tensor]:
    """The optimiser's tensors by "parameter/key", on the CPU and contiguous."""
    return {
        f"{name}/{key}": torch.as_tensor(value).detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, parameter in parameters
        for key, value in made.state.get(parameter, {}).items()
        if value is not None
    }


def restore_optimiser(made: Optimizer, parameters: NamedParameters, saved: dict[str, torch.Tensor]) -> None:
    """Put back what ``optimiser_state`` gave.

    A fused optimiser whose moments have another memory layout than the weight trains wrongly and says
    nothing, so each moment is laid out as its parameter before the saved values are copied in.
    """
    by_name = dict(parameters)
    for path, value in saved.items():
        name, _, key = path.rpartition("/")
        parameter = by_name[name]
        if value.shape == parameter.shape and value.dim():
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        elif key != "step" or made.param_groups[0].get("fused"):
            value = value.to(parameter.device)
        made.state[parameter][key] = value
