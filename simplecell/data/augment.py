"""Augmentation of whole batches, drawn by address.

Every random number is a function of an example's address (seed, epoch, position in the epoch's order)
and of the name of the draw. An example looks the same whichever batch it is in and however often a run
was interrupted; only the partner of mixup and cutmix is a matter of the batch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from simplecell.data.addressed import Address
from simplecell.data.augment_colour import Pictures, jitter
from simplecell.data.augment_geometry import (
    affine,
    central_boxes,
    inside,
    mirror,
    random_boxes,
    shift,
    warp,
)
from simplecell.data.augment_mix import beta_quantile, cutmix, mixup
from simplecell.data.augment_trivial import trivial
from simplecell.errors import UserError

_CROP_ASPECT = (3 / 4, 4 / 3)  # Szegedy et al. (2015), as torchvision
_ERASE_AREA, _ERASE_ASPECT = (0.02, 0.33), (0.3, 3.3)  # Zhong et al. (2020), as torchvision

_RANGES: dict[str, tuple[float, float]] = {
    "shift": (0, 1024),
    "crop": (0.01, 1),
    "colour": (0, 1),
    "rotate": (0, 180),
    "zoom": (0, 0.9),
    "shear": (0, 80),
    "mixup": (0, 100),
    "cutmix": (0, 100),
    "erase": (0, 1),
}

#: So many values of pictures are augmented at a time, because temporary arrays that outgrow the cache cost
#: more than the arithmetic: colour takes 20 ms for 64 × 224 × 224 × 3 in such blocks and 36 ms at once.
_BLOCK = 1 << 19

#: Pixels of the shorter side from which on a picture is taken for a photo, whose subject is a part of it;
#: and where the classes are numbers, which fit signs and digits that were cut out as well as photos.
_PHOTO, _SURELY_PHOTO = 64, 128

#: Fewer digits than this are turned and resized too. Measured with the net "small" on MNIST's test set, with
#: shifts alone and with both: 98.09 and 98.39 % from 1,000 digits (600 steps of 64, 3 seeds), 99.14 and
#: 99.24 % from 5,000 (1,000 steps, 2 seeds), 99.37 and 99.38 % from 20,000 (1,200 steps, 2 seeds).
_FEW_DIGITS = 10_000

_LEFT_AND_RIGHT = frozenset({"left", "right", "clockwise", "anticlockwise", "counterclockwise"})


@dataclass(frozen=True)
class Augmentation:
    """What is done to training pictures at random. The defaults do nothing.

    flip: mirror left and right, each picture in every other epoch; which is mirrored first is random. Jordan
        2024 finds this better than a coin in each epoch, which shows a picture the same way too often.
    shift: move by up to this many pixels, each way; ``padding`` ("zero" or "reflect") fills the rim.
    crop: cut out a box of at least this share of the picture's area and of an aspect from 3/4 to 4/3,
        and resize it (Szegedy et al., 2015); 1 is off.
    colour: change brightness, contrast and saturation by factors from 1 - colour to 1 + colour.
    rotate: turn by up to this many degrees. zoom: resize by factors from 1 - zoom to 1 + zoom.
    shear: slant by up to this many degrees. ``padding`` fills what lies outside.
    trivial: one random operation of random strength (TrivialAugment, Müller & Hutter, 2021).
    mixup, cutmix: blend with, or paste from, the next picture of the batch; the strength α of
        Beta(α, α) (Zhang et al., 2018; Yun et al., 2019). With both, each has half of the pictures.
    erase: the probability of painting a box of the picture over with its mean colour (Zhong et al., 2020).
    """

    flip: bool = False
    shift: int = 0
    padding: Literal["zero", "reflect"] = "zero"
    crop: float = 1.0
    colour: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    trivial: bool = False
    mixup: float = 0.0
    cutmix: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        """Raise UserError for a value outside its range."""
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(
                    f"augmentation has {name} {value}", remedy=f"give a number from {low} to {high}"
                )
        if self.padding not in ("zero", "reflect"):
            raise UserError(f'augmentation has padding "{self.padding}"', remedy='give "zero" or "reflect"')

    @property
    def crops(self) -> bool:
        """Whether examples are boxes of the full picture, so that it is needed at every epoch."""
        return self.crop < 1

    @property
    def mixes(self) -> bool:
        """Whether a batch has two labels a picture."""
        return self.mixup > 0 or self.cutmix > 0

    def boxes(
        self, heights: NDArray[np.int64], widths: NDArray[np.int64], address: Address
    ) -> NDArray[np.int64]:
        """Where to crop full pictures of these sizes: int64, N × 4 (top, left, height, width).

        Distributed as torchvision's ``RandomResizedCrop``: ten tries, then the largest central box.
        """
        boxes, found = random_boxes(
            heights, widths, address.uniform("crop", 40), area=(self.crop, 1.0), aspect=_CROP_ASPECT
        )
        return np.where(found[:, None], boxes, central_boxes(heights, widths, _CROP_ASPECT))

    def apply(self, batch: dict[str, Any], address: Address) -> dict[str, Any]:
        """A new batch with augmented pictures; the given one is left as it is.

        batch: "picture" is uint8, N, C, H, W, and so is the result, with channels-last strides. With
        mixup or cutmix it needs "label" (int64, N) and gains "label_other" (int64, N) and "share"
        (float32, N), the weight of "label".
        """
        pictures = np.ascontiguousarray(batch["picture"].permute(0, 2, 3, 1).numpy())
        step = max(1, _BLOCK // pictures[0].size)
        blocks = [slice(start, start + step) for start in range(0, len(pictures), step)]
        pictures = np.concatenate([self.each(pictures[rows], address.take(rows)) for rows in blocks])
        return self.together(batch, pictures, address)

    def together(self, batch: dict[str, Any], pictures: Pictures, address: Address) -> dict[str, Any]:
        """The batch with these pictures (uint8, N, H, W, C, from ``each``) for its own, mixed if asked."""
        result = dict(batch)
        if self.mixes:
            pictures, share = self._mix(pictures, address)
            result["label_other"] = torch.roll(batch["label"], -1)
            result["share"] = torch.from_numpy(share.astype(np.float32))
        # Through one dimension: where C is 1, only the strides tell channels-last from channels-first.
        flat = torch.from_numpy(pictures.reshape(-1))
        result["picture"] = flat.view(pictures.shape).permute(0, 3, 1, 2)
        return result

    def each(self, pictures: Pictures, address: Address) -> Pictures:
        """What is done to a picture whatever the others are: uint8, N, H, W, C, and so is the result."""
        pictures = self._move(pictures, address)
        if self.trivial:
            pictures = trivial(pictures, address.uniform("trivial", 3))
        if self.colour:
            factors = 1 + self.colour * (2 * address.uniform("colour", 3) - 1)
            pictures = jitter(pictures, *factors.T)
        if self.erase:
            pictures = self._erase(pictures, address)
        return pictures

    def _move(self, pictures: Pictures, address: Address) -> Pictures:
        count, height, width, _ = pictures.shape
        if self.flip:
            pictures = mirror(pictures, address.alternating("flip"))
        if self.shift:
            if self.padding == "reflect" and self.shift >= min(height, width):
                raise UserError(
                    f"augmentation shifts pictures of {height}×{width} by up to {self.shift} pixels",
                    remedy=f"give a shift under {min(height, width)}",
                )
            offsets = address.integers("shift", 0, 2 * self.shift + 1, 2)
            pictures = shift(pictures, offsets, self.shift, self.padding)
        if self.rotate or self.zoom or self.shear:
            amount = 2 * address.uniform("affine", 3) - 1
            still = np.zeros((count, 2))
            slant = np.stack([self.shear * amount[:, 2], still[:, 1]], axis=1)
            back = affine(self.rotate * amount[:, 0], 1 + self.zoom * amount[:, 1], slant, still, still)
            pictures = warp(pictures, back, smooth=True, padding=self.padding)
        return pictures

    def _erase(self, pictures: Pictures, address: Address) -> Pictures:
        count, height, width, _ = pictures.shape
        boxes, found = random_boxes(
            np.full(count, height),
            np.full(count, width),
            address.uniform("erase box", 40),
            area=_ERASE_AREA,
            aspect=_ERASE_ASPECT,
        )
        chosen = found & (address.uniform("erase")[:, 0] < self.erase)
        rows = np.flatnonzero(chosen)
        # The picture's mean and not the paper's noise, which would cost a hash a value.
        total = pictures[rows].sum(axis=1, dtype=np.int64).sum(axis=1)  # rows, C
        mean = np.round(total / (height * width)).astype(np.uint8)[:, None, None]
        erased = pictures.copy()
        erased[rows] = np.where(inside(boxes[rows], height, width), mean, pictures[rows])
        return erased

    def _mix(self, pictures: Pictures, address: Address) -> tuple[Pictures, NDArray[np.float64]]:
        uniform = address.uniform("mix", 4)
        if not self.cutmix:
            share = beta_quantile(uniform[:, 0], self.mixup)
            return mixup(pictures, share), share
        pasted, left = cutmix(pictures, beta_quantile(uniform[:, 1], self.cutmix), uniform[:, 2:])
        if not self.mixup:
            return pasted, left
        share = beta_quantile(uniform[:, 0], self.mixup)
        paste = address.uniform("mix which")[:, 0] < 0.5
        blended = mixup(pictures, share)
        return np.where(paste[:, None, None, None], pasted, blended), np.where(paste, left, share)


def preset(kind: str, side: int = 32) -> Augmentation:
    """The augmentation for a kind of pictures: "digits", "small", "photos" or "none".

    side: pixels of the shorter side; shifts grow with it (2 for digits of 28, 4 for small pictures of 32).
    """
    match kind:
        case "digits":
            return Augmentation(shift=max(1, round(side / 14)))
        case "small":
            return Augmentation(flip=True, shift=max(1, side // 8), padding="reflect")
        case "photos":
            return Augmentation(flip=True, crop=0.35)
        case "none":
            return Augmentation()
    raise UserError(
        f'there is no augmentation "{kind}"', remedy='choose "digits", "small", "photos" or "none"'
    )


def choose(
    height: int, width: int, channels: int, classes: Sequence[str], n_train: int
) -> tuple[str, Augmentation, str]:
    """The augmentation that suits the data: (kind, augmentation, the reason in a sentence for the run).

    Pictures are mirrored unless that may change what they mean: writing, classes that tell left from
    right, and classes that have numbers for names, because nothing is known of those (traffic signs are
    often filed so). Large pictures are cropped, but not writing and signs; others are shifted. A few
    thousand digits are turned and resized too.
    """
    side = min(height, width)
    writing, against = _against_mirroring(classes)
    if not against and channels == 1 and side < _PHOTO:
        writing, against = True, "small grey pictures are mostly writing"
    if side >= (_SURELY_PHOTO if writing else _PHOTO) and not (writing and channels == 1):
        kind = "photos"
    else:
        kind = "digits" if channels == 1 else "small"
    augmentation = preset(kind, side)
    if against:
        augmentation = replace(augmentation, flip=False)
    if augmentation.crops:
        done = f"cropped to {augmentation.crop:.0%} of the area or more"
    else:
        done = f"shifted by up to {augmentation.shift} pixels"
    if kind == "digits" and n_train < _FEW_DIGITS:
        augmentation = replace(augmentation, rotate=10.0, zoom=0.1, shear=5.0)
        done += ", turned and resized a little (few pictures)"
    return kind, augmentation, f"{done}, {f'not mirrored: {against}' if against else 'mirrored'}"


def _against_mirroring(classes: Sequence[str]) -> tuple[bool, str]:
    """Whether the classes may be writing or signs, and why left and right stay (empty: they need not)."""
    if all(name.isdigit() for name in classes):
        one = all(len(name) == 1 for name in classes)
        return True, "the classes are digits" if one else "the classes are numbers"
    if all(len(name) == 1 and name.isalnum() for name in classes):
        return True, "the classes are letters"
    for name in classes:
        if _LEFT_AND_RIGHT & set(re.findall(r"[a-z]+", name.lower())):
            return False, f'the class "{name}" tells left from right'
    return False, ""
