"""Every operation's gradient, against torch's autograd and against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes
from torch.nn import functional as F

import simplecell.graph as tf

EXAMPLES = settings.default.max_examples // 2  # 25 in the usual profile, 1,000 in that of `make fuzz`
Shapes = st.SearchStrategy[tuple[tuple[int, ...], ...]]


@dataclass(frozen=True)
class Case:
    """An operation here and in torch, on tensors of drawn shapes.

    options: what both take besides, drawn for the shapes. positive: positions of what must be above 0.
    """

    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    shapes: Shapes
    positive: tuple[int, ...] = ()
    options: Callable[[tuple[tuple[int, ...], ...]], st.SearchStrategy[Any]] | None = None


def one(least: int = 0) -> Shapes:
    return array_shapes(min_dims=least, max_dims=3, max_side=4).map(lambda shape: (shape,))


ONE = one()
PAIR = mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4).map(
    lambda drawn: drawn.input_shapes
)


@st.composite
def matrices(draw: Any) -> tuple[tuple[int, ...], ...]:
    several = draw(array_shapes(min_dims=0, max_dims=1, max_side=3)) if draw(st.booleans()) else ()
    rows, inner, columns = (draw(st.integers(1, 5)) for _ in range(3))
    return (*several, rows, inner), (*several, inner, columns)


@st.composite
def joined(draw: Any) -> tuple[tuple[int, ...], ...]:
    shape = draw(array_shapes(min_dims=2, max_dims=3, max_side=4))
    return tuple((shape[0], draw(st.integers(1, 4)), *shape[2:]) for _ in range(draw(st.integers(1, 3))))


@st.composite
def biased(draw: Any) -> tuple[tuple[int, ...], ...]:
    shape = draw(array_shapes(min_dims=2, max_dims=4, max_side=4))
    return shape, shape[-1:]


TWICE = array_shapes(min_dims=1, max_dims=3, max_side=4).map(lambda shape: (shape, shape))
LABELLED = array_shapes(min_dims=2, max_dims=2, max_side=5).map(lambda shape: (shape, shape))


def axes(shapes: tuple[tuple[int, ...], ...]) -> st.SearchStrategy[Any]:
    """Some axes, and whether they stay."""
    rank = len(shapes[0])
    some = st.lists(st.integers(0, rank - 1), min_size=1, unique=True).map(lambda found: tuple(sorted(found)))
    return st.tuples(some, st.booleans())


def an_axis(shapes: tuple[tuple[int, ...], ...]) -> st.SearchStrategy[Any]:
    return st.integers(-len(shapes[0]), len(shapes[0]) - 1)


def index(shapes: tuple[tuple[int, ...], ...]) -> st.SearchStrategy[Any]:
    """Numbers and slices for the first axes."""

    def of(side: int) -> st.SearchStrategy[Any]:
        slices = st.tuples(st.integers(0, side), st.integers(1, 3)).map(
            lambda found: slice(found[0], None, found[1])
        )
        return st.integers(-side, side - 1) | slices

    return st.tuples(*(of(side) for side in shapes[0][:2]))


def product_of(x: torch.Tensor, found: Any) -> torch.Tensor:
    for axis in sorted(found[0], reverse=True):
        x = x.prod(dim=axis, keepdim=found[1])
    return x


def variance(x: torch.Tensor, found: Any) -> torch.Tensor:
    return x.var(dim=found[0], keepdim=found[1], correction=0)


def normalised(x: torch.Tensor, mean: Any, spread: Any, offset: Any, scale: Any) -> torch.Tensor:
    return (x - mean) / torch.sqrt(spread + 1e-3) * scale + offset


CASES = {
    "add": Case(lambda x, y: x + y, torch.add, PAIR),
    "subtract": Case(lambda x, y: x - y, torch.sub, PAIR),
    "multiply": Case(lambda x, y: x * y, torch.mul, PAIR),
    "divide": Case(lambda x, y: x / y, torch.div, PAIR, positive=(1,)),
    "mod": Case(lambda x, y: x % y, torch.remainder, PAIR, positive=(1,)),
    "pow": Case(lambda x, y: x**y, torch.pow, PAIR, positive=(0,)),
    "maximum": Case(tf.maximum, torch.maximum, PAIR),
    "minimum": Case(tf.minimum, torch.minimum, PAIR),
    "where": Case(lambda x, y: tf.where(x > y, x * x, y), lambda x, y: torch.where(x > y, x * x, y), PAIR),
    "same twice": Case(lambda x, y: x * x * y + x, lambda x, y: x * x * y + x, PAIR),
    "negative": Case(lambda x: -x, torch.neg, ONE),
    "abs": Case(tf.abs, torch.abs, ONE),
    "sign": Case(lambda x: tf.sign(x) * x, lambda x: torch.sign(x) * x, ONE),
    "square": Case(tf.square, torch.square, ONE),
    "sqrt": Case(tf.sqrt, torch.sqrt, ONE, positive=(0,)),
    "exp": Case(tf.exp, torch.exp, ONE),
    "log": Case(tf.log, torch.log, ONE, positive=(0,)),
    "cast": Case(
        lambda x: tf.cast(tf.cast(x, "float64"), "float64") * 2.0, lambda x: x.to(torch.float64) * 2, ONE
    ),
    "matmul": Case(tf.matmul, torch.matmul, matrices()),
    "matmul, turned": Case(
        lambda x, y: tf.matmul(y, x, transpose_a=True, transpose_b=True),
        lambda x, y: y.mT @ x.mT,
        matrices(),
    ),
    "reduce_sum": Case(
        lambda x, found: tf.reduce_sum(x, found[0], keepdims=found[1]),
        lambda x, found: x.sum(dim=found[0], keepdim=found[1]),
        one(1),
        options=axes,
    ),
    "reduce_sum of all": Case(lambda x: tf.reduce_sum(x), torch.sum, ONE),
    "reduce_mean": Case(
        lambda x, found: tf.reduce_mean(x, found[0], keepdims=found[1]),
        lambda x, found: x.mean(dim=found[0], keepdim=found[1]),
        one(1),
        options=axes,
    ),
    "reduce_max": Case(
        lambda x, found: tf.reduce_max(x, found[0], keepdims=found[1]),
        lambda x, found: x.amax(dim=found[0], keepdim=found[1]),
        one(1),
        options=axes,
    ),
    "reduce_min": Case(
        lambda x, found: tf.reduce_min(x, found[0], keepdims=found[1]),
        lambda x, found: x.amin(dim=found[0], keepdim=found[1]),
        one(1),
        options=axes,
    ),
    "reduce_prod": Case(
        lambda x, found: tf.reduce_prod(x, found[0], keepdims=found[1]), product_of, one(1), options=axes
    ),
    "moments": Case(
        lambda x, found: tf.nn.moments(x, list(found[0]), keep_dims=found[1])[1],
        variance,
        one(1),
        options=axes,
    ),
    "reshape": Case(lambda x: tf.reshape(x, [-1, 1]), lambda x: x.reshape(-1, 1), ONE),
    "transpose": Case(
        lambda x, order: tf.transpose(x, order),
        lambda x, order: x.permute(order),
        one(1),
        options=lambda shapes: st.permutations(range(len(shapes[0]))),
    ),
    "expand_dims": Case(tf.expand_dims, torch.unsqueeze, one(1), options=an_axis),
    "squeeze": Case(lambda x: tf.squeeze(x), torch.squeeze, ONE),
    "concat": Case(lambda *x: tf.concat(x, 1), lambda *x: torch.cat(x, 1), joined()),
    "stack": Case(lambda x, y: tf.stack([x, y], -1), lambda x, y: torch.stack([x, y], -1), TWICE),
    "index": Case(lambda x, at: x[at], lambda x, at: x[at], one(1), options=index),
    "new axis": Case(lambda x: x[..., None], lambda x: x[..., None], ONE),
    "fill": Case(lambda x: tf.fill([2, 3], tf.reduce_sum(x)), lambda x: x.sum().expand(2, 3), ONE),
    "relu": Case(tf.nn.relu, torch.relu, ONE),
    "sigmoid": Case(tf.nn.sigmoid, torch.sigmoid, ONE),
    "tanh": Case(tf.nn.tanh, torch.tanh, ONE),
    "softmax": Case(tf.nn.softmax, torch.softmax, one(1), options=an_axis),
    "log_softmax": Case(tf.nn.log_softmax, torch.log_softmax, one(1), options=an_axis),
    "cross-entropy": Case(
        lambda x, y: tf.nn.softmax_cross_entropy_with_logits_v2(logits=x, labels=tf.nn.softmax(y)),
        lambda x, y: F.cross_entropy(x, y.softmax(-1), reduction="none"),
        LABELLED,
    ),
    "bias_add": Case(tf.nn.bias_add, torch.add, biased()),
    "l2_loss": Case(tf.nn.l2_loss, lambda x: (x * x).sum() / 2, ONE),
    "batch_normalization": Case(
        lambda x, b: tf.nn.batch_normalization(x, b, tf.square(b), b * 2.0, b + 1.0, 1e-3),
        lambda x, b: normalised(x, b, b * b, b * 2, b + 1),
        biased(),
    ),
}


def drawn(data: st.DataObject, case: Case) -> tuple[list[np.ndarray], list[Any], np.random.Generator]:
    """Arrays away from kinks, what the operation takes besides, and where the numbers came from."""
    shapes = data.draw(case.shapes)
    chance = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    arrays = [np.asarray(chance.standard_normal(shape)) for shape in shapes]
    for position in case.positive:
        arrays[position] = np.asarray(np.abs(arrays[position]) + 0.5)
    return arrays, [] if case.options is None else [data.draw(case.options(shapes))], chance


def placed(data: st.DataObject, arrays: list[np.ndarray]) -> list[tf.Tensor]:
    """Placeholders that know their shapes, or the rank alone: other formulas stretch and add up then."""
    known = data.draw(st.booleans())
    return [tf.placeholder("float64", each.shape if known else [None] * each.ndim) for each in arrays]


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_a_gradient_is_autograds_and_that_of_finite_differences(name: str, data: st.DataObject) -> None:
    case = CASES[name]
    arrays, options, chance = drawn(data, case)
    with tf.Graph().as_default(), tf.Session(threads=1) as session:
        xs = placed(data, arrays)
        y = case.ours(*xs, *options)
        flowing = tf.placeholder("float64")
        found = tf.gradients(y, xs, flowing)

        theirs = [torch.from_numpy(each.copy()).requires_grad_() for each in arrays]
        result = case.theirs(*theirs, *options)
        seed = chance.standard_normal(tuple(result.shape))
        expected = torch.autograd.grad(result, theirs, torch.from_numpy(np.asarray(seed)))

        feed = dict(zip(xs, arrays, strict=True))
        value, gradients = session.run((y, found), {**feed, flowing: seed})
        np.testing.assert_allclose(value, result.detach().numpy(), rtol=1e-10, atol=1e-10)
        assert y.shape.is_compatible_with(value.shape)
        for ours, other, array in zip(gradients, expected, arrays, strict=True):
            assert np.shape(ours) == array.shape
            np.testing.assert_allclose(ours, other.numpy(), rtol=1e-10, atol=1e-10)

        ways = [chance.standard_normal(each.shape) for each in arrays]
        slope = sum(float(np.sum(way * each)) for way, each in zip(ways, gradients, strict=True))
        step = 1e-6
        ahead, behind = (
            session.run(
                y, {x: array + sign * step * way for x, array, way in zip(xs, arrays, ways, strict=True)}
            )
            for sign in (1, -1)
        )
        difference = float(np.sum((ahead - behind) * seed)) / (2 * step)
        assert slope == pytest.approx(difference, rel=1e-5, abs=1e-5)


@settings(max_examples=EXAMPLES)
@given(
    data=st.data(),
    name=st.sampled_from(["multiply", "divide", "pow", "softmax", "reduce_max", "matmul", "index"]),
)
def test_a_gradient_has_a_gradient(data: st.DataObject, name: str) -> None:
    case = CASES[name]
    arrays, options, _ = drawn(data, case)
    with tf.Graph().as_default(), tf.Session(threads=1) as session:
        xs = placed(data, arrays)
        first = [each for each in tf.gradients(tf.square(case.ours(*xs, *options)), xs) if each is not None]
        second = tf.gradients(first, xs)
        theirs = [torch.from_numpy(each.copy()).requires_grad_() for each in arrays]
        result = case.theirs(*theirs, *options).square().sum()
        slopes = torch.autograd.grad(result, theirs, create_graph=True)
        expected = torch.autograd.grad(sum(each.sum() for each in slopes), theirs)
        found = session.run(second, dict(zip(xs, arrays, strict=True)))
        for ours, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, other.numpy(), rtol=1e-9, atol=1e-9)


def test_what_y_does_not_depend_on_has_no_gradient() -> None:
    with tf.Graph().as_default():
        x, other = tf.constant(1.0), tf.constant(2.0)
        y = x * 3.0 + tf.stop_gradient(other * x)
        assert tf.gradients(y, other) == [None]
        assert tf.gradients(y, [x])[0] is not None
        assert tf.gradients(tf.cast(tf.cast(x, "int32"), "float32"), x) == [None]


def test_gradients_meet_in_a_shared_node_and_pass_through_what_is_asked_for() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(3.0)
        shared = x * x
        y = shared * shared + 5.0 * shared
        by_x, by_shared = tf.gradients(y, [x, shared])
        assert session.run([by_x, by_shared]) == [(2 * 9 + 5) * 6, 2 * 9 + 5]


def test_gradients_of_several_ys_are_added() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant([1.0, 2.0])
        (total,) = tf.gradients([x * x, 3.0 * x], x)
        np.testing.assert_array_equal(session.run(total), [5, 7])
        (weighted,) = tf.gradients([x * x, 3.0 * x], x, grad_ys=[[1.0, 0.0], [0.0, 1.0]])
        np.testing.assert_array_equal(session.run(weighted), [2, 3])


def test_a_product_with_a_zero_in_it_has_a_gradient() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant([2.0, 0.0, 3.0])
        np.testing.assert_array_equal(session.run(tf.gradients(tf.reduce_prod(x), x)[0]), [0, 6, 0])


def test_the_labels_of_a_cross_entropy_get_no_gradient() -> None:
    with tf.Graph().as_default():
        labels, logits = tf.constant([[0.3, 0.7]]), tf.constant([[1.0, 2.0]])
        loss = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        assert tf.gradients(loss, labels) == [None]


def test_a_gradient_that_is_not_known_says_so() -> None:
    with tf.Graph().as_default():
        x = tf.constant(np.ones((1, 4, 4, 1), np.float32))
        y = tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
        (first,) = tf.gradients(y, x)
        with pytest.raises(tf.errors.GradientError, match="MaxPoolGrad has no gradient of its own"):
            tf.gradients(first, x)
        with pytest.raises(tf.errors.DtypeError, match="int32 has no gradient"):
            tf.gradients(tf.constant(1), tf.constant(1))
