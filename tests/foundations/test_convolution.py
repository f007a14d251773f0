"""Four ways to the same convolution, beside torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional

from simplecell.errors import UserError
from simplecell.foundations.convolution import convolution_gradients, convolve, output_size, pool

CASES: dict[str, Any] = {
    "count": st.integers(1, 3),
    "channels": st.integers(1, 3),
    "kernels": st.integers(1, 3),
    "groups": st.integers(1, 3),
    "size": st.tuples(st.integers(1, 9), st.integers(1, 9)),
    "filter_size": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "stride": st.integers(1, 3),
    "padding": st.integers(0, 2),
    "dilation": st.integers(1, 2),
}


def drawn(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Pictures, filters and options; the case is left out where nothing comes out."""
    options = {name: case[name] for name in ("stride", "padding", "dilation", "groups")}
    for side, own in zip(case["size"], case["filter_size"], strict=True):
        assume(output_size(side, own, options["stride"], options["padding"], options["dilation"]))
    numbers = np.random.default_rng(0)
    pictures = numbers.normal(size=(case["count"], case["groups"] * case["channels"], *case["size"]))
    filters = numbers.normal(size=(case["groups"] * case["kernels"], case["channels"], *case["filter_size"]))
    return pictures, filters, options


@pytest.mark.parametrize("method", ["direct", "im2col", "fft"])
@given(case=st.fixed_dictionaries(CASES))
def test_a_method_equals_torch(method: str, case: dict[str, Any]) -> None:
    pictures, filters, options = drawn(case)
    theirs = functional.conv2d(torch.from_numpy(pictures), torch.from_numpy(filters), **options)
    ours = convolve(pictures, filters, method=method, **options)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs.numpy()).max() < 1e-10


@given(
    size=st.tuples(st.integers(3, 11), st.integers(3, 11)),
    padding=st.integers(0, 2),
    channels=st.integers(1, 4),
    groups=st.integers(1, 2),
)
def test_winograd_equals_torch(size: tuple[int, int], padding: int, channels: int, groups: int) -> None:
    numbers = np.random.default_rng(0)
    pictures = numbers.normal(size=(2, groups * channels, *size))
    filters = numbers.normal(size=(groups * 3, channels, 3, 3))
    theirs = functional.conv2d(
        torch.from_numpy(pictures), torch.from_numpy(filters), padding=padding, groups=groups
    )
    ours = convolve(pictures, filters, padding=padding, groups=groups, method="winograd")
    assert np.abs(ours - theirs.numpy()).max() < 1e-10


@given(case=st.fixed_dictionaries(CASES))
def test_gradients_equal_autograd(case: dict[str, Any]) -> None:
    pictures, filters, options = drawn(case)
    x, w = (torch.from_numpy(array).requires_grad_() for array in (pictures, filters))
    given_ = functional.conv2d(x, w, **options)
    above = np.random.default_rng(1).normal(size=tuple(given_.shape))
    expected = torch.autograd.grad(given_, (x, w), torch.from_numpy(above))
    for ours, theirs in zip(
        convolution_gradients(pictures, filters, above, **options), expected, strict=True
    ):
        assert np.abs(ours - theirs.numpy()).max() < 1e-10


@pytest.mark.parametrize("method", ["direct", "im2col", "fft", "winograd"])
def test_float32_stays_float32(method: str) -> None:
    ones = np.ones((1, 2, 6, 6), np.float32)
    assert convolve(ones, np.ones((1, 2, 3, 3), np.float32), method=method).dtype == np.float32


@pytest.mark.parametrize("kind", ["max", "mean"])
@given(
    size=st.integers(1, 4),
    stride=st.integers(0, 3),
    sides=st.tuples(st.integers(4, 9), st.integers(4, 9)),
)
def test_pooling_equals_torch(kind: str, size: int, stride: int, sides: tuple[int, int]) -> None:
    pictures = np.random.default_rng(0).normal(size=(2, 3, *sides))
    pooling: Any = functional.max_pool2d if kind == "max" else functional.avg_pool2d
    theirs = pooling(torch.from_numpy(pictures), size, stride or None)
    assert np.abs(pool(pictures, size, stride, kind) - theirs.numpy()).max() < 1e-12


@pytest.mark.parametrize(
    ("shapes", "options", "sentence"),
    [
        (((1, 3, 8), (2, 3, 3, 3)), {}, "have not four sides"),
        (((1, 3, 8, 8), (2, 2, 3, 3)), {}, "do not make 1 group"),
        (((1, 3, 2, 8), (2, 3, 3, 3)), {}, "do not fit"),
        (((1, 3, 8, 8), (2, 3, 3, 3)), {"stride": 0}, "1 at least"),
        (((1, 3, 8, 8), (2, 3, 3, 3)), {"method": "magic"}, "no method 'magic'"),
        (((1, 3, 8, 8), (2, 3, 5, 5)), {"method": "winograd"}, "filters of 3 × 3"),
    ],
)
def test_what_does_not_fit_is_told(shapes: Any, options: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        convolve(*map(np.zeros, shapes), **options)
