"""Writing a graph down: names, scopes, types, shapes, and what is refused at the line that is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import simplecell.graph as tf
from simplecell.errors import UserError


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as made:
        yield made


def names(graph: tf.Graph) -> list[str]:
    return [op.name for op in graph.get_operations()]


# names


def test_names_are_numbered_as_tensorflow_numbers_them(graph: tf.Graph) -> None:
    x = tf.constant(1.0, name="x")
    assert [(x + x).name, (x + x).name, tf.add(x, x, name="sum").name] == ["add:0", "add_1:0", "sum:0"]
    assert tf.constant(1, name="X").name == "X_1:0"  # names that differ in case alone are one on some disks
    assert (x * 2.0).name == "mul:0"
    assert names(graph)[-2:] == ["mul/y", "mul"]


def test_scopes_nest_and_are_entered_again_by_their_full_name(graph: tf.Graph) -> None:
    with tf.name_scope("layer") as scope:
        one = tf.constant(1)
        with tf.name_scope("inner"):
            assert tf.constant(1).name == "layer/inner/Const:0"
    with tf.name_scope("layer"):
        assert tf.constant(1).name == "layer_1/Const:0"
    with tf.name_scope(scope):
        assert tf.constant(1).name == "layer/Const_1:0"
    with tf.name_scope("other"), tf.name_scope(None):
        assert tf.constant(1).name == "Const:0"
    assert graph.get_tensor_by_name("layer/Const:0") is one
    assert graph.get_operation_by_name("layer/Const") is one.op
    for wrong in ("layer/Const", "nobody:0"):
        with pytest.raises(tf.errors.UnknownNameError, match="the graph has no"):
            graph.get_tensor_by_name(wrong)


def test_what_is_refused_leaves_no_trace(graph: tf.Graph) -> None:
    a, b = tf.constant([1.0, 2.0]), tf.constant([1.0, 2.0, 3.0])
    before = names(graph)
    with pytest.raises(tf.errors.ShapeError):
        a + b
    assert names(graph) == before


def test_a_graph_within_another_keeps_to_itself(graph: tf.Graph) -> None:
    other = tf.Graph()
    with other.as_default():
        assert tf.get_default_graph() is other
        x = tf.constant(1.0, name="x")
    assert tf.get_default_graph() is graph
    y = x + 1.0  # joins the graph of x
    assert names(other) == ["x", "add/y", "add"]
    assert y.graph is other
    with pytest.raises(tf.errors.ForeignError, match="belongs to another graph"):
        y + tf.constant(1.0)
    with pytest.raises(tf.errors.ForeignError):
        tf.Session().run(y)
    with pytest.raises(tf.errors.ForeignError):
        tf.gradients(tf.constant(1.0), y)


def test_the_default_graph_can_be_begun_anew() -> None:
    with pytest.raises(tf.errors.GraphError, match="a graph's block is open"):
        tf.reset_default_graph()


def test_the_graph_needs_nothing_but_numpy() -> None:
    heavy = "{'torch', 'PIL', 'matplotlib', 'scipy', 'jinja2', 'tensorboard'}"
    code = f"import sys, simplecell.graph; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_every_name_that_is_offered_is_there() -> None:
    assert [name for name in tf.__all__ if not hasattr(tf, name)] == []
    assert [name for name in tf.nn.__all__ if not hasattr(tf.nn, name)] == []


# types


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, tf.int32),
        (2**40, tf.int64),
        (1.5, tf.float32),
        ([1, 2.5], tf.float32),
        (True, tf.bool),
        ("word", tf.string),
        (np.float64(1), tf.float64),
        (np.zeros(2), tf.float64),
        (np.zeros(2, np.uint8), tf.uint8),
        ([], tf.float32),
    ],
)
def test_what_has_no_type_gets_the_usual_one(value: Any, dtype: Any) -> None:
    assert tf.constant(value).dtype == dtype


def test_types_have_names() -> None:
    for name, dtype in {"float": tf.float32, "double": tf.float64, "int64": tf.int64}.items():
        assert tf.as_dtype(name) is dtype
    assert tf.as_dtype(np.uint8) is tf.uint8
    assert repr(tf.float32) == "tf.float32"
    with pytest.raises(tf.errors.DtypeError, match="'float12' is no type of a tensor; use one of float32"):
        tf.placeholder("float12")


def test_numbers_take_the_type_they_meet() -> None:
    x = tf.constant(np.zeros(2))
    assert [(x + 1).dtype, (2 * x).dtype, (x * np.ones(2, np.float32)).dtype] == [tf.float64] * 3
    assert (tf.constant([7, 9]) // 2).dtype == tf.int32
    assert (tf.constant([7, 9]) / 2).dtype == tf.float64


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            lambda: tf.constant(1) + tf.constant(1.0),
            "add: Const_1:0 is float32 where int32 is needed; use tf.cast.",
        ),
        (lambda: tf.constant([1, 2]) * 2.5, "mul: 2.5 is float64 and does not become int32 by itself"),
        (lambda: tf.add(1, 2.0), "does not become int32"),
        (lambda: tf.sqrt(4), "Sqrt: Sqrt does not take int32; cast to float32."),
        (lambda: tf.constant("a") * "b", "does not take string"),
        (lambda: tf.constant(True) + True, "Add does not take bool"),
        (lambda: tf.logical_and(tf.constant(1), 1), "does not take int32; cast to bool"),
        (lambda: tf.reduce_any(tf.constant([1])), "takes bool, not int32; compare first"),
        (lambda: tf.constant(300, "uint8"), "out of the range of uint8"),
        (lambda: tf.constant(["a", 1], "string"), "1 is no string"),
        (lambda: tf.cast(tf.constant("1"), "int32"), "words are not cast"),
        (lambda: tf.matmul(tf.constant([[1.0]]), tf.constant([[1]])), "is int32 where float32 is needed"),
        (lambda: tf.constant(np.zeros(1, np.complex128)), "there are no tensors of complex128"),
    ],
)
def test_types_do_not_mix(wrong: Callable[[], object], sentence: str) -> None:
    with pytest.raises(TypeError) as caught:
        wrong()
    assert isinstance(caught.value, tf.errors.DtypeError)
    assert isinstance(caught.value, UserError)
    assert sentence in str(caught.value)


# shapes


def x(*dims: int | None) -> tf.Tensor:
    return tf.placeholder("float", None if dims == (-1,) else dims)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: x(None, 3) + x(3), [None, 3]),
        (lambda: x(None, 3) + x(None, 1), [None, 3]),
        (lambda: x(None) + x(4), [4]),
        (lambda: x(None) + x(1), [None]),
        (lambda: x(None, 784) @ x(784, 10), [None, 10]),
        (lambda: tf.reduce_sum(x(None, 3), 0), [3]),
        (lambda: tf.reduce_mean(x(2, 3), 1, keep_dims=True), [2, 1]),
        (lambda: tf.reduce_mean(x(-1)), []),
        (lambda: tf.reshape(x(None, 784), [-1, 28, 28, 1]), [None, 28, 28, 1]),
        (lambda: tf.reshape(x(6, 4), [-1, 8]), [3, 8]),
        (lambda: tf.reshape(x(None, 4), [tf.shape(x(None))[0], 4]), [None, 4]),
        (lambda: tf.transpose(x(2, None, 4)), [4, None, 2]),
        (lambda: tf.concat([x(None, 2), x(None, 3)], 1), [None, 5]),
        (lambda: tf.concat([x(None, 2), x(3, 2)], 0), [None, 2]),
        (lambda: tf.stack([x(None, 3), x(2, None)]), [2, 2, 3]),
        (lambda: x(None, 10)[1:5, ::2], [None, 5]),
        (lambda: x(4, 10)[0, ..., None], [10, 1]),
        (lambda: tf.squeeze(x(1, 3, 1)), [3]),
        (lambda: tf.expand_dims(x(3), -1), [3, 1]),
        (lambda: tf.argmax(x(None, 10), 1), [None]),
        (lambda: tf.one_hot(tf.placeholder("int32", [None]), 10), [None, 10]),
        (lambda: tf.zeros_like(x(None, 2)), [None, 2]),
        (lambda: tf.nn.conv2d(x(None, 28, 28, 1), x(5, 5, 1, 8), [1, 2, 2, 1], "SAME"), [None, 14, 14, 8]),
        (lambda: tf.nn.conv2d(x(None, 28, None, 1), x(5, 5, 1, 8), 1, "VALID"), [None, 24, None, 8]),
        (lambda: tf.nn.max_pool(x(2, 7, 7, 3), [1, 2, 2, 1], [1, 2, 2, 1], "VALID"), [2, 3, 3, 3]),
    ],
)
def test_shapes_follow_as_far_as_they_are_known(
    build: Callable[[], tf.Tensor], expected: list[int | None]
) -> None:
    assert build().get_shape().as_list() == expected


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: x(2) + x(3), "add: shapes (2,) and (3,) do not broadcast: 2 against 3; reshape"),
        (
            lambda: x(None, 784) @ x(10, 784),
            "(None, 784) and (10, 784) do not multiply: 784 columns against 10 rows",
        ),
        (lambda: x(3) @ x(3), "both need the same rank, 2 or more"),
        (lambda: tf.reduce_sum(x(2, 3), 2), "there is no axis 2 in 2 dimensions"),
        (lambda: tf.reshape(x(2, 3), [4]), "6 elements of shape (2, 3) do not make [4]"),
        (lambda: tf.reshape(x(2, 3), [-1, -1]), "leaves two dimensions open"),
        (lambda: tf.reshape(x(2, 3), [-1, 4]), "do not make [-1, 4]"),
        (lambda: tf.transpose(x(2, 3), [0, 0]), "[0, 0] is no order of 2 axes"),
        (lambda: tf.concat([x(2, 3), x(2, 4)], 0), "does not fit"),
        (lambda: tf.stack([x(2), x(3)]), "does not fit"),
        (lambda: x(3)[3], "there is no index 3 in 3"),
        (lambda: x(3)[0, 0], "2 indices into shape (3,)"),
        (lambda: tf.squeeze(x(2, 1), 0), "axis 0 of (2, 1) is not 1 long"),
        (lambda: tf.nn.bias_add(x(2, 3), x(2)), "do not broadcast"),
        (lambda: tf.nn.bias_add(x(2, 3), x(1, 3)), "a bias is a vector"),
        (lambda: tf.nn.conv2d(x(1, 8, 8, 3), x(3, 3, 1, 8), 1, "SAME"), "has 3 channels, the filters take 1"),
        (lambda: tf.nn.conv2d(x(1, 8, 8, 3), x(9, 9, 3, 8), 1, "VALID"), "a window of (9, 9) does not fit"),
        (lambda: tf.nn.conv2d(x(8, 8, 3), x(3, 3, 3, 8), 1, "SAME"), "does not fit"),
        (lambda: tf.nn.softmax_cross_entropy_with_logits(labels=x(2, 3), logits=x(2, 4)), "does not fit"),
        (lambda: tf.Variable(tf.zeros([2])).assign([1.0]), "does not fit"),
        (lambda: tf.constant([[1, 2], [3]]), "its rows have different lengths"),
        (lambda: tf.constant([1, 2, 3], shape=[2]), "3 elements do not fill"),
        (lambda: x(-1).get_shape().as_list(), "the rank is not known"),
    ],
)
def test_shapes_that_do_not_fit_are_told_while_building(wrong: Callable[[], object], sentence: str) -> None:
    with pytest.raises(tf.errors.ShapeError) as caught:
        wrong()
    assert isinstance(caught.value, ValueError)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: tf.nn.conv2d(x(1, 8, 8, 1), x(3, 3, 1, 1), 1, "same"), "padding is 'same'; use \"SAME\""),
        (
            lambda: tf.nn.max_pool(x(1, 8, 8, 1), [1, 0, 2, 1], 2, "SAME"),
            "ksize is [1, 0, 2, 1]; give [1, height",
        ),
        (lambda: tf.nn.dropout(x(3)), "dropout needs one of keep_prob and rate"),
        (lambda: tf.random_normal([2], dtype="int32"), "does not draw int32"),
        (lambda: tf.random_uniform([2], dtype="int32"), "random integers need a limit"),
        (lambda: tf.reduce_sum(x(3), tf.placeholder("int32")), "an axis must be known"),
        (lambda: tf.concat([], 0), "there is nothing to join"),
        (lambda: x(3)[tf.constant(0)], "an index is a number or a slice, not Tensor"),
        (lambda: tf.train.AdamOptimizer().minimize(tf.constant(1.0)), "there is nothing to learn"),
    ],
)
def test_arguments_that_cannot_be_are_told(wrong: Callable[[], object], sentence: str) -> None:
    with pytest.raises(tf.errors.ArgumentError) as caught:
        wrong()
    assert sentence in str(caught.value)


@pytest.mark.parametrize("use", [bool, list])
def test_a_tensor_is_no_number_yet(use: Callable[[Any], object]) -> None:
    with pytest.raises(tf.errors.GraphError, match="before it runs"):
        use(tf.constant([1.0]) > 0.0)


def test_every_mistake_is_a_graph_error_and_a_user_error() -> None:
    classes = [
        each for each in vars(tf.errors).values() if isinstance(each, type) and issubclass(each, Exception)
    ]
    assert len(classes) > 10
    for each in classes:
        assert issubclass(each, UserError)
        assert each is UserError or issubclass(each, tf.errors.GraphError)


def test_what_is_stacked_of_numbers_and_tensors_is_one_tensor() -> None:
    with tf.Session() as session:
        a = tf.constant(2.0)
        np.testing.assert_array_equal(session.run(tf.add([a, 1], [[1, 2], [a, a]])), [[3, 3], [4, 3]])
