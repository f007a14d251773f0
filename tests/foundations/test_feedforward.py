"""Backpropagation by its four equations, beside autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from simplecell import mnist
from simplecell.data.sources import read_source
from simplecell.foundations.feedforward import FeedForward, Momentum, accuracy, train


def theirs(net: FeedForward) -> list[torch.Tensor]:
    """The net's weights and biases as torch's."""
    values = [array for layer in net.layers for array in (layer.weights, layer.bias)]
    return [torch.from_numpy(array.copy()).requires_grad_() for array in values]


def forward(values: list[torch.Tensor], inputs: torch.Tensor, activation: str) -> torch.Tensor:
    for place in range(0, len(values), 2):
        inputs = inputs @ values[place] + values[place + 1]
        if place < len(values) - 2 and activation != "identity":
            inputs = getattr(inputs, activation)()
    return inputs


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    activation=st.sampled_from(["sigmoid", "tanh", "relu", "identity"]),
    count=st.integers(1, 7),
    seed=st.integers(0, 1000),
)
def test_gradients_equal_autograd(sizes: list[int], activation: str, count: int, seed: int) -> None:
    net = FeedForward(sizes, activation=activation, seed=seed, dtype=np.float64)
    numbers = np.random.default_rng(seed)
    inputs, labels = numbers.normal(size=(count, sizes[0])), numbers.integers(0, sizes[-1], count)
    loss, gradients = net.gradients(inputs, labels)
    values = theirs(net)
    expected = functional.cross_entropy(
        forward(values, torch.from_numpy(inputs), activation), torch.from_numpy(labels)
    )
    expected.backward()
    assert loss == pytest.approx(expected.item(), abs=1e-10)
    found = [array for gradient in gradients for array in gradient]
    for ours, value in zip(found, values, strict=True):
        assert value.grad is not None
        assert np.abs(ours - value.grad.numpy()).max() < 1e-10


def test_a_hundred_steps_have_the_losses_of_torch() -> None:
    net = FeedForward((12, 16, 8, 4), activation="tanh", seed=1, dtype=np.float64)
    values = theirs(net)
    rule, other = Momentum(net, 0.9), torch.optim.SGD(values, lr=0.1, momentum=0.9)
    numbers = np.random.default_rng(2)
    for _ in range(100):
        inputs, labels = numbers.normal(size=(10, 12)), numbers.integers(0, 4, 10)
        loss, gradients = net.gradients(inputs, labels)
        expected = functional.cross_entropy(
            forward(values, torch.from_numpy(inputs), "tanh"), torch.from_numpy(labels)
        )
        assert loss == pytest.approx(expected.item(), abs=1e-6)
        rule.step(gradients, 0.1)
        other.zero_grad()
        expected.backward()
        other.step()


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_dropout_goes_the_same_way_back(activation: str) -> None:
    inputs, labels = np.random.default_rng(0).normal(size=(6, 5)), np.arange(6) % 3

    def loss_at(shift: float) -> tuple[float, Any]:
        net = FeedForward((5, 8, 7, 3), activation=activation, dropout=0.4, seed=3, dtype=np.float64)
        net.layers[0].weights[2, 4] += shift  # the masks are those of the seed each time
        loss, gradients = net.gradients(inputs, labels)
        return loss, gradients[0].weights[2, 4]

    step = 1e-6
    slope = (loss_at(step)[0] - loss_at(-step)[0]) / (2 * step)
    assert loss_at(0)[1] == pytest.approx(slope, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "dropout", "epochs", "goal"),
    [((784, 128, 10), 0.0, 8, 0.975), ((784, 512, 512, 10), 0.2, 10, 0.98)],
)
def test_it_learns_mnist(sizes: tuple[int, ...], dropout: float, epochs: int, goal: float) -> None:
    tables = read_source(mnist.path()).tables
    sides = {}
    for side in ("train", "test"):
        pictures: Any = tables[side].pictures
        sides[side] = pictures.array.reshape(-1, 784).astype(np.float32) / 255, tables[side].labels
    net = FeedForward(sizes, dropout=dropout)
    train(net, *sides["train"], epochs=epochs)
    assert accuracy(net, *sides["test"]) >= goal
