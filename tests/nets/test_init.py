"""First weights: the three distributions and LSUV."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simplecell import nets
from simplecell.errors import UserError
from simplecell.nets.activations import ACTIVATIONS, activation, gain
from simplecell.nets.init import initialise, lsuv


def one_layer(how: str) -> Tensor:
    """Weights of a convolution with 200 incoming and 8 × 25 × 50 outgoing connections."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 400, 5), nn.ReLU())
    initialise(net, how)
    assert net[0].bias is not None
    assert not net[0].bias.any()
    return net[0].weight.detach()


def test_he_has_variance_two_over_incoming_connections_and_a_normal_shape() -> None:
    weight = one_layer("he")
    assert weight.var() == pytest.approx(2 / 200, rel=0.02)
    assert (weight / weight.std()).pow(4).mean() == pytest.approx(3, rel=0.03)  # a normal's kurtosis


def test_xavier_is_uniform_with_variance_two_over_both_connections() -> None:
    weight = one_layer("xavier")
    assert weight.var() == pytest.approx(2 / (200 + 400 * 25), rel=0.02)
    assert weight.abs().max() <= (6 / (200 + 400 * 25)) ** 0.5


def test_the_truncated_normal_ends_at_two_deviations_whatever_the_layers_size() -> None:
    weight = one_layer("truncated-normal")
    assert 0.099 < weight.abs().max() <= 0.1
    assert weight.std() == pytest.approx(0.05 * 0.8796, rel=0.02)  # what cutting leaves of the deviation


def test_unknown_first_weights_are_refused() -> None:
    with pytest.raises(UserError, match="no first weights 'zeros'; take xavier, he or truncated-normal"):
        initialise(nn.Linear(2, 2), "zeros")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_he_carries_the_signal_through_ten_layers_of_any_activation(name: str) -> None:
    torch.manual_seed(0)
    hidden = [layer for _ in range(10) for layer in (nn.Linear(512, 512), activation(name))]
    net = nn.Sequential(*hidden, nn.Linear(512, 512))
    initialise(net, "he")
    # The first layer is given what no activation has shrunk.
    scale = net(torch.randn(256, 512) / gain(activation(name))).square().mean().item()
    assert 0.5 < scale < 2


def test_xavier_loses_the_signal_of_thirty_rectifiers_where_he_does_not() -> None:
    """Figure 3 of He et al. 2015: what the factor 2 is for."""
    torch.manual_seed(0)
    net = nn.Sequential(*(layer for _ in range(30) for layer in (nn.Linear(256, 256), nn.ReLU())))
    initialise(net, "xavier")
    assert net(torch.randn(256, 256)).square().mean() < 1e-6


def test_norms_and_frozen_layers_are_left_alone() -> None:
    net: Any = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3).requires_grad_(False))
    nn.init.constant_(net[1].weight, 0.7)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    initialise(net, "he")
    lsuv(net, torch.randn(8, 3, 9, 9))
    changed = [key for key, value in net.state_dict().items() if not torch.equal(before[key], value)]
    assert changed == ["0.weight", "0.bias"]


def variances(net: nn.Module, batch: Tensor) -> dict[str, float]:
    """Of what each convolution and dense layer gives in eval mode."""
    found: dict[str, float] = {}
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):

            def keep(_: Any, __: Any, output: Tensor, name: str = name) -> None:
                found[name] = output.detach().var(correction=0).item()

            layer.register_forward_hook(keep)
    with torch.no_grad():
        net.eval()(batch)
    return found


@pytest.mark.parametrize("name", ["first-cnn", "second-cnn", "dense", "resnet20", "vgg11-bn", "googlenet"])
def test_lsuv_gives_every_layer_unit_variance(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simplecell.nets.vgg._UNITS", 64)
    torch.manual_seed(2)
    net = nets.build(name, channels=3, classes=10, height=32, width=32)
    batch = 3 * torch.randn(32, 3, 32, 32) + 1
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    lsuv(net, batch)
    found = variances(net, batch)
    assert len(found) >= 3
    assert {key: value for key, value in found.items() if abs(value - 1) > 0.1} == {}


def test_lsuvs_weights_are_orthonormal_up_to_a_factor() -> None:
    net: Any = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 100, 3))
    net = net.to(memory_format=torch.channels_last)
    lsuv(net, torch.randn(16, 3, 12, 12))
    rows, columns = net[0].weight.detach().flatten(1), net[2].weight.detach().flatten(1).T
    for vectors in (rows, columns):  # 8 of 27 dimensions; 100 of 72, whose columns are fewer
        product = vectors @ vectors.T
        torch.testing.assert_close(product / product[0, 0], torch.eye(len(vectors)), atol=1e-5, rtol=0)


def test_lsuv_leaves_no_trace_but_the_weights() -> None:
    net = nets.build("second-cnn", channels=3, classes=10, height=32, width=32).train()
    net.features[2].eval()
    before = dict(net.named_buffers())
    before = {key: value.clone() for key, value in before.items()}
    modes = [module.training for module in net.modules()]
    strides = [p.stride() for p in net.parameters()]
    lsuv(net, torch.randn(4, 3, 32, 32))
    assert all(torch.equal(before[key], value) for key, value in net.named_buffers())
    assert [module.training for module in net.modules()] == modes
    assert [p.stride() for p in net.parameters()] == strides
    assert all(not module._forward_hooks for module in net.modules())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


def test_lsuv_leaves_a_layer_finite_that_is_given_nothing_but_zeros() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    lsuv(net, torch.zeros(8, 4))
    assert all(torch.isfinite(p).all() for p in net.parameters())
