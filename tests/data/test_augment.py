"""Augmentation: against torchvision pixel by pixel, against its distributions, and by its properties."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode, RandomErasing, RandomResizedCrop, TrivialAugmentWide
from torchvision.transforms import functional as reference
from torchvision.transforms.autoaugment import _apply_op

from simplecell.data.addressed import Address
from simplecell.data.augment import Augmentation, choose, preset
from simplecell.data.augment_colour import jitter
from simplecell.data.augment_geometry import affine, mirror, shift, warp
from simplecell.data.augment_mix import beta_quantile
from simplecell.data.augment_trivial import OPERATIONS, STRENGTHS, trivial
from simplecell.errors import UserError

#: Each kind of change alone, then all that do not look at another picture together.
ALONE = {
    "flip": Augmentation(flip=True),
    "shift": Augmentation(shift=3),
    "shift, reflected": Augmentation(shift=3, padding="reflect"),
    "colour": Augmentation(colour=0.4),
    "affine": Augmentation(rotate=20, zoom=0.2, shear=10),
    "affine, reflected": Augmentation(rotate=20, zoom=0.2, shear=10, padding="reflect"),
    "trivial": Augmentation(trivial=True),
    "erase": Augmentation(erase=0.7),
}
TOGETHER = Augmentation(flip=True, shift=2, colour=0.3, rotate=9, trivial=True, erase=0.5)


def scenes(count: int, height: int = 20, width: int = 24, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth pictures with edges and some noise: uint8, N, H, W, C."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    slope = draw.uniform(-150, 150, (count, 1, 1, channels, 2))
    base = draw.uniform(60, 200, (count, 1, 1, channels))
    values = base + slope[..., 0] * y[..., None] + slope[..., 1] * x[..., None]
    values[:, height // 4 : height // 2, width // 3 : width // 2] += 60
    return np.clip(values + draw.normal(0, 8, values.shape), 0, 255).astype(np.uint8)


def batch(pictures: np.ndarray) -> dict[str, Any]:
    return {
        "id": [f"picture {i}" for i in range(len(pictures))],
        "picture": torch.from_numpy(pictures).permute(0, 3, 1, 2),
        "label": torch.arange(len(pictures)) % 7,
    }


def address(count: int, seed: int = 11, epoch: int = 3) -> Address:
    return Address(seed, epoch, np.arange(count) + 1000, np.arange(count))


def applied(augmentation: Augmentation, pictures: np.ndarray, where: Address) -> np.ndarray:
    """The augmented pictures, N, H, W, C."""
    return augmentation.apply(batch(pictures), where)["picture"].permute(0, 2, 3, 1).numpy()


def tensors(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance of two samples' distribution functions, in units of its 99.9 % point."""
    points = np.sort(np.concatenate([a, b]))
    distance = np.abs(
        np.searchsorted(np.sort(a), points, "right") / len(a)
        - np.searchsorted(np.sort(b), points, "right") / len(b)
    ).max()
    return float(distance / (1.95 * math.sqrt((len(a) + len(b)) / (len(a) * len(b)))))


# Properties of every kind


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augmentation", [*ALONE.values(), TOGETHER], ids=[*ALONE, "together"])
def test_an_example_alone_is_the_same_as_in_a_batch(augmentation: Augmentation, channels: int) -> None:
    pictures, where = scenes(40, channels=channels), address(40)
    whole = applied(augmentation, pictures, where)
    for row in range(40):
        one = slice(row, row + 1)
        assert (applied(augmentation, pictures[one], where.take(one))[0] == whole[row]).all()


@pytest.mark.parametrize("augmentation", [*ALONE.values(), TOGETHER], ids=[*ALONE, "together"])
def test_the_address_decides_what_is_done(augmentation: Augmentation) -> None:
    pictures = scenes(30)
    first = applied(augmentation, pictures, address(30))
    assert (applied(augmentation, pictures, address(30)) == first).all()
    assert (applied(augmentation, pictures, address(30, epoch=4)) != first).any()
    assert (applied(augmentation, pictures, address(30, seed=12)) != first).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "augmentation",
    [*ALONE.values(), TOGETHER, Augmentation(), Augmentation(mixup=0.2, cutmix=1)],
    ids=[*ALONE, "together", "nothing", "mixed"],
)
def test_a_batch_keeps_its_form_and_the_given_one_is_left_alone(
    augmentation: Augmentation, channels: int
) -> None:
    pictures = scenes(12, channels=channels)
    given, before = batch(pictures), pictures.copy()
    result = augmentation.apply(given, address(12))
    assert result["picture"].dtype == torch.uint8
    assert result["picture"].shape == given["picture"].shape
    assert result["picture"].stride() == given["picture"].stride()
    assert result["id"] == given["id"]
    assert torch.equal(result["label"], given["label"])
    assert (pictures == before).all()


def test_the_defaults_change_nothing() -> None:
    pictures = scenes(9)
    result = Augmentation().apply(batch(pictures), address(9))
    assert (result["picture"].permute(0, 2, 3, 1).numpy() == pictures).all()
    assert "share" not in result


def test_settings_survive_json() -> None:
    settings = json.loads(json.dumps(dataclasses.asdict(TOGETHER)))
    assert Augmentation(**settings) == TOGETHER


@pytest.mark.parametrize(
    ("field", "value"), [("crop", 0), ("crop", 1.2), ("shift", -1), ("erase", 2), ("mixup", math.nan)]
)
def test_a_value_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{field} {value}.*give a number from"):
        Augmentation(**{field: value})


def test_an_unknown_padding_is_named() -> None:
    with pytest.raises(UserError, match=r'"mirror".*"reflect"'):
        Augmentation(padding="mirror")  # type: ignore[arg-type]


# Mirror and shift


def test_half_of_the_pictures_are_mirrored_and_none_otherwise_changed() -> None:
    pictures = scenes(4000, 5, 6, 1)
    result = applied(Augmentation(flip=True), pictures, address(4000))
    mirrored = (result == pictures[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (result == pictures).all(axis=(1, 2, 3))).all()
    assert mirrored.mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(4000))


@given(st.integers(1, 9), st.integers(2, 9), st.integers(2, 9), st.sampled_from([1, 3]), st.data())
def test_mirror_and_shift_equal_numpy(
    count: int, height: int, width: int, channels: int, data: st.DataObject
) -> None:
    pictures = scenes(count, height, width, channels)
    which = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    assert (
        mirror(pictures, which) == np.where(which[:, None, None, None], pictures[:, :, ::-1], pictures)
    ).all()

    mode = data.draw(st.sampled_from(["zero", "reflect"]))
    margin = data.draw(st.integers(1, min(height, width) - 1 if mode == "reflect" else 12))
    side = st.integers(0, 2 * margin)
    offsets = np.array(data.draw(st.lists(st.tuples(side, side), min_size=count, max_size=count)))
    rim = ((margin, margin), (margin, margin), (0, 0))
    for picture, (top, left), moved in zip(
        pictures, offsets, shift(pictures, offsets, margin, mode), strict=True
    ):
        padded = np.pad(picture, rim, mode="constant" if mode == "zero" else "reflect")
        assert (moved == padded[top : top + height, left : left + width]).all()


def test_every_shift_is_equally_likely() -> None:
    pictures = np.zeros((9000, 9, 9, 1), dtype=np.uint8)
    pictures[:, 4, 4] = 255
    moved = applied(Augmentation(shift=2), pictures, address(9000))[..., 0].reshape(9000, -1).argmax(axis=1)
    rows, columns = np.divmod(moved, 9)
    counts, _, _ = np.histogram2d(rows, columns, bins=[np.arange(2, 8)] * 2)
    assert counts.sum() == 9000
    assert ((counts - 360) ** 2 / 360).sum() < 64.2  # the 99.999 % point for 24 degrees


def test_a_reflected_shift_wider_than_the_picture_is_refused() -> None:
    with pytest.raises(UserError, match=r"20×24.*under 20"):
        Augmentation(shift=20, padding="reflect").apply(batch(scenes(2)), address(2))


# Crops and erasing


@pytest.mark.parametrize(("height", "width"), [(300, 400), (64, 64), (40, 400)])
def test_crops_are_distributed_as_torchvisions(height: int, width: int) -> None:
    count = 20_000
    boxes = Augmentation(crop=0.25).boxes(np.full(count, height), np.full(count, width), address(count))
    torch.manual_seed(5)
    picture = torch.empty(3, height, width, device="meta")
    theirs = np.array(
        [RandomResizedCrop.get_params(picture, [0.25, 1.0], [3 / 4, 4 / 3]) for _ in range(count)]
    )
    assert boxes.shape == (count, 4)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 0] + boxes[:, 2] <= height).all()
    assert (boxes[:, 1] + boxes[:, 3] <= width).all()
    figures = {
        "top": lambda b: b[:, 0],
        "left": lambda b: b[:, 1],
        "area": lambda b: b[:, 2] * b[:, 3],
        "aspect": lambda b: b[:, 3] / b[:, 2],
    }
    for name, figure in figures.items():
        assert kolmogorov_smirnov(figure(boxes), figure(theirs)) < 1, name


def test_a_crop_of_a_picture_too_long_is_the_largest_central_box() -> None:
    boxes = Augmentation(crop=0.9).boxes(np.array([10, 900]), np.array([1000, 10]), address(2))
    assert boxes.tolist() == [[0, 493, 10, 13], [443, 0, 13, 10]]


def test_a_crop_depends_on_its_own_picture_alone() -> None:
    heights, widths, where = np.arange(50, 80), np.arange(90, 60, -1), address(30)
    crop = Augmentation(crop=0.1)
    whole = crop.boxes(heights, widths, where)
    one = slice(7, 8)
    assert (crop.boxes(heights[one], widths[one], where.take(one)) == whole[one]).all()


def test_erased_boxes_are_distributed_as_torchvisions_and_have_the_mean_colour() -> None:
    count, height, width = 6000, 32, 32
    pictures = np.zeros((count, height, width, 1), dtype=np.uint8)
    pictures[:, ::2] = 200
    result = applied(Augmentation(erase=0.5), pictures, address(count))
    erased = result[..., 0] == 100
    assert ((result == pictures)[..., 0] | erased).all()
    touched = erased.any(axis=(1, 2))
    # A box of 2 % to 33 % and aspect 0.3 to 3.3 fits within ten tries almost always.
    assert touched.mean() == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(count))
    tall, wide = erased.any(axis=2).sum(axis=1)[touched], erased.any(axis=1).sum(axis=1)[touched]
    assert (tall * wide == erased.sum(axis=(1, 2))[touched]).all()
    torch.manual_seed(5)
    theirs = np.array(
        [
            RandomErasing.get_params(torch.zeros(1, height, width), (0.02, 0.33), (0.3, 3.3), [0.0])[2:4]
            for _ in range(3000)
        ]
    )
    assert kolmogorov_smirnov(tall * wide, theirs[:, 0] * theirs[:, 1]) < 1
    assert kolmogorov_smirnov(tall / wide, theirs[:, 0] / theirs[:, 1]) < 1


# Affine maps


@given(
    st.floats(-180, 180),
    st.floats(0.5, 2),
    st.floats(-40, 40),
    st.integers(-6, 6),
    st.integers(-6, 6),
    st.sampled_from([True, False]),
)
def test_a_warp_equals_torchvisions_affine(
    angle: float, zoom: float, slant: float, right: int, down: int, smooth: bool
) -> None:
    pictures = scenes(2, 23, 30)
    if not smooth:  # away from maps that send pixels half-way between two others
        angle, zoom = angle + 0.1234, zoom * 1.0071
    one = np.ones(2)
    still = np.zeros((2, 2))
    back = affine(angle * one, zoom * one, np.array([[slant, 0.0]] * 2), np.array([[right, down]] * 2), still)
    ours = warp(pictures, back, smooth=smooth)
    theirs = reference.affine(
        tensors(pictures),
        angle,
        [right, down],
        zoom,
        [slant, 0.0],
        InterpolationMode.BILINEAR if smooth else InterpolationMode.NEAREST,
    )
    difference = np.abs(ours.astype(int) - theirs.permute(0, 2, 3, 1).numpy())
    assert (difference > 1).mean() < 0.01


def test_affine_maps_are_drawn_evenly_from_their_ranges() -> None:
    # A point to the right of the centre tells turn and zoom apart: its angle and its distance.
    count, side = 3000, 65
    pictures = np.zeros((count, side, side, 1), dtype=np.uint8)
    pictures[:, 31:34, 51:54] = 255
    moved = applied(Augmentation(rotate=30, zoom=0.2), pictures, address(count))[..., 0].astype(float)
    y, x = np.mgrid[0:side, 0:side] - side // 2
    mass = moved.sum(axis=(1, 2))
    down, right = (moved * y).sum(axis=(1, 2)) / mass, (moved * x).sum(axis=(1, 2)) / mass
    draw = np.random.default_rng(0)
    assert kolmogorov_smirnov(np.degrees(np.arctan2(down, right)), draw.uniform(-30, 30, 20_000)) < 1
    assert kolmogorov_smirnov(np.hypot(down, right) / 20, draw.uniform(0.8, 1.2, 20_000)) < 1


# Colour


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_equals_torchvisions_adjustments_one_after_another(channels: int) -> None:
    pictures = (scenes(30, channels=channels) // 4 + 90).astype(np.uint8)  # mild, so that nothing is clipped
    draw = np.random.default_rng(1)
    factors = draw.uniform(0.8, 1.2, (3, 30))
    ours = jitter(pictures, *factors)
    for row, picture in enumerate(tensors(pictures)):
        theirs = reference.adjust_brightness(picture, factors[0, row])
        theirs = reference.adjust_contrast(theirs, factors[1, row])
        theirs = reference.adjust_saturation(theirs, factors[2, row])
        # Three of theirs cut off decimals where ours rounds once.
        assert np.abs(ours[row].astype(int) - theirs.permute(1, 2, 0).numpy()).max() <= 3


def test_factors_of_one_keep_every_colour() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 9, 9, 3), dtype=np.uint8)
    assert (jitter(pictures, *np.ones((3, 4))) == pictures).all()


# TrivialAugment

NAMES = {
    "Identity": "identity",
    "ShearX": "shear x",
    "ShearY": "shear y",
    "TranslateX": "translate x",
    "TranslateY": "translate y",
    "Rotate": "rotate",
    "Brightness": "brightness",
    "Color": "colour",
    "Contrast": "contrast",
    "Sharpness": "sharpness",
    "Posterize": "posterise",
    "Solarize": "solarise",
    "AutoContrast": "autocontrast",
    "Equalize": "equalise",
}
SPACE = TrivialAugmentWide()._augmentation_space(STRENGTHS)
#: Where the reference cuts decimals off and we round, or rounds twice and we once.
LEVELS = {"Brightness": 1, "Color": 2, "Contrast": 2, "Sharpness": 1, "AutoContrast": 1}


def test_the_operations_and_strengths_are_those_of_torchvision() -> None:
    assert set(SPACE) == set(NAMES)
    assert set(OPERATIONS) == set(NAMES.values())
    for theirs, (strengths, signed) in SPACE.items():
        ours, ours_signed, _ = OPERATIONS[NAMES[theirs]]
        assert ours_signed == signed
        assert np.allclose(ours, np.broadcast_to(strengths.numpy(), STRENGTHS), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(NAMES))
def test_an_operation_equals_torchvisions(name: str, channels: int) -> None:
    strengths, signed, apply = OPERATIONS[NAMES[name]]
    amounts = np.concatenate([strengths, -strengths]) if signed else strengths
    pictures = scenes(len(amounts), 37, 45, channels)  # both odd: a quarter turn hits pixels
    pictures[1] = 77  # of one value: nothing to stretch or to equalise
    ours = apply(pictures, amounts)
    for row, picture in enumerate(tensors(pictures)):
        # torchvision's own strengths are float32: 8.0 - 1e-7 would otherwise be a bit less.
        amount = float(np.float32(amounts[row]))
        theirs = _apply_op(picture, name, amount, InterpolationMode.NEAREST, None).permute(1, 2, 0).numpy()
        difference = np.abs(ours[row].astype(int) - theirs)
        if name in ("ShearX", "ShearY", "Rotate"):
            assert (difference > 0).mean() < 0.01, amount  # coordinates half-way between two pixels
        else:
            assert difference.max() <= LEVELS.get(name, 0), amount


def test_every_operation_strength_and_sign_is_drawn_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[float]] = {}
    for name, (strengths, signed, _) in OPERATIONS.items():
        seen = drawn.setdefault(name, [])

        def note(pictures: np.ndarray, amount: np.ndarray, seen: list[float] = seen) -> np.ndarray:
            seen.extend(amount.tolist())
            return pictures

        monkeypatch.setitem(OPERATIONS, name, (strengths, signed, note))
    count = 28_000
    trivial(np.zeros((count, 2, 2, 1), dtype=np.uint8), address(count).uniform("trivial", 3))
    for name, amounts in drawn.items():
        assert len(amounts) == pytest.approx(2000, abs=5 * math.sqrt(2000)), name
    turned = np.array(drawn["rotate"])
    _, counts = np.unique(np.abs(turned), return_counts=True)
    assert len(counts) == STRENGTHS
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 75  # 99.999 % for 30 degrees
    assert (turned > 0).mean() == pytest.approx((turned < 0).mean(), abs=0.12)


# Mixup and CutMix


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 2.0, 8.0, 40.0])
def test_the_beta_quantile_gives_the_distribution_of_torch(alpha: float) -> None:
    uniform = address(40_000).uniform("share")[:, 0]
    ours = beta_quantile(uniform, alpha)
    torch.manual_seed(3)
    theirs = torch.distributions.Beta(torch.tensor(alpha).double(), torch.tensor(alpha).double())
    # To nine decimals: for a small alpha many shares differ from 1 by less than float64 can tell.
    assert kolmogorov_smirnov(ours.round(9), theirs.sample((40_000,)).numpy().round(9)) < 1
    assert ours.var() == pytest.approx(theirs.variance.item(), rel=0.05)
    assert ours.min() >= 0
    assert ours.max() <= 1


def test_the_beta_quantile_meets_its_closed_forms() -> None:
    uniform = np.linspace(0, 1, 1001)
    assert np.allclose(beta_quantile(uniform, 1.0), uniform, atol=1e-6)
    assert np.allclose(beta_quantile(uniform, 0.5), np.sin(np.pi * uniform / 2) ** 2, atol=1e-6)  # arcsine
    cubic = beta_quantile(uniform, 2.0)  # its distribution function is 3x² - 2x³
    assert np.allclose(3 * cubic**2 - 2 * cubic**3, uniform, atol=1e-6)


def test_mixup_blends_with_the_next_picture_by_its_share() -> None:
    pictures = scenes(50)
    result = Augmentation(mixup=1.0).apply(batch(pictures), address(50))
    share = result["share"].numpy()
    assert result["share"].dtype == torch.float32
    assert 0.3 < share.mean() < 0.7
    exact = share[:, None, None, None] * pictures + (1 - share[:, None, None, None]) * np.roll(
        pictures, -1, 0
    )
    assert np.abs(result["picture"].permute(0, 2, 3, 1).numpy() - exact).max() <= 0.6
    assert result["label_other"].tolist() == [*(i % 7 for i in range(1, 50)), 0]
    assert result["label_other"].dtype == torch.int64


def test_cutmix_pastes_one_box_and_its_share_is_what_is_left() -> None:
    count = 400
    pictures = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None] % 2, (count, 20, 24, 3))
    result = Augmentation(cutmix=1.0).apply(batch(pictures.copy()), address(count))
    pasted = (result["picture"].permute(0, 2, 3, 1).numpy() != pictures)[..., 0]
    assert np.allclose(result["share"].numpy(), 1 - pasted.mean(axis=(1, 2)), atol=1e-6)
    box = pasted.any(axis=2).sum(axis=1) * pasted.any(axis=1).sum(axis=1)
    assert (box == pasted.sum(axis=(1, 2))).all()
    # Half of the area would be left on average, were boxes not cut off at the edges.
    assert 0.55 < result["share"].mean() < 0.75


def test_mixup_and_cutmix_together_have_half_of_the_pictures_each() -> None:
    pictures, where = scenes(600, 8, 8), address(600)
    both = Augmentation(mixup=0.4, cutmix=0.7).apply(batch(pictures), where)
    blended = Augmentation(mixup=0.4).apply(batch(pictures), where)
    pasted = Augmentation(cutmix=0.7).apply(batch(pictures), where)
    as_mixup = (both["picture"] == blended["picture"]).flatten(1).all(1) & (both["share"] == blended["share"])
    as_cutmix = (both["picture"] == pasted["picture"]).flatten(1).all(1) & (both["share"] == pasted["share"])
    assert (as_mixup | as_cutmix).all()
    assert (as_cutmix & ~as_mixup).float().mean().item() == pytest.approx(0.5, abs=0.1)


# What suits the data

CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


DIGITS = [str(i) for i in range(10)]


@pytest.mark.parametrize(
    ("height", "channels", "classes", "kind", "mirrored", "reason"),
    [
        (28, 1, DIGITS, "digits", False, "shifted by up to 2 pixels, not mirrored: the classes are digits"),
        (28, 1, ["shirt", "coat"], "digits", False, "not mirrored: small grey pictures are mostly writing"),
        (32, 1, ["A", "B", "a"], "digits", False, "not mirrored: the classes are letters"),
        (
            224,
            1,
            ["A", "B", "a"],
            "digits",
            False,
            "shifted by up to 16 pixels, not mirrored: the classes are letters",
        ),
        (32, 3, DIGITS, "small", False, "not mirrored: the classes are digits"),
        (32, 3, CIFAR, "small", True, "shifted by up to 4 pixels, mirrored"),
        (64, 3, ["00000", "00001"], "small", False, "not mirrored: the classes are numbers"),
        (224, 3, ["00000", "00001"], "photos", False, "not mirrored: the classes are numbers"),
        (64, 3, ["turn_left", "turn_right"], "photos", False, '"turn_left" tells left from right'),
        (224, 3, ["cat", "dog"], "photos", True, "cropped to 35% of the area or more, mirrored"),
        (224, 1, ["healthy", "ill"], "photos", True, "cropped to 35% of the area or more, mirrored"),
        (224, 3, ["bright", "cleft"], "photos", True, ", mirrored"),
    ],
)
def test_what_is_chosen_suits_the_data_and_says_why(
    height: int, channels: int, classes: list[str], kind: str, mirrored: bool, reason: str
) -> None:
    chosen, augmentation, why = choose(height, height, channels, classes, 50_000)
    assert chosen == kind
    assert augmentation.flip is mirrored
    assert augmentation.crops is (kind == "photos")
    assert why.endswith(reason)


def test_a_few_digits_are_turned_too_and_the_reason_says_so() -> None:
    _, many, _ = choose(28, 28, 1, DIGITS, 60_000)
    _, few, why = choose(28, 28, 1, DIGITS, 1000)
    assert many == Augmentation(shift=2)
    assert few.rotate > 0
    assert "few pictures" in why


def test_presets_are_what_the_literature_uses() -> None:
    assert preset("digits", 28) == Augmentation(shift=2)
    assert preset("small", 32) == Augmentation(flip=True, shift=4, padding="reflect")
    assert preset("photos") == Augmentation(flip=True, crop=0.35)
    assert preset("none") == Augmentation()


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(UserError, match='"photo"; choose'):
        preset("photo")
