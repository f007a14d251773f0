"""A net's head: the layers that depend on the number of classes, whatever the net calls them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from simplecell import nets


def head_of(
    body: nn.Module, name: str, *, channels: int, classes: int, height: int, width: int, **settings: Any
) -> tuple[str, ...]:
    """The names of the parameters and buffers of a net whose shapes depend on the number of classes.

    body: what ``nets.build`` made of the other arguments. The same net for one class more tells them apart.
    Empty for a net that is given as text, whose layers are what they are.
    """
    if name.startswith("{"):
        return ()
    others = _shapes(name, channels, classes + 1, height, width, tuple(sorted(settings.items())))
    return tuple(each for each, tensor in body.state_dict().items() if others.get(each) != tensor.shape)


@cache
def _shapes(
    name: str, channels: int, classes: int, height: int, width: int, settings: tuple[tuple[str, Any], ...]
) -> Mapping[str, torch.Size]:
    with torch.random.fork_rng(devices=[]):
        twin = nets.build(
            name, channels=channels, classes=classes, height=height, width=width, **dict(settings)
        )
    return {each: tensor.shape for each, tensor in twin.state_dict().items()}


def last_layer(body: nn.Module, head: Collection[str], pictures: Tensor) -> str | None:
    """The linear layer of the head whose output is the net's answer; None where there is no such layer.

    body: in eval mode. pictures: normalised, N, C, H, W, for a trial.
    """
    made: dict[str, Tensor] = {}

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            made[name] = output

        return hook

    names = {each.rpartition(".")[0] for each in head}
    layers = {name: body.get_submodule(name) for name in sorted(names)}
    handles = [
        layer.register_forward_hook(watch(name))
        for name, layer in layers.items()
        if isinstance(layer, nn.Linear)
    ]
    try:
        with torch.no_grad():
            answer = body(pictures)
    finally:
        for handle in handles:
            handle.remove()
    return next((name for name, output in made.items() if torch.equal(output, answer)), None)
