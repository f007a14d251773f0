"""One neuron, then a layer of them: a weighted sum, a bias, and an activation.

::

    x₁ ──w₁──┐
    x₂ ──w₂──┼──▶ Σ wᵢ xᵢ + b ──▶ f ──▶ y          (McCulloch and Pitts 1943; Rosenblatt 1958)
    x₃ ──w₃──┘

A layer is many neurons that see the same inputs: one product of matrices for all of them and all examples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simplecell.errors import UserError

Array = NDArray[Any]


def identity(z: Array) -> Array:
    """z itself."""
    return z


def sigmoid(z: ArrayLike, out: Array | None = None) -> Array:
    """1 / (1 + e⁻ᶻ), of the type of z, without overflow: e is raised to nothing positive.

    out: where the result goes; a new array where there is none.
    """
    given = as_floats(z)
    small = np.exp(-np.abs(given))
    found: Array = np.divide(np.where(given >= 0, 1, small), 1 + small, out=out, dtype=given.dtype)
    return found


def tanh(z: ArrayLike) -> Array:
    """(eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)."""
    found: Array = np.tanh(as_floats(z))
    return found


def relu(z: ArrayLike) -> Array:
    """The larger of z and 0 (Nair and Hinton 2010)."""
    return np.maximum(as_floats(z), 0)


def softmax(z: ArrayLike, axis: int = -1) -> Array:
    """eᶻ over its sum along the axis: positive, and 1 together.

    The largest is taken away first, which changes nothing but that e is raised to nothing positive.
    """
    given = as_floats(z)
    powers: Array = np.exp(given - given.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers


def log_softmax(z: ArrayLike, axis: int = -1) -> Array:
    """The logarithm of ``softmax``, also where that is too small to be told from 0."""
    given = as_floats(z)
    above = given - given.max(axis=axis, keepdims=True)
    found: Array = above - np.log(np.exp(above).sum(axis=axis, keepdims=True))
    return found


@dataclass(frozen=True)
class Activation:
    """A function and its derivative, told by what the function gave.

    slope: from y = f(z) to f′(z), of the same shape.
    """

    name: str
    function: Callable[[Array], Array]
    slope: Callable[[Array], Array]


ACTIVATIONS: dict[str, Activation] = {
    each.name: each
    for each in (
        Activation("identity", identity, np.ones_like),
        Activation("sigmoid", sigmoid, lambda y: y * (1 - y)),
        Activation("tanh", tanh, lambda y: 1 - y * y),
        Activation("relu", relu, lambda y: (y > 0).astype(y.dtype)),
    )
}


class Neuron:
    """A neuron of given weights.

    >>> Neuron([1.0, 2.0], bias=0.0)([1, 1])
    0.9525741268224334
    """

    def __init__(self, weights: ArrayLike, bias: float = 0.0, activation: str = "sigmoid") -> None:
        """weights: one an input. activation: a name of ACTIVATIONS. Raises UserError for others."""
        self.weights = as_floats(weights)
        if self.weights.ndim != 1:
            shape = self.weights.shape
            raise UserError(
                f"a neuron has a row of weights, not the shape {shape}", remedy="give one an input"
            )
        self.bias = float(bias)
        self.activation = named(activation)

    def __call__(self, inputs: ArrayLike) -> float:
        """The answer to one example. Raises UserError where inputs are not as many as weights."""
        given = as_floats(inputs)
        if given.shape != self.weights.shape:
            raise UserError(
                f"the neuron has {len(self.weights)} weights and is given the shape {given.shape}",
                remedy="give it as many inputs as it has weights",
            )
        return float(self.activation.function(np.asarray(given @ self.weights + self.bias)))


class Layer:
    """Neurons that see the same inputs.

    ::

        x: N, inputs  ──▶  z = x @ weights + bias  ──▶  y = f(z): N, outputs
    """

    def __init__(self, weights: ArrayLike, bias: ArrayLike, activation: str = "relu") -> None:
        """weights: inputs, outputs. bias: outputs. Raises UserError where they do not fit."""
        self.weights, self.bias = as_floats(weights), as_floats(bias)
        if self.weights.ndim != 2 or self.bias.shape != self.weights.shape[1:]:
            raise UserError(
                f"the shapes {self.weights.shape} of weights and {self.bias.shape} of biases do not fit",
                remedy="give weights (inputs, outputs) and a bias for each output",
            )
        self.activation = named(activation)

    @classmethod
    def drawn(
        cls,
        inputs: int,
        outputs: int,
        activation: str,
        numbers: np.random.Generator,
        dtype: Any = np.float32,
    ) -> Layer:
        """Weights from a normal distribution whose width keeps what goes through of one size: deviation
        √(2 / inputs) for rectifiers (He et al. 2015), √(1 / inputs) for others (LeCun et al. 1998)."""
        gain = 2.0 if activation == "relu" else 1.0
        weights = numbers.normal(0, np.sqrt(gain / inputs), (inputs, outputs))
        return cls(weights.astype(dtype), np.zeros(outputs, dtype), activation)

    def __call__(self, inputs: Array) -> Array:
        """inputs: N, inputs, to N, outputs."""
        if inputs.ndim != 2 or inputs.shape[1] != len(self.weights):
            raise UserError(
                f"the layer takes rows of {len(self.weights)} numbers and is given the shape {inputs.shape}",
                remedy="give it one row an example",
            )
        return self.activation.function(inputs @ self.weights + self.bias)


def named(activation: str) -> Activation:
    """The activation of a name. Raises UserError where there is none."""
    if activation not in ACTIVATIONS:
        raise UserError(
            f"there is no activation {activation!r}", remedy=f"take one of {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[activation]


def as_floats(values: ArrayLike) -> Array:
    """An array of floats: those of float32 and float64 as they are, all else as float64."""
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
