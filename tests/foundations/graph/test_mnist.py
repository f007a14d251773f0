"""Nets of chapter 1 in the graph, on the complete MNIST: retrieve, look, create, train, test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

import simplecell.graph as tf
from simplecell import mnist
from simplecell.data.sources.idx import read_array

BATCH = 128


@cache
def retrieved() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training pictures N, 784 in 0 … 1 and labels N, then those of the test."""

    def side(name: str) -> tuple[np.ndarray, np.ndarray]:
        pictures = read_array(mnist.path() / f"{name}-images-idx3-ubyte.gz", 3)
        labels = read_array(mnist.path() / f"{name}-labels-idx1-ubyte.gz", 1)
        return pictures.reshape(len(pictures), -1).astype(np.float32) / 255, labels.astype(np.int64)

    return *side("train"), *side("t10k")


def minibatches(epochs: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    pictures, labels, _, _ = retrieved()
    chance = np.random.default_rng(0)
    for _ in range(epochs):
        order = chance.permutation(len(pictures))
        for begin in range(0, len(order), BATCH):
            some = order[begin : begin + BATCH]
            yield pictures[some], np.eye(10, dtype=np.float32)[labels[some]]


def accuracy_of(
    x: tf.Tensor,
    y: tf.Tensor,
    logits: tf.Tensor,
    optimiser: Callable[[tf.Tensor], Any],
    *,
    rate: float,
    epochs: int,
    keep: tf.Tensor | None = None,
) -> float:
    """Train at a rate that falls to 0, with dropout where keep is fed; then the share of the test."""
    falling = tf.placeholder("float", [])
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=logits, labels=y))
    train = optimiser(falling).minimize(loss)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), tf.argmax(y, 1)), "float"))
    _, _, pictures, labels = retrieved()
    steps = epochs * -(-len(retrieved()[0]) // BATCH)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for step, (some, answers) in enumerate(minibatches(epochs)):
            feed = {x: some, y: answers, falling: rate * (1 - step / steps)}
            session.run(train, feed if keep is None else {**feed, keep: 0.8})
        parts = []
        for begin in range(0, len(labels), 1000):
            part = slice(begin, begin + 1000)
            feed = {x: pictures[part], y: np.eye(10)[labels[part]]}
            parts.append(session.run(accuracy, feed if keep is None else {**feed, keep: 1.0}))
    return float(np.mean(parts))


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as made:
        tf.set_random_seed(0)
        yield made


def inputs() -> tuple[tf.Tensor, tf.Tensor]:
    return tf.placeholder("float", [None, 784], name="pictures"), tf.placeholder("float", [None, 10])


def dense(x: tf.Tensor, ins: int, outs: int) -> tf.Tensor:
    weights = tf.Variable(tf.truncated_normal([ins, outs], stddev=(2 / ins) ** 0.5))
    return tf.nn.bias_add(tf.matmul(x, weights), tf.Variable(tf.constant(0.1, shape=[outs])))


def test_what_is_retrieved_looks_like_digits() -> None:
    pictures, labels, test_pictures, test_labels = retrieved()
    assert (pictures.shape, test_pictures.shape) == ((60_000, 784), (10_000, 784))
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert (pictures.min(), pictures.max()) == (0, 1)
    assert len(test_labels) == 10_000


@pytest.mark.slow
def test_the_softmax_net_reads_92_in_100_digits() -> None:
    x, y = inputs()
    logits = x @ tf.Variable(tf.zeros([784, 10])) + tf.Variable(tf.zeros([10]))
    assert accuracy_of(x, y, logits, tf.train.GradientDescentOptimizer, rate=0.5, epochs=8) >= 0.92


@pytest.mark.slow
def test_the_dense_net_with_dropout_reads_98_in_100_digits() -> None:
    x, y = inputs()
    keep = tf.placeholder("float", [])
    hidden = tf.nn.dropout(tf.nn.relu(dense(x, 784, 512)), keep)
    hidden = tf.nn.dropout(tf.nn.relu(dense(hidden, 512, 512)), keep)
    logits = dense(hidden, 512, 10)
    assert accuracy_of(x, y, logits, tf.train.AdamOptimizer, rate=0.002, epochs=4, keep=keep) >= 0.98


@pytest.mark.slow
def test_the_convolutional_net_reads_985_in_1000_digits_within_three_minutes() -> None:
    begun = time.monotonic()
    x, y = inputs()
    value, channels = tf.reshape(x, [-1, 28, 28, 1]), 1
    for count in (8, 16):
        filters = tf.Variable(tf.truncated_normal([5, 5, channels, count], stddev=0.1))
        value = tf.nn.conv2d(value, filters, [1, 1, 1, 1], "SAME")
        value = tf.nn.relu(tf.nn.bias_add(value, tf.Variable(tf.zeros([count]))))
        value, channels = tf.nn.max_pool(value, [1, 2, 2, 1], [1, 2, 2, 1], "SAME"), count
    logits = dense(tf.reshape(value, [-1, 7 * 7 * 16]), 7 * 7 * 16, 10)
    accuracy = accuracy_of(x, y, logits, tf.train.AdamOptimizer, rate=0.005, epochs=3)
    print(f"{accuracy:.4f} in {time.monotonic() - begun:.0f} s")
    assert accuracy >= 0.985
