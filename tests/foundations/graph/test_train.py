"""Optimisers, against torch's: the same losses, step for step, from the same weights and batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import simplecell.graph as tf

STEPS = 100


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    chance = np.random.default_rng(0)
    centres = chance.standard_normal((4, 12))
    labels = chance.integers(0, 4, (STEPS, 32))
    return [(centres[each] + chance.standard_normal((32, 12)), np.eye(4)[each]) for each in labels]


def weights() -> list[np.ndarray]:
    chance = np.random.default_rng(1)
    shapes = [(12, 16), (16,), (16, 4), (4,)]
    return [chance.standard_normal(shape) * 0.3 for shape in shapes]


def our_losses(optimiser: Any, dtype: str) -> list[float]:
    with tf.Graph().as_default():
        x, y = tf.placeholder(dtype, [None, 12]), tf.placeholder(dtype, [None, 4])
        w1, b1, w2, b2 = (tf.Variable(tf.constant(each, dtype)) for each in weights())
        logits = tf.tanh(x @ w1 + b1) @ w2 + b2
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=logits, labels=y))
        count = tf.Variable(0, trainable=False)
        train = optimiser.minimize(loss, global_step=count)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            losses = [session.run([loss, train], {x: a, y: b})[0] for a, b in batches()]
            assert session.run(count) == STEPS
    return losses


def their_losses(
    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer], epsilon: Callable[[int], float] | None = None
) -> list[float]:
    w1, b1, w2, b2 = parameters = [nn.Parameter(torch.from_numpy(each)) for each in weights()]
    rule = make(parameters)
    losses = []
    for step, (x, y) in enumerate(batches(), 1):
        loss = F.cross_entropy(torch.tanh(torch.from_numpy(x) @ w1 + b1) @ w2 + b2, torch.from_numpy(y))
        losses.append(loss.item())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        if epsilon:
            rule.param_groups[0]["eps"] = epsilon(step)
        rule.step()
    return losses


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("ours", "theirs", "epsilon"),
    [
        (lambda: tf.train.GradientDescentOptimizer(0.5), lambda p: torch.optim.SGD(p, 0.5), None),
        (lambda: tf.train.MomentumOptimizer(0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, 0.9), None),
        (
            lambda: tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
            lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True),
            None,
        ),
        # TensorFlow's ε̂ is √(1 − β₂ᵗ) ε (Kingma and Ba, section 2): torch gets the ε of each step.
        (
            lambda: tf.train.AdamOptimizer(0.01, epsilon=1e-3),
            lambda p: torch.optim.Adam(p, 0.01),
            lambda step: 1e-3 / (1 - 0.999**step) ** 0.5,
        ),
    ],
    ids=["gradient descent", "momentum", "nesterov", "adam"],
)
def test_the_losses_of_a_hundred_steps_are_torchs(ours: Any, theirs: Any, epsilon: Any, dtype: str) -> None:
    found, expected = our_losses(ours(), dtype), their_losses(theirs, epsilon)
    assert expected[-1] < expected[0] / 2
    # As TensorFlow, we keep β₂ᵗ in the variables' type: in float32, 1 − 0.999 is wrong by 1e-5 of itself.
    allowed = 1e-12 if dtype == "float64" else 1e-6 if epsilon is None else 5e-6
    np.testing.assert_allclose(found, expected, rtol=0, atol=allowed)


def test_gradients_can_be_changed_before_they_are_applied() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        a, b, c = (tf.Variable(each, name=name) for each, name in ((1.0, "a"), (2.0, "b"), (3.0, "c")))
        rule = tf.train.GradientDescentOptimizer(tf.constant(1.0))
        pairs = rule.compute_gradients(a * 100.0 + b, [a, b, c])
        assert [variable for _, variable in pairs] == [a, b, c]
        assert pairs[2][0] is None
        clipped = [(None if g is None else tf.minimum(g, 1.0), variable) for g, variable in pairs]
        train = rule.apply_gradients(clipped)
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run([a, b, c]) == [0, 1, 3]


def test_the_rate_of_learning_may_be_fed() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        rate, w = tf.placeholder("float", []), tf.Variable(1.0)
        train = tf.train.GradientDescentOptimizer(rate).minimize(w * 2.0)
        session.run(tf.global_variables_initializer())
        session.run(train, {rate: 0.25})
        assert session.run(w) == 0.5


def test_only_trainable_variables_are_trained() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        fixed, free = tf.Variable(1.0, trainable=False), tf.Variable(1.0)
        train = tf.train.AdamOptimizer(0.1).minimize(tf.square(fixed * free))
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run(fixed) == 1
        assert session.run(free) == pytest.approx(0.9, abs=1e-6)  # Adam's first step is the rate


def test_a_loss_that_depends_on_no_variable_is_refused() -> None:
    with tf.Graph().as_default():
        tf.Variable(1.0)
        with pytest.raises(tf.errors.GradientError, match="the loss depends on no variable"):
            tf.train.GradientDescentOptimizer(0.1).minimize(tf.constant(1.0))


def test_slots_are_named_after_their_variables_and_not_trained() -> None:
    with tf.Graph().as_default() as graph:
        w = tf.Variable(1.0, name="w")
        with tf.name_scope("scope"):
            tf.train.AdamOptimizer().minimize(tf.square(w))
        assert {"w/Adam", "w/Adam_1"} <= {op.name for op in graph.get_operations()}
        assert tf.trainable_variables() == [w]
