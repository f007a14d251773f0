"""The net for CIFAR-10: its whitening layer, its first convolutions, its size."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from simplecell import nets
from simplecell.errors import UserError
from simplecell.nets.airbench import Airbench
from tests.nets.contract import NetContract


class TestAirbench(NetContract):
    name = "airbench"


def correlated_pictures(count: int = 200, side: int = 16) -> Tensor:
    """Pictures whose neighbouring pixels and channels resemble each other, as photographs' do."""
    noise = torch.randn(count, 3, side + 2, side + 2, generator=torch.Generator().manual_seed(3))
    smooth = functional.avg_pool2d(noise, 3, 1)
    mixing = torch.tensor([[1.0, 0.8, 0.5], [0.8, 1.0, 0.7], [0.5, 0.7, 1.0]])
    return torch.einsum("cd,ndhw->nchw", mixing, smooth) * 3


def test_the_first_layer_whitens_what_it_was_fitted_to() -> None:
    net, pictures = Airbench(3, 10, 16, 16), correlated_pictures()
    net.initialise(pictures)
    maps = functional.conv2d(pictures, net.whitening)  # N, 24, 15, 15
    responses = maps[:, :12].transpose(0, 1).flatten(1).double()
    covariance = torch.cov(responses)
    # A component's variance v is divided by v + 5e-4, so the weakest come out a little under 1.
    strong = covariance.diagonal() > 0.9
    assert strong.sum() >= 8
    torch.testing.assert_close(covariance, torch.diag(covariance.diagonal()), atol=1e-3, rtol=0)
    assert (covariance.diagonal() <= 1 + 1e-3).all()
    torch.testing.assert_close(maps[:, 12:], -maps[:, :12], atol=1e-5, rtol=1e-5)


def test_whitening_is_fitted_and_not_trained() -> None:
    net = Airbench(3, 10, 32, 32)
    assert "whitening" in dict(net.named_buffers())
    assert "whitening" not in dict(net.named_parameters())


def test_convolutions_begin_as_the_identity() -> None:
    net = Airbench(3, 10, 32, 32, base=8)
    maps = torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(net.groups[0].second(maps), maps)
    wider = net.groups[1].first(maps)
    torch.testing.assert_close(wider[:, :8], maps)


def test_a_step_moves_a_norms_bias_64_times_as_far() -> None:
    norm = Airbench(3, 10, 32, 32).groups[0].first_norm.eval()
    maps = torch.randn(4, 64, 5, 5)
    before = norm(maps)
    (gradient,) = torch.autograd.grad(before.sum(), [norm.bias])
    with torch.no_grad():
        norm.bias -= 1e-4 * gradient
    of_the_output = float(maps[:, 0].numel())  # ∂ sum / ∂ an unscaled bias
    torch.testing.assert_close(
        norm(maps) - before, torch.full_like(before, -64e-4 * of_the_output), rtol=1e-3, atol=0
    )


def test_its_size_is_the_papers() -> None:
    net = Airbench(3, 10, 32, 32)
    trained = sum(p.numel() for p in net.parameters())
    convolutions = 9 * sum(i * o for i, o in pairwise([24, 64, 64, 256, 256, 256, 256]))
    norms, whitening = 2 * (64 + 256 + 256), 24  # biases only
    assert trained == convolutions + 2560 + norms + whitening
    assert round(trained / 1e6, 2) == 1.97


def test_small_pictures_are_told() -> None:
    with pytest.raises(UserError, match="at least 9 × 9"):
        nets.build("airbench", channels=3, classes=10, height=8, width=32)
