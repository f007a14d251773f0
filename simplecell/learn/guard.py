"""What is said when a loss or a weight is no longer a finite number; the last checkpoint is left as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from simplecell.errors import UserError
from simplecell.learn.stages import At, Terms, Update

_REMEDY = "lower --learning-rate or set --clip 1"


def refuse_step(
    net: nn.Module, update: Update, batch: Any, at: At, terms: Terms, checkpoint: Path
) -> NoReturn:
    """Name the step, the term and the first layer whose output is not finite."""
    odd = [name for name, value in terms.minimise.items() if not bool(torch.isfinite(value).all())]
    layer = _first_layer(net, update, batch, at)
    seen = f"the first layer that shows it is {layer}" if layer else "every layer's output is finite"
    _refuse(
        f"{', '.join(odd) or 'the sum'} of {update.name} is not finite in step {at.step + 1}; {seen}",
        checkpoint,
    )


def refuse_means(means: Mapping[str, float], step: int, net: nn.Module, checkpoint: Path) -> NoReturn:
    """The same where losses are read only now and then, so that the device need not wait."""
    odd = [name for name, value in means.items() if not math.isfinite(value)]
    weight = _first_weight(net)
    seen = f"the first weight that shows it is {weight}" if weight else "every weight is finite"
    _refuse(f"{', '.join(odd)} is not finite by step {step}; {seen}", checkpoint)


def refuse_weights(net: nn.Module, step: int, checkpoint: Path) -> None:
    """Raise where a weight is not finite, so that no such checkpoint replaces a good one."""
    weight = _first_weight(net)
    if weight:
        _refuse(f"after step {step} the weight {weight} is not finite", checkpoint)


def _refuse(what: str, checkpoint: Path) -> NoReturn:
    kept = "; the last good checkpoint is kept" if checkpoint.is_file() else ""
    raise UserError(f"{what}{kept}", where=checkpoint.parent.parent, remedy=_REMEDY)


def _first_weight(net: nn.Module) -> str | None:
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None


def _first_layer(net: nn.Module, update: Update, batch: Any, at: At) -> str | None:
    """Run the loss once more with every innermost layer watched."""
    found: list[str] = []

    def watch(name: str, layer: nn.Module) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not found and not bool(torch.isfinite(output).all()):
                found.append(f"{name} ({type(layer).__name__})")

        return layer.register_forward_hook(hook)

    handles = [watch(name, m) for name, m in net.named_modules() if name and not any(m.children())]
    try:
        with torch.no_grad():
            update.loss(net, batch, at)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None
