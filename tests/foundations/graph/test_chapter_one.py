"""Programs to the model of chapter 1: what a reader of the book writes must run and give what it says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simplecell.graph as tf


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    """A graph of its own for each program."""
    with tf.Graph().as_default() as made:
        yield made


def ran(fetches: Any, feed_dict: Any = None) -> Any:
    with tf.Session() as session:
        return session.run(fetches, feed_dict)


# 1.1


def test_the_neuron_of_two_weights_fires_as_the_book_prints() -> None:
    weights, bias = tf.constant([1.0, 2.0], "float64"), tf.constant(0.0, "float64")
    inputs = tf.placeholder("float64", [2])
    output = tf.sigmoid(tf.reduce_sum(inputs * weights) + bias)
    assert ran(output, {inputs: [1, 1]}) == 0.9525741268224334


# 1.2


def test_a_word_comes_out_of_a_session() -> None:
    greeting = tf.constant("Good morning", name="greeting")
    with tf.Session() as session:
        assert session.run(greeting) == "Good morning"
    assert greeting.name == "greeting:0"


@pytest.mark.parametrize(
    ("value", "shape"), [(123, ()), ([123, 456, 789], (3,)), ([[123, 456, 789], [222, 333, 444]], (2, 3))]
)
def test_whole_numbers_are_int32_of_their_rank(value: Any, shape: tuple[int, ...]) -> None:
    tensor = tf.constant(value)
    assert tensor.dtype == tf.int32
    assert repr(tensor) == f"<tf.Tensor 'Const:0' rank={len(shape)} shape={shape} dtype=int32>"
    result = ran(tensor)
    np.testing.assert_array_equal(result, value)
    assert result.dtype == np.int32
    assert np.shape(result) == shape


def test_a_variable_is_an_equation_until_it_is_run() -> None:
    five = tf.constant(5, name="five")
    ten = tf.Variable(five + 5, name="ten")
    assert "Variable" in str(ten)
    assert "ten" in str(ten)
    assert "10" not in str(ten)
    with tf.Session() as session:
        with pytest.raises(
            tf.errors.UninitialisedError, match=r"variable ten has no value yet; run tf\.global_"
        ):
            session.run(ten)
        session.run(tf.global_variables_initializer())
        assert session.run(ten) == 10


@pytest.mark.parametrize(
    ("operation", "numbers", "expected"),
    [(tf.add, (1, 2), 3), (tf.subtract, (1, 2), -1), (tf.multiply, (2, 5), 10)],
)
def test_numbers_and_tensors_mix(operation: Any, numbers: tuple[int, int], expected: int) -> None:
    one, other = numbers
    mixed = [
        operation(one, other, name=None),
        operation(tf.constant(one), other),
        operation(one, tf.constant(other), name="named"),
        operation(tf.constant(one), tf.constant(other)),
    ]
    assert ran(mixed) == [expected] * 4


def test_a_placeholder_takes_words() -> None:
    x = tf.placeholder(tf.string)
    assert ran(x, {x: "Hello World"}) == "Hello World"
    np.testing.assert_array_equal(ran(x, {x: ["a", "b"]}), ["a", "b"])


def test_three_placeholders_are_fed_at_once() -> None:
    word, whole, real = (
        tf.placeholder(tf.string),
        tf.placeholder(tf.int32, None),
        tf.placeholder(tf.float32, None),
    )
    result = ran([word, whole, real], {word: "To the networks", whole: 123, real: 123.45})
    assert result == ["To the networks", 123, np.float32(123.45)]
    assert [each.dtype for each in result[1:]] == [np.int32, np.float32]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_the_first_dimension_may_be_any(rows: int) -> None:
    x = tf.placeholder("float", [None, 3])
    y = x * 2
    given = np.arange(3 * rows).reshape(rows, 3)
    np.testing.assert_array_equal(ran(y, {x: given.tolist()}), given * 2)
    assert y.get_shape().as_list() == [None, 3]


def test_another_number_of_columns_is_refused() -> None:
    x = tf.placeholder("float", [None, 3], name="x")
    with pytest.raises(
        ValueError, match=r"x:0: shape \(2, 4\) is fed where \(None, 3\) is declared; feed that"
    ):
        ran(x * 2, {x: np.zeros((2, 4))})


def test_a_word_for_a_number_is_an_invalid_literal() -> None:
    x = tf.placeholder(tf.int32, name="count")
    with pytest.raises(ValueError, match=r"^invalid literal for int") as caught:
        ran(x, {x: "many"})
    assert isinstance(caught.value, tf.errors.LiteralError)
    assert "'many'; give values of int32 for count:0." in str(caught.value)


def test_a_truncated_normal_keeps_within_two_deviations() -> None:
    assert ran(tf.truncated_normal((5, 2))).shape == (5, 2)
    draw = ran(tf.truncated_normal([400_000], mean=3.0, stddev=2.0, seed=1))
    assert np.abs(draw - 3).max() <= 4
    # The variance of the normal distribution cut at ±2: 1 − 4 φ(2) / (2 Φ(2) − 1).
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    expected = math.sqrt(1 - 4 * density / math.erf(math.sqrt(2)))
    assert expected == pytest.approx(0.8796, abs=1e-4)
    assert draw.std() / 2 == pytest.approx(expected, abs=3e-3)
    assert draw.mean() == pytest.approx(3, abs=0.02)


# 1.2.4 and 1.3


@settings(max_examples=settings.default.max_examples // 2)
@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=6), st.sampled_from(["float32", "float64"])
)
def test_softmax_makes_probabilities_of_anything(scores: list[float], dtype: str) -> None:
    with tf.Graph().as_default():
        x = tf.placeholder(dtype, [None, len(scores)])
        several = tf.nn.softmax(x), tf.nn.softmax(tf.constant([scores], dtype)), tf.nn.softmax([scores])
        for result in ran(several, {x: [scores]}):
            assert (result >= 0).all()
            assert (result <= 1).all()
            np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-6)


def test_softmax_of_huge_scores_does_not_overflow() -> None:
    np.testing.assert_array_equal(ran(tf.nn.softmax([1e4, -1e4])), [1, 0])
    np.testing.assert_array_equal(ran(tf.nn.sigmoid([1e4, -1e4])), [1, 0])
    np.testing.assert_allclose(
        ran(tf.nn.softmax([2, 1, 0])), np.exp([2, 1, 0]) / np.exp([2, 1, 0]).sum(), rtol=1e-6
    )


def test_sums_go_along_the_axis_by_either_name() -> None:
    x = tf.constant([[1, 2, 3], [4, 5, 6]])
    by_rows, by_columns, every = ran(
        [tf.reduce_sum(x, 0), tf.reduce_sum(x, reduction_indices=[1]), tf.reduce_sum(x)]
    )
    np.testing.assert_array_equal(by_rows, [5, 7, 9])
    np.testing.assert_array_equal(by_columns, [6, 15])
    assert every == 21


def test_the_accuracy_is_the_mean_of_what_is_equal() -> None:
    scores, labels = tf.placeholder("float", [None, 3]), tf.placeholder("float", [None, 3])
    right = tf.equal(tf.argmax(scores, 1), tf.argmax(labels, 1))
    accuracy = tf.reduce_mean(tf.cast(right, "float"))
    feed = {scores: [[9, 1, 0], [0, 1, 9], [0, 9, 1], [9, 0, 1]], labels: np.eye(3)[[0, 2, 1, 1]]}
    assert ran(accuracy, feed) == 0.75


def test_cross_entropy_by_hand_is_that_of_logits() -> None:
    chance = np.random.default_rng(0)
    logits = tf.constant(chance.standard_normal((6, 4)))
    labels = tf.constant(np.eye(4)[chance.integers(0, 4, 6)])
    by_hand = -tf.reduce_sum(labels * tf.log(tf.nn.softmax(logits)), reduction_indices=[1])
    at_once = tf.nn.softmax_cross_entropy_with_logits(logits=logits, labels=labels)
    by_number = tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=tf.argmax(labels, 1))
    one, two, three = ran([by_hand, at_once, by_number])
    np.testing.assert_allclose(two, one, rtol=1e-12)
    np.testing.assert_allclose(three, one, rtol=1e-12)


def test_the_graph_of_figure_1_2_computes_and_differentiates() -> None:
    a, b = tf.placeholder("float", name="a"), tf.placeholder("float", name="b")
    c, d = a + b, b + 5
    e = c * d
    by_a, by_b = tf.gradients(e, [a, b])
    assert ran([c, d, e], {a: 2, b: 3}) == [5, 8, 40]
    assert ran([by_a, by_b], {a: 2, b: 3}) == [8, 13]
