"""The graph that fits pictures, beside Geometry.fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simplecell.data.geometry import Geometry

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from simplecell.export.fitting import fitting
from simplecell.export.session import Session


def fitted(geometry: Geometry, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the graph makes of N, H, W, 3, as N, h, w, C."""
    opened = Session(fitting(geometry, opset=20, ir_version=10).SerializeToString(), "graph", 1)
    return opened.run({"picture": pictures})["fitted"].transpose(0, 2, 3, 1)


def pictures_of(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), np.uint8)


def assert_as_fit(geometry: Geometry, pictures: NDArray[np.uint8]) -> None:
    found = fitted(geometry, pictures)
    expected = np.stack([geometry.fit(picture) for picture in pictures])
    assert found.shape == expected.shape
    apart = np.abs(found.astype(int) - expected)
    assert apart.max() <= (1 if geometry.filter == "bilinear" else 2)
    assert (apart > 0).mean() < 0.05  # rounding, and no shift of half a pixel


@given(
    how=st.sampled_from(["crop", "squash", "letterbox"]),
    size=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    channels=st.sampled_from([1, 3]),
    margin=st.sampled_from([1.0, 0.875, 0.95]),
    kind=st.sampled_from(["bilinear", "bicubic"]),
    given_size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_it_fits_pictures_of_any_size_as_geometry_does(
    how: str, size: tuple[int, int], channels: int, margin: float, kind: str, given_size: tuple[int, int]
) -> None:
    assert_as_fit(Geometry(*size, how, channels, margin, kind), pictures_of(*given_size))


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (2, 129), (64, 64), (640, 427)])
@pytest.mark.parametrize("how", ["crop", "squash", "letterbox"])
def test_strips_photographs_and_pictures_that_fit_already_come_out_alike(
    how: str, shape: tuple[int, int]
) -> None:
    assert_as_fit(Geometry(64, 64, how), pictures_of(*shape))


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    pictures = pictures_of(32, 48)
    assert np.array_equal(fitted(Geometry(32, 48), pictures), pictures)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", ["crop", "squash", "letterbox"])
def test_nothing_in_it_is_computed_in_vain(how: str, channels: int) -> None:
    graph = fitting(Geometry(32, 48, how, channels), opset=20, ir_version=10).graph
    used = {name for node in graph.node for name in node.input} | {"fitted"}
    assert {name for node in graph.node for name in node.output} <= used
