"""Geometry against Pillow and torchvision, and what it promises: shape, identity, one round trip."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import v2

from simplecell.data.geometry import (
    FILTERS,
    LETTERBOX_GREY,
    WAYS,
    Geometry,
    bound,
    bounded_size,
    resize,
    with_channels,
)
from simplecell.errors import UserError


def photograph(height: int, width: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Something with the smooth and the rough parts of a photograph."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 6, channels), dtype=np.uint8)
    bands = [np.asarray(Image.fromarray(coarse[..., c]).resize((width, height))) for c in range(channels)]
    noisy = np.stack(bands, axis=-1) + random.normal(0, 12, (height, width, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def pillow_resized(
    picture: NDArray[np.uint8], height: int, width: int, filter: str = "bilinear"
) -> NDArray[np.uint8]:
    how = Image.Resampling[filter.upper()]
    return np.asarray(Image.fromarray(picture).resize((width, height), how))


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("height", "width"), [(224, 224), (40, 300), (16, 16), (500, 700), (1, 1)])
def test_resizing_agrees_with_pillow_to_two_levels(height: int, width: int, filter: str) -> None:
    picture = photograph(375, 500)
    ours = resize(picture, height, width, filter).astype(int)
    difference = np.abs(ours - pillow_resized(picture, height, width, filter))
    assert difference.max() <= 2
    assert difference.mean() < 0.1


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 333), (100, 100), (224, 900)])
@pytest.mark.parametrize("margin", [1.0, 0.875])
def test_crop_is_torchvisions_resize_and_centre_crop(height: int, width: int, margin: float) -> None:
    picture = photograph(height, width)
    theirs = v2.Compose([v2.Resize(round(224 / margin), antialias=True), v2.CenterCrop(224)])(
        torch.from_numpy(picture).permute(2, 0, 1)
    )
    ours = Geometry(224, 224, "crop", 3, margin).fit(picture)
    assert np.array_equal(ours, theirs.permute(1, 2, 0).numpy())


def test_squash_keeps_the_whole_picture() -> None:
    picture = photograph(60, 200)
    fitted = Geometry(32, 48, "squash").fit(picture)
    assert np.array_equal(fitted, resize(picture, 32, 48))


def test_letterbox_pads_evenly_with_grey() -> None:
    fitted = Geometry(100, 100, "letterbox").fit(np.full((50, 200, 3), 7, np.uint8))
    rows = fitted[:, 50, 0]
    assert (rows == 7).sum() == 25
    assert set(rows.tolist()) == {7, LETTERBOX_GREY}
    assert np.flatnonzero(rows == 7).tolist() == list(range(37, 62))


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([1, 3]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(WAYS),
    st.sampled_from([1, 3]),
    st.floats(0.5, 1.0),
)
def test_every_picture_gets_the_wanted_shape(
    height: int, width: int, channels: int, tall: int, wide: int, how: str, wanted: int, margin: float
) -> None:
    geometry = Geometry(tall, wide, how, wanted, margin)
    picture = np.full((height, width, channels), 114, np.uint8)
    fitted = geometry.fit(picture)
    assert fitted.dtype == np.uint8
    assert fitted.shape == (tall, wide, wanted)
    # A picture of one colour stays of that colour; 114 is also what letterbox pads with.
    assert (fitted == 114).all()


@pytest.mark.parametrize("how", WAYS)
def test_a_picture_that_fits_is_not_copied(how: str) -> None:
    picture = photograph(28, 28, 1)
    assert Geometry(28, 28, how, 1).fit(picture) is picture


def test_a_margin_zooms_even_into_a_picture_of_the_right_size() -> None:
    picture = photograph(32, 32)
    assert not np.array_equal(Geometry(32, 32, "crop", 3, 0.875).fit(picture), picture)


def test_a_very_long_strip_costs_no_gigabytes() -> None:
    fitted = Geometry(224, 224, "crop").fit(np.full((100_000, 1, 3), 9, np.uint8))
    assert (fitted == 9).all()


def test_a_slim_target_keeps_all_of_a_slim_picture() -> None:
    picture = photograph(4, 400)
    assert np.array_equal(Geometry(2, 200, "crop").fit(picture), resize(picture, 2, 200))


def test_grey_is_the_luma_that_pillow_computes() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    assert np.array_equal(
        with_channels(picture, 1)[..., 0], np.asarray(Image.fromarray(picture).convert("L"))
    )


def test_colour_of_a_grey_picture_repeats_it() -> None:
    picture = photograph(5, 6, 1)
    assert np.array_equal(with_channels(picture, 3), np.concatenate([picture] * 3, axis=-1))


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 100))
def test_bounding_shrinks_the_shorter_side_and_keeps_the_shape(height: int, width: int, shorter: int) -> None:
    tall, wide = bounded_size(height, width, shorter)
    if min(height, width) <= shorter:
        assert (tall, wide) == (height, width)
    else:
        assert min(tall, wide) == shorter
        assert abs(tall * width - wide * height) <= max(height, width)


def test_bounding_a_small_picture_leaves_it_alone() -> None:
    picture = photograph(30, 40)
    assert bound(picture, 30) is picture
    assert bound(picture, 15).shape == (15, 20, 3)


def test_pictures_that_may_not_be_written_to_and_turned_ones_are_resized() -> None:
    picture = photograph(30, 40)
    expected = resize(picture[::-1].copy(), 10, 10)
    turned = picture[::-1]
    turned.flags.writeable = False
    assert np.array_equal(resize(turned, 10, 10), expected)


@pytest.mark.parametrize("how", WAYS)
def test_every_way_of_fitting_resizes_by_the_filter(how: str) -> None:
    picture = photograph(60, 90)
    fitted = {filter: Geometry(40, 40, how, filter=filter).fit(picture) for filter in FILTERS}
    assert not np.array_equal(fitted["bilinear"], fitted["bicubic"])


def test_overshooting_edges_end_at_black_and_white() -> None:
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    fitted = resize(edge, 32, 32, "bicubic").astype(int)
    assert (np.diff(fitted[0, :, 0]) >= 0).all()  # wrapped-around levels would fall


def test_a_geometry_survives_json() -> None:
    geometry = Geometry(224, 192, "letterbox", 1, 0.875, "bicubic")
    assert Geometry.from_json(json.loads(json.dumps(geometry.to_json()))) == geometry


def test_a_geometry_of_before_there_were_filters_is_bilinear() -> None:
    values = {"height": 28, "width": 28, "how": "squash", "channels": 1, "margin": 1.0}
    assert Geometry.from_json(values) == Geometry(28, 28, "squash", 1, filter="bilinear")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"height": 0, "width": 5}, "cannot be 0 × 5"),
        ({"height": 5, "width": 5, "how": "squish"}, "did you mean 'squash'"),
        ({"height": 5, "width": 5, "filter": "cubic"}, "did you mean 'bicubic'"),
        ({"height": 5, "width": 5, "channels": 4}, "4 channels"),
        ({"height": 5, "width": 5, "margin": 1.5}, "margin is 1.5"),
        ({"height": 5, "width": 5, "depth": 1}, "no 'depth'"),
    ],
)
def test_impossible_geometries_get_a_sentence(values: dict[str, int | str | float], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        Geometry.from_json(values)
