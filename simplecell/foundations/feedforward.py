"""A feed-forward net of any depth, and backpropagation as its four equations.

With yˡ the outputs of layer l (y⁰ the inputs), zˡ its weighted sums, C the loss, and δˡ = ∂C/∂zˡ
(Rumelhart, Hinton, Williams 1986; the numbering is Nielsen's, 2015):

::

    forward        zˡ = yˡ⁻¹ Wˡ + bˡ         yˡ = f(zˡ)
    BP1   last     δᴸ = (softmax(zᴸ) − t) / N          cross-entropy of N examples with targets t
    BP2   back     δˡ = (δˡ⁺¹ Wˡ⁺¹ᵀ) ⊙ f′(zˡ)
    BP3   bias     ∂C/∂bˡ = Σ over examples δˡ
    BP4   weights  ∂C/∂Wˡ = yˡ⁻¹ᵀ δˡ

Dropout (Srivastava et al. 2014) multiplies yˡ by a mask of zeros and 1/keep while it learns; backwards the
same mask multiplies the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simplecell.errors import UserError
from simplecell.foundations.neuron import Array, Layer, log_softmax, softmax

Labels = NDArray[np.int64]


class Gradient(NamedTuple):
    """∂C/∂W and ∂C/∂b of a layer."""

    weights: Array
    bias: Array


class FeedForward:
    """Layers one behind the other; the last gives logits, one a class.

    sizes: of inputs, hidden layers and classes, such as (784, 512, 512, 10).
    dropout: share of each hidden layer's outputs that is left out while it learns.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        seed: int = 0,
        dtype: Any = np.float32,
    ) -> None:
        """Raises UserError for fewer than two sizes, or a share that is none."""
        if len(sizes) < 2 or min(sizes) < 1:
            raise UserError(
                f"{tuple(sizes)} are no sizes of a net", remedy="name inputs and outputs at least"
            )
        if not 0 <= dropout < 1:
            raise UserError(f"dropout cannot be {dropout}", remedy="give a share from 0 up to but not 1")
        self.numbers = np.random.Generator(np.random.PCG64(seed))
        kinds = [activation] * (len(sizes) - 2) + ["identity"]
        pairs = zip(sizes, sizes[1:], kinds, strict=False)
        self.layers = [Layer.drawn(a, b, kind, self.numbers, dtype) for a, b, kind in pairs]
        self.dropout = dropout

    def __call__(self, inputs: Array) -> Array:
        """Logits N, classes of inputs N, features."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def loss(self, inputs: Array, labels: Labels) -> float:
        """The mean cross-entropy, in nats."""
        return cross_entropy(self(inputs), labels)

    def gradients(self, inputs: Array, labels: Labels) -> tuple[float, list[Gradient]]:
        """The loss, and the gradient of each layer: what a step of learning needs. With dropout, if any."""
        outputs: list[Array] = [inputs]
        masks: list[Array | None] = [None]
        for layer in self.layers:
            found = layer(outputs[-1])
            mask = self._mask(found) if layer is not self.layers[-1] else None
            outputs.append(found if mask is None else found * mask)
            masks.append(mask)
        logits = outputs[-1]
        delta = softmax(logits)  # BP1
        delta[np.arange(len(labels)), labels] -= 1
        delta /= len(labels)
        gradients: list[Gradient] = []
        for place in reversed(range(len(self.layers))):
            before = outputs[place]
            gradients.append(Gradient(before.T @ delta, delta.sum(axis=0)))  # BP4, BP3
            if place == 0:
                break
            delta = delta @ self.layers[place].weights.T
            mask = masks[place]
            if mask is not None:
                delta *= mask
                before = before / np.where(mask > 0, mask, 1)  # what the activation gave, before the mask
            delta *= self.layers[place - 1].activation.slope(before)  # BP2
        return cross_entropy(logits, labels), gradients[::-1]

    def _mask(self, outputs: Array) -> Array | None:
        if not self.dropout:
            return None
        keep = 1 - self.dropout
        kept = self.numbers.random(outputs.shape, dtype=np.float32) < keep
        mask: Array = kept.astype(outputs.dtype) / outputs.dtype.type(keep)
        return mask


def cross_entropy(logits: Array, labels: Labels) -> float:
    """The mean over examples of −log of the probability of the label, in nats."""
    if logits.shape[:1] != labels.shape:
        raise UserError(
            f"there are {len(logits)} rows of logits and labels of the shape {labels.shape}",
            remedy="give one label an example",
        )
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


class Momentum:
    """Gradient descent with momentum: v ← μ v + g, θ ← θ − η v (Polyak 1964)."""

    def __init__(self, net: FeedForward, momentum: float = 0.9) -> None:
        self._net, self._momentum = net, momentum
        self._velocity = [Gradient(np.zeros_like(e.weights), np.zeros_like(e.bias)) for e in net.layers]

    def step(self, gradients: Sequence[Gradient], rate: float) -> None:
        """One step against the gradients."""
        for layer, velocity, gradient in zip(self._net.layers, self._velocity, gradients, strict=True):
            for weights, speed, slope in (
                (layer.weights, velocity.weights, gradient.weights),
                (layer.bias, velocity.bias, gradient.bias),
            ):
                speed *= self._momentum
                speed += slope
                weights -= weights.dtype.type(rate) * speed


def batches(count: int, size: int, numbers: np.random.Generator) -> Iterator[Labels]:
    """Rows of one epoch in random order, so many at a time; the last batch may be smaller."""
    order = numbers.permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size]


def train(
    net: FeedForward,
    inputs: Array,
    labels: Labels,
    *,
    epochs: int,
    batch_size: int = 128,
    rate: float = 0.05,
    tell: Callable[[int, float], None] | None = None,
) -> None:
    """Learn by gradient descent with momentum, the rate falling to zero along half a cosine.

    tell: is given the epoch, from 1, and the mean of its losses.
    """
    rule = Momentum(net)
    steps, done = epochs * -(-len(inputs) // batch_size), 0
    for epoch in range(1, epochs + 1):
        losses = []
        for rows in batches(len(inputs), batch_size, net.numbers):
            loss, gradients = net.gradients(inputs[rows], labels[rows])
            rule.step(gradients, rate * (1 + np.cos(np.pi * done / steps)) / 2)
            losses.append(loss)
            done += 1
        if tell is not None:
            tell(epoch, float(np.mean(losses)))


def accuracy(net: FeedForward, inputs: Array, labels: Labels) -> float:
    """The share of examples whose largest logit is the label's."""
    return float((net(inputs).argmax(axis=1) == labels).mean())
