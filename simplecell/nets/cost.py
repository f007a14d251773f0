"""What a net costs: its parameters, and the multiplications of one answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def parameters(net: nn.Module) -> int:
    """How many numbers the net learns; one that stands in two places counts once, buffers do not count."""
    return sum(parameter.numel() for parameter in net.parameters())


def macs(net: nn.Module, example: Tensor) -> int:
    """Multiply-accumulate operations of one answer: of convolutions, dense layers and attention.

    They are what papers count (ResNet-18 at 224 px: 1.81 G), some under the name of FLOPs. Normalisation,
    activations, pooling and biases are left out, as there.

    net: in eval mode, so that it answers and does not learn. example: what the net takes, N first, on the
    net's device; the cost is that of one of the N.
    """
    # Inference mode hides which operations a layer consists of.
    with torch.inference_mode(False), torch.no_grad(), counted() as so_far:
        net(example)
        return so_far() // len(example)


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """Within, multiply-adds are counted; what it gives tells how many there were so far."""
    counter = FlopCounterMode(display=False)
    with _plain_attention(), counter:
        yield lambda: int(counter.get_total_flops()) // 2


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Within, attention is computed as matrix products: the counter does not know the CPU's fused kernels."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
