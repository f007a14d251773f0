"""What nets are made of: activations, losses, dropout, normalisation, and what ``images`` has."""

from __future__ import annotations

from typing import Any

import numpy as np

from simplecell.foundations import neuron
from simplecell.foundations.graph.arithmetic import exp, floating, sqrt, square
from simplecell.foundations.graph.dtypes import Array, float32
from simplecell.foundations.graph.errors import ArgumentError, ShapeError
from simplecell.foundations.graph.images import avg_pool, conv2d, max_pool
from simplecell.foundations.graph.reductions import reduce_mean, reduce_sum, static_axis
from simplecell.foundations.graph.shapes import TensorShape, broadcast
from simplecell.foundations.graph.shaping import expand_dims, one_hot, squeeze, stop_gradient
from simplecell.foundations.graph.sources import seeds
from simplecell.foundations.graph.state import State
from simplecell.foundations.graph.tensor import (
    Operation,
    Signature,
    Tensor,
    Value,
    apply,
    as_tensor,
    define,
    graph_of,
    like_first,
)


def _floats(value: Value) -> Tensor:
    """A bare list of whole numbers is meant as floating-point numbers here."""
    return as_tensor(value, None if isinstance(value, Tensor | np.ndarray | np.generic) else float32)


# -- activations -------------------------------------------------------------------------------------------


define(
    "Relu",
    floating,
    lambda x, out=None: np.maximum(x, 0, out=out),
    reuses=True,
    gradients=(lambda op, g: apply("ReluGrad", [g, op.outputs[0]]),),
)
define(
    "ReluGrad",
    floating,
    lambda g, y, out=None: np.multiply(g, y > 0, out=out),
    reuses=True,
    gradients=(lambda op, g: apply("ReluGrad", [g, op.inputs[1]]), None),
)
define(
    "Sigmoid",
    floating,
    neuron.sigmoid,
    reuses=True,
    gradients=(lambda op, g: g * (op.outputs[0] * (1 - op.outputs[0])),),
)
define("Tanh", floating, np.tanh, reuses=True, gradients=(lambda op, g: g * (1 - square(op.outputs[0])),))


def relu(features: Value, name: str | None = None) -> Tensor:
    """x above 0, else 0; the gradient at 0 is 0."""
    return apply("Relu", [_floats(features)], name=name)


def sigmoid(x: Value, name: str | None = None) -> Tensor:
    """1 / (1 + e⁻ˣ)."""
    return apply("Sigmoid", [_floats(x)], name=name)


def tanh(x: Value, name: str | None = None) -> Tensor:
    """The hyperbolic tangent."""
    return apply("Tanh", [_floats(x)], name=name)


def _of_softmax(op: Operation, g: Tensor) -> Tensor:
    y, axis = op.outputs[0], op.attributes["axis"]
    return (g - reduce_sum(g * y, axis, keepdims=True)) * y


def _of_log_softmax(op: Operation, g: Tensor) -> Tensor:
    return g - exp(op.outputs[0]) * reduce_sum(g, op.attributes["axis"], keepdims=True)


define("Softmax", floating, neuron.softmax, gradients=(_of_softmax,))
define("LogSoftmax", floating, neuron.log_softmax, gradients=(_of_log_softmax,))


def softmax(logits: Value, axis: int = -1, name: str | None = None) -> Tensor:
    """eˣ / Σ eˣ along the axis: between 0 and 1, and 1 together."""
    return apply("Softmax", [_floats(logits)], {"axis": axis}, name)


def log_softmax(logits: Value, axis: int = -1, name: str | None = None) -> Tensor:
    """The logarithm of ``softmax``, exact where that is too small for a number."""
    return apply("LogSoftmax", [_floats(logits)], {"axis": axis}, name)


# -- losses ------------------------------------------------------------------------------------------------


def _lost(op: Operation) -> Signature:
    logits, labels = op.inputs
    shape = logits.shape.merge_with(labels.shape, where=op.name)
    return floating(op)[0], TensorShape(None if shape.dims is None else shape.dims[:-1])


def _cross_entropy(logits: Array, labels: Array) -> Any:
    return -np.sum(labels * neuron.log_softmax(logits), axis=-1)


def _by_logits(op: Operation, g: Tensor) -> Tensor:
    """Softmax less labels, the reason why the two are one operation."""
    logits, labels = op.inputs
    whole = reduce_sum(labels, -1, keepdims=True)  # 1 for probabilities
    return expand_dims(g, -1) * (softmax(logits) * whole - labels)


define(
    "SoftmaxCrossEntropyWithLogits",
    _lost,
    _cross_entropy,
    gradients=(_by_logits, lambda op, g: -expand_dims(g, -1) * log_softmax(op.inputs[0])),
)


def softmax_cross_entropy_with_logits(*, labels: Value, logits: Value, name: str | None = None) -> Tensor:
    """−Σ labels · log softmax(logits) over the last axis, one number for each row.

    labels: probabilities, of the logits' shape; no gradient flows back to them.
    """
    return softmax_cross_entropy_with_logits_v2(labels=stop_gradient(labels), logits=logits, name=name)


def softmax_cross_entropy_with_logits_v2(*, labels: Value, logits: Value, name: str | None = None) -> Tensor:
    """The same, with a gradient for the labels as well."""
    given = _floats(logits)
    return apply("SoftmaxCrossEntropyWithLogits", [given, as_tensor(labels, given.dtype)], name=name)


def sparse_softmax_cross_entropy_with_logits(
    *, labels: Value, logits: Value, name: str | None = None
) -> Tensor:
    """The same for labels that are class numbers."""
    given = _floats(logits)
    if given.shape.dims is None or given.shape[-1] is None:
        raise ShapeError("the number of classes is not known", where=name, remedy="reshape the logits")
    several = one_hot(labels, given.shape[-1], given.dtype)
    return softmax_cross_entropy_with_logits(labels=several, logits=given, name=name)


def l2_loss(t: Value, name: str | None = None) -> Tensor:
    """Half the sum of squares."""
    graph = graph_of(t)
    with graph.as_default(), graph.name_scope(name or "L2Loss"):
        return reduce_sum(square(_floats(t))) / 2


# -- bias, dropout, normalisation --------------------------------------------------------------------------


def _biased(op: Operation) -> Signature:
    value, bias = op.inputs
    if bias.shape.ndims not in (1, None):
        raise ShapeError(f"a bias is a vector, not {bias.shape}", where=op.name, remedy="reshape it")
    broadcast(value.shape, bias.shape, where=op.name)
    return floating(op)[0], value.shape


define(
    "BiasAdd",
    _biased,
    np.add,
    broadcasts=True,
    reuses=True,
    gradients=(lambda op, g: g, lambda op, g: g),
)


def bias_add(value: Value, bias: Value, name: str | None = None) -> Tensor:
    """A number for each channel, which is the last axis, added to the channel."""
    given = _floats(value)
    return apply("BiasAdd", [given, as_tensor(bias, given.dtype)], name=name)


def _mask(state: State, op: Operation, x: Array, keep: Array, seed: Any) -> Array:
    if not 0 < keep <= 1:
        raise ArgumentError(f"keep_prob is {keep}", where=op.name, remedy="give more than 0, at most 1")
    kept = state.chance(op).random(x.shape, dtype=x.dtype.type) < keep
    mask: Array = kept / np.asarray(keep, dtype=x.dtype)
    return mask


define("DropoutMask", like_first, _mask, stateful=True)


def dropout(
    x: Value,
    keep_prob: Value = None,
    seed: int | None = None,
    name: str | None = None,
    rate: Value = None,
) -> Tensor:
    """Each element is kept with probability keep_prob (= 1 − rate) and divided by it, or becomes 0.

    Srivastava et al., Dropout, 2014; dividing while training leaves the net as it is for use.
    """
    if (keep_prob is None) == (rate is None):
        raise ArgumentError("dropout needs one of keep_prob and rate", where=name, remedy="give keep_prob")
    given = _floats(x)
    graph = given.graph
    with graph.as_default(), graph.name_scope(name or "dropout"):
        keep = as_tensor(keep_prob, given.dtype) if rate is None else 1 - as_tensor(rate, given.dtype)
        mask = apply("DropoutMask", [given, keep], {"seed": seeds(seed, given)}, "mask")
        return given * mask


def moments(
    x: Value, axes: Any, name: str | None = None, keep_dims: bool = False, keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and variance (the mean square distance from the mean) along the axes."""
    given, several = _floats(x), static_axis(axes, "moments")
    with given.graph.as_default(), given.graph.name_scope(name or "moments"):
        mean = reduce_mean(given, several, keepdims=True, name="mean")
        # The mean of (x − m)² has no slope in m at the mean itself: no gradient need flow there.
        variance = reduce_mean(square(given - stop_gradient(mean)), several, keepdims=True, name="variance")
        if keep_dims or keepdims:
            return mean, variance
        return squeeze(mean, several), squeeze(variance, several)


def batch_normalization(
    x: Value,
    mean: Value,
    variance: Value,
    offset: Value | None,
    scale: Value | None,
    variance_epsilon: float,
    name: str | None = None,
) -> Tensor:
    """(x − mean) / √(variance + ε) · scale + offset (Ioffe, Szegedy 2015, algorithm 1)."""
    given = _floats(x)
    with given.graph.as_default(), given.graph.name_scope(name or "batchnorm"):
        factor = 1 / sqrt(as_tensor(variance, given.dtype) + variance_epsilon)
        if scale is not None:
            factor = factor * scale
        scaled: Tensor = (given - mean) * factor
        return scaled if offset is None else scaled + offset


__all__ = [
    "avg_pool",
    "batch_normalization",
    "bias_add",
    "conv2d",
    "dropout",
    "l2_loss",
    "log_softmax",
    "max_pool",
    "moments",
    "relu",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits_v2",
    "sparse_softmax_cross_entropy_with_logits",
    "tanh",
]
