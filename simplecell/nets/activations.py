"""Activations by name, and how much each shrinks what passes through it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from simplecell.errors import UserError

#: sigmoid and tanh saturate on both sides; ReLU: Nair and Hinton 2010; leaky: Maas et al. 2013, slope 0.01;
#: ELU: Clevert et al. 2016; GELU: Hendrycks and Gimpel 2016; SiLU: Elfwing et al. 2018, also called swish.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def activation(name: str) -> nn.Module:
    """The activation of this name, one of ACTIVATIONS. Raises UserError where there is none."""
    if name not in ACTIVATIONS:
        raise UserError(
            f"there is no activation {name!r}",
            where="activation",
            remedy="take one of " + ", ".join(ACTIVATIONS),
        )
    return ACTIVATIONS[name]()


def gain(function: nn.Module) -> float:
    """What weights are multiplied by so that an activation φ leaves the next layer's variance as it was.

    1/√E[φ(z)²] for a standard normal z: the step of He et al. (ICCV 2015) from equation 6 to 8, which for
    the rectifier gives their √2, done by numerical integration for any elementwise φ.
    """
    z = torch.linspace(-8, 8, 2001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2)
    with torch.no_grad():
        square = (density * function(z.clone()).square()).sum() / density.sum()
    return float(square.rsqrt())
