"""Neurons, layers and their activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from simplecell.errors import UserError
from simplecell.foundations import neuron
from simplecell.foundations.neuron import Layer, Neuron


def test_the_first_neuron() -> None:
    assert Neuron([1.0, 2.0], bias=0.0)([1, 1]) == 0.9525741268224334


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sigmoid", "softmax", "log_softmax", "tanh", "relu"])
def test_functions_equal_torch_and_bear_large_numbers(name: str, dtype: Any) -> None:
    z = np.array([[-1e4, -30, -1e-3, 0, 2, 1e4], [1e4, 1e4, 0, -1e4, 3, 5]], dtype)
    with np.errstate(all="raise", under="ignore"):
        found = getattr(neuron, name)(z)
    asked = torch.from_numpy(z)
    theirs = getattr(asked, name)(-1) if "softmax" in name else getattr(asked, name)()
    assert found.dtype == dtype
    assert np.abs(found - theirs.numpy()).max() <= 4 * np.finfo(dtype).eps * max(1, np.abs(found).max())


@pytest.mark.parametrize("name", list(neuron.ACTIVATIONS))
def test_slopes_are_those_of_autograd(name: str) -> None:
    z = np.linspace(-3, 3, 24)
    asked = torch.from_numpy(z).requires_grad_()
    given = asked * 1 if name == "identity" else getattr(asked, name)()
    given.sum().backward()
    activation = neuron.ACTIVATIONS[name]
    assert asked.grad is not None
    assert np.abs(activation.slope(activation.function(z)) - asked.grad.numpy()).max() < 1e-12


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Neuron([1, 2])([1, 2, 3]), "has 2 weights and is given the shape"),
        (lambda: Neuron([[1, 2]]), "a row of weights"),
        (lambda: Neuron([1], activation="step"), "no activation 'step'"),
        (lambda: Layer(np.zeros((3, 2)), np.zeros(3)), "do not fit"),
        (lambda: Layer(np.zeros((3, 2)), np.zeros(2))(np.zeros((5, 4))), "rows of 3 numbers"),
    ],
)
def test_wrong_shapes_get_a_sentence(call: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        call()
