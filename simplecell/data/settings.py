"""The settings that tasks on pictures share: what the pictures are, and what training does to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simplecell.settings import Auto, setting


@dataclass(frozen=True)
class PictureSettings:
    """What the pictures are, and how they are divided and brought to one size."""

    format: str = setting("auto", "folder, table, idx, cifar, archive or shards")
    size: int | Auto = setting(
        "auto", "side in pixels; auto goes by the pictures' own", at_least=8, at_most=4096
    )
    fit: Literal["auto", "crop", "squash", "letterbox"] = setting("auto", "how a picture becomes square")
    channels: Literal["auto", 1, 3] = setting("auto", "1 is grey, 3 is colour")
    validation: float = setting(
        0.1, "share set aside where the data have no such side", at_least=0, at_most=0.5
    )
    test: float = setting(0.15, "share set aside where the data have no such side", at_least=0, at_most=0.5)
    test_last: int = setting(0, "the last so many of each class, by name, are the test side", at_least=0)
    group: str = setting("", "column of the table whose equal values stay on one side")
    skip_broken: bool = setting(False, "go on without pictures that cannot be read")
    drop_leaks: bool = setting(
        False, "drop training pictures that (nearly) equal others across the data's own sides"
    )
    balance: Literal["none", "weights", "order"] = setting(
        "none", "rare classes weigh more, or come more often"
    )


@dataclass(frozen=True)
class AugmentSettings:
    """What is done to training pictures at random; auto is the preset that fits the data."""

    augment: Literal["auto", "none", "digits", "small", "photos"] = setting(
        "auto", "preset; the run states which, and why"
    )
    flip: bool | Auto = setting("auto", "mirror each picture in every other epoch")
    shift: int | Auto = setting("auto", "move by up to so many pixels", at_least=0)
    crop: float | Auto = setting(
        "auto", "smallest share of the area that a random crop keeps", above=0, at_most=1
    )
    colour: float | Auto = setting(
        "auto", "change brightness, contrast and saturation", at_least=0, at_most=1
    )
    rotate: float | Auto = setting("auto", "degrees", at_least=0, at_most=180)
    zoom: float | Auto = setting("auto", "share", at_least=0, at_most=0.9)
    shear: float | Auto = setting("auto", "degrees", at_least=0, at_most=80)
    trivial: bool | Auto = setting("auto", "TrivialAugment")
    mixup: float | Auto = setting("auto", "alpha", at_least=0)
    cutmix: float | Auto = setting("auto", "alpha", at_least=0)
    erase: float | Auto = setting("auto", "probability", at_least=0, at_most=1)
