"""Regularisation of weights: penalties that join the loss, and a limit that holds after each step.

The penalties are those of ridge and lasso regression; the limit is max-norm: Srebro, Rennie, Jaakkola, NIPS,
2005, and for nets with dropout Srivastava et al., JMLR, 2014, section 5.1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from simplecell.learn.stages import NamedParameters


def penalties(parameters: NamedParameters, l1: float, l2: float) -> dict[str, Tensor]:
    """Terms of a loss: "l1" is l1·Σ|w|, and "l2" is l2·Σw²/2, whose gradient is l2·w.

    The sums are over weights, which have two dimensions or more; norms and biases are left out. A term whose
    factor is 0 is absent. With SGD l2 is the same as weight decay; with Adam it is not, as its gradient is
    scaled like every other there.
    """
    weights = [p for _, p in parameters if p.dim() >= 2]
    terms: dict[str, Tensor] = {}
    if not weights:
        return terms
    if l1:
        terms["l1"] = l1 * torch.stack([w.abs().sum() for w in weights]).sum()
    if l2:
        terms["l2"] = l2 / 2 * torch.stack([w.square().sum() for w in weights]).sum()
    return terms


def max_norm(limit: float) -> Callable[[nn.Module], None]:
    """What shrinks the weights into a unit, or into a map, to a Euclidean norm of ``limit`` at most.

    For ``Update.afterwards``. It changes convolutions and dense layers that are being trained.
    """

    def hold(net: nn.Module) -> None:
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.requires_grad:
                weight = layer.weight
                norms = torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.dim())), keepdim=True)
                weight.mul_((limit / norms).clamp(max=1))  # a norm of 0 gives infinity, and so 1

    return hold
