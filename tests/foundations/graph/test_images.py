"""Convolution and pooling in the graph: gradients, and gradients of gradients, against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import simplecell.graph as tf
from simplecell.foundations.kernels import Windows
from tests.foundations.test_kernels import cases, close, drawn, leaf, padded

EXAMPLES = settings.default.max_examples // 2


def four(pair: tuple[int, int]) -> list[int]:
    return [1, *pair, 1]


@settings(max_examples=EXAMPLES)
@given(case=cases(), count=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_a_convolution_is_differentiated_twice(
    case: tuple[Windows, tuple[int, int, int, int]], count: int, seed: int
) -> None:
    windows, shape = case
    arrays = drawn(shape, seed), drawn((*windows.size, shape[3], count), seed + 1)
    with tf.Graph().as_default(), tf.Session(threads=1) as session:
        x = tf.placeholder("float64", [None, None, None, shape[3]])
        filters = tf.placeholder("float64", arrays[1].shape)
        y = tf.nn.conv2d(x, filters, four(windows.strides), windows.padding, four(windows.dilations))
        first = tf.gradients(tf.square(y), [x, filters])
        second = tf.gradients([tf.square(each) for each in first if each is not None], [x, filters])
        found = session.run([y, first, second], {x: arrays[0], filters: arrays[1]})

    theirs = [leaf(each) for each in arrays]
    result = F.conv2d(
        padded(theirs[0], windows),
        theirs[1].permute(3, 2, 0, 1).contiguous(),
        stride=windows.strides,
        dilation=windows.dilations,
    ).permute(0, 2, 3, 1)
    slopes = torch.autograd.grad(result.square().sum(), theirs, create_graph=True)
    bends = torch.autograd.grad(sum(each.square().sum() for each in slopes), theirs)
    for ours, expected in zip([found[0], *found[1], *found[2]], [result, *slopes, *bends], strict=True):
        np.testing.assert_allclose(ours, expected.detach().numpy(), rtol=1e-10, atol=1e-8)


@settings(max_examples=EXAMPLES)
@given(case=cases(dilated=False), seed=st.integers(0, 2**32))
def test_pooling_is_differentiated(case: tuple[Windows, tuple[int, int, int, int]], seed: int) -> None:
    windows, shape = case
    array = drawn(shape, seed)
    with tf.Graph().as_default(), tf.Session(threads=1) as session:
        x = tf.placeholder("float64", shape)
        options = four(windows.size), four(windows.strides), windows.padding
        largest, mean = tf.nn.max_pool(x, *options), tf.nn.avg_pool(x, *options)
        slopes = [tf.gradients(tf.square(each), x)[0] for each in (largest, mean)]
        bend = tf.gradients(tf.square(slopes[1]), x)[0]
        found = session.run([largest, mean, *slopes, bend], {x: array})
    assert [largest.shape, mean.shape] == [each.shape for each in found[:2]]

    theirs = leaf(array)
    high = F.max_pool2d(padded(theirs, windows, value=-torch.inf), windows.size, windows.strides)
    counts = F.avg_pool2d(
        padded(torch.ones(shape, dtype=torch.float64), windows), windows.size, windows.strides
    )
    level = F.avg_pool2d(padded(theirs, windows), windows.size, windows.strides) / counts
    close(found[0], high.permute(0, 2, 3, 1))
    close(found[1], level.permute(0, 2, 3, 1))
    close(found[2], torch.autograd.grad(high.square().sum(), theirs)[0])
    (slope,) = torch.autograd.grad(level.square().sum(), theirs, create_graph=True)
    close(found[3], slope)
    close(found[4], torch.autograd.grad(slope.square().sum(), theirs)[0])


def test_a_convolution_has_the_gradient_of_finite_differences() -> None:
    with tf.Graph().as_default(), tf.Session(threads=1) as session:
        x, filters = tf.placeholder("float64", [2, 6, 5, 2]), tf.placeholder("float64", [3, 2, 2, 3])
        loss = tf.reduce_sum(tf.sigmoid(tf.nn.conv2d(x, filters, [1, 2, 1, 1], "SAME")))
        slopes = tf.gradients(loss, [x, filters])
        arrays, ways = (
            [drawn(each, seed + n) for n, each in enumerate([(2, 6, 5, 2), (3, 2, 2, 3)])] for seed in (0, 5)
        )
        found = session.run(slopes, {x: arrays[0], filters: arrays[1]})
        ahead, behind = (
            session.run(loss, {x: arrays[0] + step * ways[0], filters: arrays[1] + step * ways[1]})
            for step in (1e-6, -1e-6)
        )
    expected = sum(float(np.sum(one * other)) for one, other in zip(found, ways, strict=True))
    assert (ahead - behind) / 2e-6 == pytest.approx(expected, rel=1e-5)
