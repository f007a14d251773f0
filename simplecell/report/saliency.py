"""Where in a picture a net saw a class: Grad-CAM, for any net that has convolutions.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM: Visual Explanations from Deep Networks via
Gradient-based Localization, ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

#: Pictures at a time: of what lies behind the feature map everything is kept for the gradient.
_CHUNK = 16


def grad_cam(net: nn.Module, pictures: Tensor, classes: ArrayLike) -> NDArray[np.float32] | None:
    """How much each place of a picture spoke for a class: float32, N, H, W, from 0 to 1, which the most has.

    ::

        score of the class  ──∂──▶  A: feature maps N, K, h, w  ──mean over h, w──▶  α: weights N, K
        ReLU(Σ_k α_k A_k)   N, h, w  ──bilinear──▶  N, H, W                         (equations 1 and 2)

    The feature maps are the last that have more than one place, before they are pooled, and that all goes
    through: not those inside a branch that a shortcut bypasses. A picture in which no place spoke for its
    class has zeros everywhere. None where no convolution leads to such maps, as in a net of dense layers.

    net: in eval mode; it gives logits N, classes. Its parameters are left as they are, frozen ones too, and
    nothing of the net before the maps is kept, so a deep net needs no more memory than to answer.
    pictures: what it takes, N, C, H, W, on its device. classes: int, N, the class that each is asked for.
    """
    with torch.inference_mode(False):
        wanted = torch.as_tensor(np.asarray(classes), dtype=torch.int64, device=pictures.device)
        place = _last_maps(net, pictures[:1])
        if place is None:
            return None
        starts = range(0, len(pictures), _CHUNK)
        parts = [
            _heat(net, place, pictures[s : s + _CHUNK], wanted[s : s + _CHUNK]).cpu().numpy() for s in starts
        ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class _Place:
    """Where in a net something comes out: the module, and which of its calls (it may be used repeatedly)."""

    module: nn.Module
    call: int


def _heat(net: nn.Module, place: _Place, pictures: Tensor, classes: Tensor) -> Tensor:
    """Heat maps N, H, W of a few pictures."""
    with _graph_from(place) as found:
        logits = net(pictures)
        score = logits.gather(1, classes[:, None]).sum()
        maps = found[0]
        (gradient,) = torch.autograd.grad(score, maps)
    maps, gradient = maps.detach().float(), gradient.float()
    weights = gradient.mean((2, 3), keepdim=True)
    heat = (weights * maps).sum(1, keepdim=True).relu()
    heat = functional.interpolate(heat, size=pictures.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    most = heat.amax((1, 2), keepdim=True)
    return torch.where(most > 0, heat / most, torch.zeros_like(heat))


@contextmanager
def _graph_from(place: _Place) -> Iterator[list[Tensor]]:
    """Within, a forward pass keeps a graph from the place on only; the list gets the tensor that is there.

    So the net's own parameters play no part: whether they want gradients neither matters nor changes.
    """
    found: list[Tensor] = []
    calls = 0

    def begin(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        nonlocal calls
        calls += 1
        if calls != place.call:
            return None
        found.append(output.detach().requires_grad_())
        torch.set_grad_enabled(True)  # until the pass is over: no_grad around it restores the mode
        return found[0].clone()  # a layer that follows may change it in place

    handle = place.module.register_forward_hook(begin)
    try:
        with torch.no_grad():
            yield found
    finally:
        handle.remove()


_POOLS = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.LPPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool2d,
    nn.FractionalMaxPool2d,
)


@dataclass
class _Walk:
    """What comes out of the modules in a forward pass, in order, as far as it may serve for Grad-CAM."""

    places: list[_Place] = field(default_factory=list)
    calls: dict[nn.Module, int] = field(default_factory=dict)
    pooled: list[Tensor] = field(default_factory=list)
    convolved: bool = False

    def see(self, module: nn.Module, inputs: Any, output: Any) -> None:
        call = self.calls[module] = self.calls.get(module, 0) + 1
        self.convolved |= isinstance(module, nn.Conv2d)
        if isinstance(module, _POOLS):
            self.pooled.append(output)
        elif (
            self.convolved
            and isinstance(output, Tensor)
            and output.dim() == 4
            and output.shape[2:].numel() > 1
            # A container that ends in pooling gives the very tensor that the pooling gave.
            and not any(output is pooled for pooled in self.pooled)
        ):
            self.places.append(_Place(module, call))


def _last_maps(net: nn.Module, picture: Tensor) -> _Place | None:
    """Where the feature maps come out that Grad-CAM weighs; picture: 1, C, H, W."""
    walk = _Walk()
    two = torch.cat([picture, picture.amax() - picture])  # itself and its negative
    handles = [module.register_forward_hook(walk.see) for module in net.modules() if module is not net]
    try:
        with torch.no_grad():
            logits = net(two)
    finally:
        for handle in handles:
            handle.remove()
    return next((place for place in reversed(walk.places) if _all_passes(net, place, two, logits)), None)


def _all_passes(net: nn.Module, place: _Place, two: Tensor, logits: Tensor) -> bool:
    """Whether nothing goes round a place: the answers to two pictures change sides when, there, they do."""
    calls = 0

    def change_sides(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        nonlocal calls
        calls += 1
        return output.flip(0) if calls == place.call else None

    handle = place.module.register_forward_hook(change_sides)
    try:
        with torch.no_grad():
            changed = net(two)
    finally:
        handle.remove()
    tolerance = 1e-4 * float(logits.abs().max())
    return torch.allclose(changed.flip(0), logits, rtol=1e-4, atol=tolerance)
