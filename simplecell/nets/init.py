"""First weights of any net: three distributions, and one that looks at a batch of pictures.

Glorot, Bengio: Understanding the Difficulty of Training Deep Feedforward Neural Networks, AISTATS, 2010.
He, Zhang, Ren, Sun: Delving Deep into Rectifiers, ICCV, 2015.
Mishkin, Matas: All You Need Is a Good Init, ICLR, 2016.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from simplecell.errors import UserError
from simplecell.nets import activations
from simplecell.nets.modes import eval_mode

#: Deviation of "truncated-normal", the same for layers of every size, as in the book's programs.
_DEVIATION = 0.05
#: LSUV: how far from 1 a layer's variance may stay, and how often it is tried (Mishkin and Matas, section 3).
_TOLERANCE, _TRIES = 0.1, 10

_Layer = nn.Conv2d | nn.Linear


@torch.no_grad()
def initialise(net: nn.Module, how: str) -> None:
    """Draw the weights of every convolution and dense layer anew; biases are 0, norms stay as they are.

    how, from torch's default generator, with a layer's incoming and outgoing connections n and m:

    - "xavier": uniform with variance 2/(n + m) (Glorot and Bengio, equation 16), right where an activation
      is the identity near 0, as tanh is;
    - "he": normal with variance g²/n (He et al., equation 10), where g makes good for what the net's
      activation takes away: √2 for rectifiers (see ``simplecell.nets.activations.gain``);
    - "truncated-normal": deviation 0.05, cut at two deviations, whatever the layer's size.

    Layers of which nothing is to be trained are left alone. Raises UserError for another ``how``.
    """
    gain = _gain(net)
    for layer in _layers(net):
        if how == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        elif how == "he":
            nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
        elif how == "truncated-normal":
            limit = 2 * _DEVIATION
            nn.init.trunc_normal_(layer.weight, std=_DEVIATION, a=-limit, b=limit)
        else:
            raise UserError(
                f"there are no first weights {how!r}",
                where="init",
                remedy="take xavier, he or truncated-normal",
            )
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def lsuv(net: nn.Module, batch: Tensor) -> None:
    """Layer-sequential unit variance: orthonormal weights, then each layer's output scaled to variance 1.

    Mishkin and Matas 2016, algorithm 1, in one pass: a layer is scaled when the pass comes to it, so those
    after it see its scaled output. Biases are 0. It reads the batch in eval mode, without dropout, and
    leaves the statistics of norms alone. A layer that the pass does not come to, as GoogLeNet's auxiliary
    heads, stays orthonormal.

    batch: what the net takes, N first; some dozens of different pictures.
    """

    def scale(layer: Any, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if layer in done:
            return output
        done.add(layer)
        for _ in range(_TRIES):
            variance = output.float().var(correction=0)
            if (variance - 1).abs() < _TOLERANCE or not variance > 0:
                break
            layer.weight.div_(variance.sqrt())
            output = layer.forward(*given)
        return output

    done: set[nn.Module] = set()
    layers = list(_layers(net))
    for layer in layers:
        _make_orthonormal(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    hooks = [layer.register_forward_hook(scale) for layer in layers]
    try:
        with eval_mode(net):
            net(batch)
    finally:
        for hook in hooks:
            hook.remove()


def _layers(net: nn.Module) -> list[_Layer]:
    """Convolutions and dense layers whose weights are trained."""
    return [m for m in net.modules() if isinstance(m, _Layer) and m.weight.requires_grad]


def _gain(net: nn.Module) -> float:
    """The gain of the net's most frequent activation; 1 where it has none."""
    kinds = tuple(type(make()) for make in activations.ACTIVATIONS.values())
    found = Counter(type(module) for module in net.modules() if type(module) in kinds)
    return activations.gain(found.most_common(1)[0][0]()) if found else 1.0


def _make_orthonormal(weight: Tensor) -> None:
    """Rows (or columns, where there are fewer) of the flattened weight become orthonormal."""
    # torch's own wants contiguous tensors, which weights of channels-last layout are not.
    flat = torch.empty(len(weight), weight[0].numel(), device=weight.device)
    weight.copy_(nn.init.orthogonal_(flat).view(weight.shape))
