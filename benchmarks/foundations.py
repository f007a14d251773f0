"""The deferred graph: its cost beside the same arithmetic in plain NumPy, and the gain of parallel branches.

    python benchmarks/foundations.py [--json]

- overhead: a step of gradient descent of a dense net 784-512-512-10 on a batch of 128, in the graph with one
  thread, beside the same net written out by hand in NumPy. The two compute the same weights. The goal: less
  than 10 % more.
- branches: graphs of two towers that share nothing but input and loss, of convolutions and of products of
  matrices; a training step by a session with two threads beside one with a single thread. The goal: 1.5 times
  as fast. Beside it, what two threads gain here and now where nothing but BLAS runs: where other programs
  keep the cores busy, that is no more than 1, and the row says nothing about the graph.

BLAS has one thread on every side. The sides take turns, a step each, so that a slow moment of the machine
hits all; the medians count. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import simplecell.graph as tf

Array = NDArray[np.float32]
Step = Callable[[], None]

SIZES, BATCH, RATE = (784, 512, 512, 10), 128, np.float32(0.1)
TOWER_BATCH = 512
MOST_OVERHEAD, LEAST_SPEED = 0.10, 1.5
ROUNDS, WARM = 40, 12


def first_weights() -> list[tuple[Array, Array]]:
    """Matrix and bias of each layer."""
    chance = np.random.default_rng(0)
    return [
        (
            (chance.standard_normal((ins, outs)) * np.sqrt(2 / ins)).astype(np.float32),
            np.zeros(outs, np.float32),
        )
        for ins, outs in pairwise(SIZES)
    ]


def batch(size: int = BATCH) -> tuple[Array, Array]:
    """Pictures N, 784 and labels as rows of probabilities."""
    chance = np.random.default_rng(1)
    pictures = chance.random((size, SIZES[0]), dtype=np.float32)
    return pictures, np.eye(SIZES[-1], dtype=np.float32)[chance.integers(0, SIZES[-1], size)]


def by_hand(weights: list[tuple[Array, Array]], pictures: Array, labels: Array) -> Step:
    """The step as one writes it who knows NumPy: forward, backward, update, nothing computed twice."""

    def step() -> None:
        activations = [pictures]
        for index, (matrix, bias) in enumerate(weights):
            value = activations[-1] @ matrix
            value += bias
            if index < len(weights) - 1:
                np.maximum(value, 0, out=value)
            activations.append(value)
        logits = activations[-1] - activations[-1].max(axis=1, keepdims=True)
        powers = np.exp(logits)
        totals = powers.sum(axis=1, keepdims=True)
        loss = -(labels * (logits - np.log(totals))).sum(axis=1).mean()
        assert np.isfinite(loss)
        flowing = (powers / totals - labels) / np.float32(len(labels))
        for index in reversed(range(len(weights))):
            matrix, bias = weights[index]
            by_matrix, by_bias = activations[index].T @ flowing, flowing.sum(axis=0)
            if index:
                flowing = flowing @ matrix.T
                flowing *= activations[index] > 0
            by_matrix *= RATE
            matrix -= by_matrix
            bias -= RATE * by_bias

    return step


def in_graph(weights: list[tuple[Array, Array]], pictures: Array, labels: Array) -> tuple[Step, Any]:
    """The same step in the deferred graph, and a function that gives the weights."""
    graph = tf.Graph()
    with graph.as_default():
        x, y = tf.placeholder("float", [None, SIZES[0]]), tf.placeholder("float", [None, SIZES[-1]])
        value, variables = x, []
        for index, (matrix, bias) in enumerate(weights):
            variables += [tf.Variable(matrix), tf.Variable(bias)]
            value = tf.matmul(value, variables[-2]) + variables[-1]
            value = tf.nn.relu(value) if index < len(weights) - 1 else value
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=value, labels=y))
        train = tf.train.GradientDescentOptimizer(float(RATE)).minimize(loss)
        start = tf.global_variables_initializer()
    session = tf.Session(graph=graph, threads=1)
    session.run(start)

    def step() -> None:
        _, found = session.run([train, loss], {x: pictures, y: labels})
        assert np.isfinite(found)

    return step, lambda: session.run(variables)


def dense_towers(x: Any) -> list[Any]:
    """Two branches of products of matrices."""
    results = []
    for _ in range(2):
        value = x
        for _ in range(3):
            value = tf.nn.relu(tf.matmul(value, tf.Variable(tf.random_normal([784, 784], stddev=0.05))))
        results.append(tf.reduce_mean(tf.square(value)))
    return results


def convolutional_towers(x: Any) -> list[Any]:
    """Two branches of convolutions and pooling."""
    results = []
    for _ in range(2):
        value, channels = tf.reshape(x, [-1, 28, 28, 1]), 1
        for count in (8, 16):
            filters = tf.Variable(tf.random_normal([5, 5, channels, count], stddev=0.1))
            value = tf.nn.relu(tf.nn.conv2d(value, filters, [1, 1, 1, 1], "SAME"))
            value, channels = tf.nn.max_pool(value, [1, 2, 2, 1], [1, 2, 2, 1], "SAME"), count
        results.append(tf.reduce_mean(tf.square(value)))
    return results


def training(towers: Callable[[Any], list[Any]], size: int, threads: int) -> Step:
    """A training step of a graph of towers on a batch of that size."""
    graph = tf.Graph()
    with graph.as_default():
        tf.set_random_seed(0)
        x = tf.placeholder("float", [None, 784])
        one, other = towers(x)
        train = tf.train.GradientDescentOptimizer(0.01).minimize(one + other)
        start = tf.global_variables_initializer()
    session = tf.Session(graph=graph, threads=threads)
    session.run(start)
    pictures, _ = batch(size)
    return lambda: session.run(train, {x: pictures})


def in_turns(sides: dict[str, Step]) -> dict[str, float]:
    """Median seconds of a step of each side."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(ROUNDS + WARM):
        for side, step in sides.items():
            begun = time.perf_counter()
            step()
            times[side].append(time.perf_counter() - begun)
    return {side: statistics.median(spent[WARM:]) for side, spent in times.items()}


def overhead() -> dict[str, Any]:
    """The graph beside plain NumPy; the two must have learnt the same."""
    pictures, labels = batch()
    plain = first_weights()
    graph, weights = in_graph(first_weights(), pictures, labels)
    seconds = in_turns({"numpy": by_hand(plain, pictures, labels), "graph": graph})
    theirs = [each for layer in plain for each in layer]
    apart = max(float(np.abs(a - b).max()) for a, b in zip(weights(), theirs, strict=True))
    extra = seconds["graph"] / seconds["numpy"] - 1
    return {"seconds": seconds, "overhead": extra, "apart": apart, "reached": extra < MOST_OVERHEAD}


def bare(threads: int) -> Step:
    """Sixteen products of matrices, shared out among threads: what the machine itself gains."""
    matrix = np.ones((512, 512), np.float32)

    def work() -> None:
        for _ in range(16 // threads):
            matrix @ matrix

    def step() -> None:
        several = [threading.Thread(target=work) for _ in range(threads)]
        for each in several:
            each.start()
        for each in several:
            each.join()

    return step


def branches(towers: Callable[[Any], list[Any]]) -> dict[str, Any]:
    """Two threads beside one."""
    sides = {f"{count} thread{'s' * (count - 1)}": training(towers, TOWER_BATCH, count) for count in (1, 2)}
    seconds = in_turns({**sides, "bare 1": bare(1), "bare 2": bare(2)})
    limit = seconds.pop("bare 1") / seconds.pop("bare 2")
    speed = seconds["1 thread"] / seconds["2 threads"]
    return {"seconds": seconds, "speed": speed, "limit": limit, "reached": speed >= LEAST_SPEED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    as_json = parser.parse_args().json
    rows = {
        "overhead": overhead(),
        "dense branches": branches(dense_towers),
        "convolutional branches": branches(convolutional_towers),
    }
    reached = all(row["reached"] for row in rows.values())
    if as_json:
        print(json.dumps({**rows, "numpy": np.__version__, "reached": reached}, indent=2))
    else:
        for name, row in rows.items():
            times = "  ".join(f"{side} {1000 * spent:7.2f} ms" for side, spent in row["seconds"].items())
            figure = f"{100 * row['overhead']:+.1f} %" if "overhead" in row else f"{row['speed']:.2f} ×"
            limit = f" (BLAS alone {row['limit']:.2f} ×)" if "limit" in row else ""
            print(f"{name:23} {times}   {figure}{limit}{'' if row['reached'] else '   MISSED'}")
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
