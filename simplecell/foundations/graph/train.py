"""Optimisers: each adds to the graph the operations of one step down a gradient.

The rules are TensorFlow's to the letter; where they differ from what others do, the docstring says how.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from simplecell.foundations.graph.dtypes import Array
from simplecell.foundations.graph.errors import ArgumentError, GradientError
from simplecell.foundations.graph.gradients import gradients
from simplecell.foundations.graph.shapes import TensorShape
from simplecell.foundations.graph.shaping import zeros_like
from simplecell.foundations.graph.state import State
from simplecell.foundations.graph.tensor import Operation, Tensor, Value, as_tensor, define, operation
from simplecell.foundations.graph.variables import Variable, group

GradsAndVars = Sequence[tuple[Tensor | None, Variable]]


class Optimizer:
    """What all optimisers do: gradients of a loss, and an update of every variable by its own rule."""

    def __init__(self, name: str) -> None:
        self.name = name

    def minimize(
        self,
        loss: Tensor,
        global_step: Variable | None = None,
        var_list: Sequence[Variable] | None = None,
        name: str | None = None,
    ) -> Operation:
        """An operation that makes one step; global_step is counted up by it."""
        return self.apply_gradients(self.compute_gradients(loss, var_list), global_step, name)

    def compute_gradients(
        self, loss: Tensor, var_list: Sequence[Variable] | None = None
    ) -> list[tuple[Tensor | None, Variable]]:
        """The gradient of the loss by each variable (by default all that are trainable), beside it."""
        variables = (
            [each for each in loss.graph.variables if each.trainable] if var_list is None else var_list
        )
        if not variables:
            raise ArgumentError("there is nothing to learn", where=self.name, remedy="make a tf.Variable")
        return list(zip(gradients(loss, list(variables)), variables, strict=True))

    def apply_gradients(
        self, grads_and_vars: GradsAndVars, global_step: Variable | None = None, name: str | None = None
    ) -> Operation:
        """An operation that changes each variable by its gradient; those without one stay as they are."""
        pairs = [(gradient, variable) for gradient, variable in grads_and_vars if gradient is not None]
        if not pairs:
            raise GradientError(
                "the loss depends on no variable", where=self.name, remedy="check what it is made of"
            )
        graph = pairs[0][1].graph
        with graph.as_default(), graph.name_scope(name or self.name) as scope:
            done: list[Any] = [
                self._update(gradient, variable, f"update_{variable.op.name}") for gradient, variable in pairs
            ]
            done += self._finish(done)
            if global_step is not None:
                with graph.control_dependencies(done):
                    done.append(global_step.assign_add(1))
            return group(*done, name=scope)

    def _update(self, gradient: Tensor, variable: Variable, name: str) -> Operation:
        raise NotImplementedError

    def _finish(self, updates: Sequence[Operation]) -> list[Tensor]:
        """What follows when every variable is updated."""
        return []


def _slot(variable: Variable, name: str) -> Operation:
    """A variable that accompanies another, with zeros at first."""
    graph = variable.graph
    with graph.name_scope(None):
        return Variable(
            zeros_like(variable.initial_value), trainable=False, name=f"{variable.op.name}/{name}"
        ).op


def _nothing(op: Operation) -> None:
    """There is no result; but the gradient must fit the variable."""
    variable = op.writes[0].output
    if variable is not None:
        TensorShape(variable.shape).merge_with(op.inputs[-1].shape, where=op.name)


# Each rule writes into the variable's own array. ``out`` is the gradient's, when nobody else needs it.


def _descend(state: State, op: Operation, rate: Array, gradient: Array, out: Array | None = None) -> None:
    (weights,) = (state.variables[each] for each in op.writes)
    np.subtract(weights, np.multiply(rate, gradient, out=out), out=weights)


def _roll(state: State, op: Operation, rate: Array, momentum: Array, gradient: Array, nesterov: bool) -> None:
    weights, speed = (state.variables[each] for each in op.writes)
    np.add(np.multiply(speed, momentum, out=speed), gradient, out=speed)
    step = gradient + momentum * speed if nesterov else speed
    np.subtract(weights, rate * step, out=weights)


def _adapt(
    state: State,
    op: Operation,
    rate: Array,
    beta1: Array,
    beta2: Array,
    epsilon: Array,
    power1: Array,
    power2: Array,
    gradient: Array,
) -> None:
    weights, mean, spread = (state.variables[each] for each in op.writes)
    np.add(mean, (1 - beta1) * (gradient - mean), out=mean)
    np.add(spread, (1 - beta2) * (np.square(gradient) - spread), out=spread)
    length = rate * np.sqrt(1 - power2) / (1 - power1)
    np.subtract(weights, length * mean / (np.sqrt(spread) + epsilon), out=weights)


define("ApplyGradientDescent", _nothing, _descend, stateful=True, reuses=True)
define("ApplyMomentum", _nothing, _roll, stateful=True)
define("ApplyAdam", _nothing, _adapt, stateful=True)


class GradientDescentOptimizer(Optimizer):
    """w ← w − rate · gradient."""

    def __init__(self, learning_rate: Value, name: str = "GradientDescent") -> None:
        super().__init__(name)
        self._rate = learning_rate

    def _update(self, gradient: Tensor, variable: Variable, name: str) -> Operation:
        rate = as_tensor(self._rate, variable.dtype, name="learning_rate")
        return operation("ApplyGradientDescent", [rate, gradient], {}, name, [variable.op])


class MomentumOptimizer(Optimizer):
    """speed ← momentum · speed + gradient; w ← w − rate · speed (Polyak 1964).

    use_nesterov: the step is gradient + momentum · speed instead.
    """

    def __init__(
        self, learning_rate: Value, momentum: Value, use_nesterov: bool = False, name: str = "Momentum"
    ) -> None:
        super().__init__(name)
        self._rate, self._momentum, self._nesterov = learning_rate, momentum, use_nesterov

    def _update(self, gradient: Tensor, variable: Variable, name: str) -> Operation:
        rate = as_tensor(self._rate, variable.dtype, name="learning_rate")
        momentum = as_tensor(self._momentum, variable.dtype, name="momentum")
        writes = [variable.op, _slot(variable, "Momentum")]
        return operation(
            "ApplyMomentum", [rate, momentum, gradient], {"nesterov": self._nesterov}, name, writes
        )


class AdamOptimizer(Optimizer):
    """Means of the gradient and its square, and a step of their ratio (Kingma, Ba: Adam, 2015).

    The rule is the paper's "more efficient" one (before its section 2.1),
    w ← w − rate · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε̂). Its ε̂ is
    √(1 − β₂ᵗ) of the ε in algorithm 1, which PyTorch has.
    """

    def __init__(
        self,
        learning_rate: Value = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-08,
        name: str = "Adam",
    ) -> None:
        super().__init__(name)
        self._rate, self._betas, self._epsilon = learning_rate, (beta1, beta2), epsilon
        self._powers: list[Variable] = []

    def apply_gradients(
        self, grads_and_vars: GradsAndVars, global_step: Variable | None = None, name: str | None = None
    ) -> Operation:
        variable = grads_and_vars[0][1]
        with variable.graph.as_default():
            self._powers = [
                Variable(beta, trainable=False, name=f"beta{index}_power", dtype=variable.dtype)
                for index, beta in enumerate(self._betas, 1)
            ]
        return super().apply_gradients(grads_and_vars, global_step, name)

    def _update(self, gradient: Tensor, variable: Variable, name: str) -> Operation:
        numbers = {"learning_rate": self._rate, "epsilon": self._epsilon}
        rate, epsilon = (as_tensor(each, variable.dtype, name=key) for key, each in numbers.items())
        beta1, beta2 = (as_tensor(each, variable.dtype, name="beta") for each in self._betas)
        writes = [variable.op, _slot(variable, "Adam"), _slot(variable, "Adam_1")]
        inputs = [rate, beta1, beta2, epsilon, *self._powers, gradient]
        return operation("ApplyAdam", inputs, {}, name, writes)

    def _finish(self, updates: Sequence[Operation]) -> list[Tensor]:
        """βᵗ becomes βᵗ⁺¹ when all variables have used it."""
        graph = updates[0].graph
        with graph.control_dependencies(updates):
            return [
                power.assign(power * as_tensor(beta, power.dtype))
                for power, beta in zip(self._powers, self._betas, strict=True)
            ]
