"""Optimisers and schedules against torch's own and closed forms; the traps of restoring them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from simplecell.learn import schedules
from simplecell.learn.optimisers import decay_groups, optimiser, optimiser_state, restore_optimiser
from simplecell.learn.stages import At

NAMES = ["sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"]


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    # 1×1 kernels and single channels have ambiguous strides: the hard cases of channels_last.
    layers = [nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def step(net: nn.Module, made: torch.optim.Optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    made.zero_grad()
    picture = torch.randn(2, 3, 9, 9).to(memory_format=torch.channels_last)
    net(picture).pow(2).mean().backward()
    for group in made.param_groups:
        group["lr"] = 0.05
    made.step()


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_optimiser_goes_on_bitwise(name: str) -> None:
    net = convolutions()
    parameters = list(net.named_parameters())
    made = optimiser(name, weight_decay=0.01)(parameters)
    for seed in range(3):
        step(net, made, seed)
    twin = convolutions()
    for ours, theirs in zip(twin.parameters(), net.parameters(), strict=True):
        ours.data.copy_(theirs.data)
    twin[3].running_mean.copy_(net[3].running_mean)
    again = optimiser(name, weight_decay=0.01)(list(twin.named_parameters()))
    restore_optimiser(again, list(twin.named_parameters()), optimiser_state(made, parameters))
    for parameter in twin.parameters():
        for key, value in again.state[parameter].items():
            if value.dim():
                assert value.stride() == parameter.stride(), key
    for seed in range(3, 6):
        step(net, made, seed)
        step(twin, again, seed)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_fused_and_plain_optimisers_agree(name: str) -> None:
    # Without the norm: it takes the biases before it out of the gradient and leaves rounding in their place.
    net = convolutions()[:3]
    plain = copy.deepcopy(net)
    made = optimiser(name)(list(net.named_parameters()))
    options = {"sgd": {"momentum": 0.9, "nesterov": True}, "rmsprop": {"momentum": 0.9}}.get(name, {})
    classes = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad"}
    kind = getattr(torch.optim, classes.get(name, "Adadelta"))
    if name == "adamw":
        options = {"weight_decay": 0.0}
    theirs = kind(plain.parameters(), lr=0.05, foreach=False, **options)
    for seed in range(4):
        step(net, made, seed)
        step(plain, theirs, seed)
    for ours, other in zip(net.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, other, atol=1e-4)


def test_norms_and_biases_do_not_decay() -> None:
    groups = decay_groups(list(convolutions().named_parameters()), 0.1)
    assert {(p.dim() >= 2, g["weight_decay"]) for g in groups for p in g["params"]} == {
        (True, 0.1),
        (False, 0.0),
    }


def at(step: int, steps: int = 100, epoch: int = 0) -> At:
    return At(0, "learn", step, steps, epoch)


def test_schedules_have_their_known_values() -> None:
    assert schedules.cosine(2.0)(at(0)) == 2.0
    assert schedules.cosine(2.0)(at(50)) == pytest.approx(1.0)
    assert schedules.step(1.0)(at(49)) == 1.0
    assert schedules.step(1.0)(at(75)) == pytest.approx(0.01)
    assert schedules.warm_up(schedules.constant(1.0), 0.1)(at(4)) == pytest.approx(0.5)
    assert schedules.warm_up(schedules.constant(1.0), 0.1)(at(60)) == 1.0


def test_one_cycle_rises_to_its_peak_and_falls_to_nearly_nothing() -> None:
    rates = [schedules.one_cycle(1.0)(at(k)) for k in range(100)]
    peak = rates.index(max(rates))
    assert rates[peak] == pytest.approx(1.0, abs=0.01)
    assert 20 <= peak <= 30
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 0.01
