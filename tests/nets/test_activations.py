"""Activations by name, and their gains."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from simplecell.errors import UserError
from simplecell.nets.activations import ACTIVATIONS, activation, gain
from simplecell.nets.settings import Activation


def test_the_settings_name_just_the_activations_there_are() -> None:
    assert set(get_args(Activation)) == set(ACTIVATIONS)


@pytest.mark.parametrize(
    ("name", "at_one", "at_minus_two"),
    [
        ("sigmoid", 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(2))),
        ("tanh", math.tanh(1), math.tanh(-2)),
        ("relu", 1, 0),
        ("leaky", 1, -0.02),
        ("elu", 1, math.exp(-2) - 1),
        ("gelu", (1 + math.erf(1 / math.sqrt(2))) / 2, -(1 + math.erf(-2 / math.sqrt(2)))),
        ("silu", 1 / (1 + math.exp(-1)), -2 / (1 + math.exp(2))),
    ],
)
def test_an_activation_is_its_papers_formula(name: str, at_one: float, at_minus_two: float) -> None:
    found = activation(name)(torch.tensor([1.0, -2.0], dtype=torch.float64))
    assert found.tolist() == pytest.approx([at_one, at_minus_two])


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(UserError, match="there is no activation 'swish'; take one of sigmoid, tanh, relu"):
        activation("swish")


def test_the_gains_of_rectifiers_are_those_of_he() -> None:
    assert gain(activation("relu")) == pytest.approx(math.sqrt(2))
    assert gain(activation("leaky")) == pytest.approx(math.sqrt(2 / (1 + 0.01**2)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_gain_keeps_the_mean_square(name: str) -> None:
    z = torch.randn(400_000, generator=torch.Generator().manual_seed(1))
    assert gain(activation(name)) ** 2 * activation(name)(z).square().mean() == pytest.approx(1, abs=0.01)
