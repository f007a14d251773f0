"""Convolution and pooling kernels against torch, over sizes, strides, dilations and both paddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from simplecell.foundations import kernels
from simplecell.foundations.kernels import Windows

EXAMPLES = settings.default.max_examples * 2


@st.composite
def cases(draw: Any, *, dilated: bool = True) -> tuple[Windows, tuple[int, int, int, int]]:
    """A window, and pictures N, H, W, C that it fits into."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    windows = Windows(
        draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        draw(pairs),
        padding,
        draw(pairs) if dilated else (1, 1),
    )
    reach = [(size - 1) * gap + 1 for size, gap in zip(windows.size, windows.dilations, strict=True)]
    least = reach if padding == "VALID" else (1, 1)
    sides = [draw(st.integers(low, low + 7)) for low in least]
    return windows, (draw(st.integers(1, 3)), sides[0], sides[1], draw(st.integers(1, 3)))


def drawn(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def leaf(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.copy()).requires_grad_()


def padded(x: torch.Tensor, windows: Windows, value: float = 0.0) -> torch.Tensor:
    """N, H, W, C to N, C, H, W with the padding as zeros, which torch cannot add unevenly by itself."""
    vertical, horizontal = windows.padding_of(*x.shape[1:3])
    return F.pad(x.permute(0, 3, 1, 2), (*horizontal, *vertical), value=value)


def close(ours: np.ndarray, theirs: torch.Tensor) -> None:
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-10)


@settings(max_examples=EXAMPLES)
@given(case=cases(), count=st.integers(1, 4), seed=st.integers(0, 2**32))
def test_a_convolution_and_its_gradients_are_torchs(
    case: tuple[Windows, tuple[int, int, int, int]], count: int, seed: int
) -> None:
    windows, shape = case
    x, filters = drawn(shape, seed), drawn((*windows.size, shape[3], count), seed + 1)
    ours = kernels.conv2d(x, filters, windows)
    their_x, their_filters = leaf(x), leaf(filters)
    theirs = F.conv2d(
        padded(their_x, windows),
        their_filters.permute(3, 2, 0, 1).contiguous(),
        stride=windows.strides,
        dilation=windows.dilations,
    ).permute(0, 2, 3, 1)
    close(ours, theirs)
    flowing = drawn(ours.shape, seed + 2)
    by_x, by_filters = torch.autograd.grad(theirs, [their_x, their_filters], torch.from_numpy(flowing))
    close(kernels.conv2d_input_gradient(flowing, filters, shape, windows), by_x)
    close(kernels.conv2d_filter_gradient(flowing, x, windows), by_filters)


@settings(max_examples=EXAMPLES)
@given(case=cases(), seed=st.integers(0, 2**32))
def test_max_pooling_and_its_gradient_are_torchs(
    case: tuple[Windows, tuple[int, int, int, int]], seed: int
) -> None:
    windows, shape = case
    x = drawn(shape, seed)
    ours = kernels.max_pool(x, windows)
    their_x = leaf(x)
    theirs = F.max_pool2d(
        padded(their_x, windows, value=-torch.inf), windows.size, windows.strides, dilation=windows.dilations
    ).permute(0, 2, 3, 1)
    close(ours, theirs)
    flowing = drawn(ours.shape, seed + 1)
    (expected,) = torch.autograd.grad(theirs, their_x, torch.from_numpy(flowing))
    close(kernels.max_pool_gradient(flowing, x, ours, windows), expected)


@settings(max_examples=EXAMPLES)
@given(case=cases(dilated=False), seed=st.integers(0, 2**32))
def test_average_pooling_is_torchs_and_counts_no_padding(
    case: tuple[Windows, tuple[int, int, int, int]], seed: int
) -> None:
    windows, shape = case
    x = drawn(shape, seed)
    ours = kernels.avg_pool(x, windows)
    their_x = leaf(x)

    def summed(t: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(padded(t, windows), windows.size, windows.strides, divisor_override=1)

    theirs = (summed(their_x) / summed(torch.ones(shape, dtype=torch.float64))).permute(0, 2, 3, 1)
    close(ours, theirs)
    flowing = drawn(ours.shape, seed + 1)
    (expected,) = torch.autograd.grad(theirs, their_x, torch.from_numpy(flowing))
    close(kernels.avg_pool_gradient(flowing, shape, windows), expected)


def test_of_equal_elements_the_first_gets_the_gradient() -> None:
    x = np.zeros((1, 2, 2, 1))
    windows = Windows((2, 2), (2, 2), "VALID")
    given_back = kernels.max_pool_gradient(np.ones((1, 1, 1, 1)), x, kernels.max_pool(x, windows), windows)
    assert given_back.ravel().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("length", "size", "stride", "padding", "dilation", "expected"),
    [
        # The examples of TensorFlow's own notes on convolution: 13 wide, a window of 6, steps of 5.
        (13, 6, 5, "VALID", 1, (2, 0, 0)),
        (13, 6, 5, "SAME", 1, (3, 1, 2)),
        (28, 5, 1, "SAME", 1, (28, 2, 2)),
        (28, 2, 2, "SAME", 1, (14, 0, 0)),
        (7, 2, 2, "SAME", 1, (4, 0, 1)),
        (5, 3, 1, "SAME", 2, (5, 2, 2)),
        (4, 3, 1, "VALID", 2, (0, 0, 0)),
        (4, 1, 3, "SAME", 1, (2, 0, 0)),
    ],
)
def test_the_padding_is_tensorflows(
    length: int, size: int, stride: int, padding: str, dilation: int, expected: tuple[int, int, int]
) -> None:
    assert kernels.along(length, size, stride, padding, dilation) == expected


def test_pictures_that_are_computed_block_by_block_are_computed_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, filters = drawn((5, 6, 6, 2), 0), drawn((3, 3, 2, 4), 1)
    windows = Windows((3, 3))
    flowing = drawn((5, 6, 6, 4), 2)

    def all_three() -> list[np.ndarray]:
        return [
            kernels.conv2d(x, filters, windows),
            kernels.conv2d_filter_gradient(flowing, x, windows),
            kernels.conv2d_input_gradient(flowing, filters, (5, 6, 6, 2), windows),
        ]

    together = all_three()
    monkeypatch.setattr(kernels, "_BLOCK", 1)
    for one, other in zip(together, all_three(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
