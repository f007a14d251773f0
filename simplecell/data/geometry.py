"""The first half of preprocessing: every picture brought to one size, on uint8, antialiased.

The second half, normalisation, is part of the net. Training, evaluation and prediction all put the fully
decoded picture through ``Geometry.fit``, so a picture means the same to each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simplecell.errors import UserError

WAYS = ("crop", "squash", "letterbox")
FILTERS = ("bilinear", "bicubic")

#: The grey that fills what a letterbox leaves empty, as in Darknet and YOLO.
LETTERBOX_GREY = 114

#: Before "crop" resizes, a picture loses its ends if it is this many times slimmer than the target.
#: Otherwise a strip of 1 × 100,000 pixels would grow to gigabytes of which only the middle is kept.
LONGEST_STRIP = 32


@dataclass(frozen=True)
class Geometry:
    """How a decoded picture becomes ``height`` × ``width`` × ``channels``.

    how: "crop" resizes until the picture just covers the target and keeps its middle; "squash" resizes
        both sides regardless of shape; "letterbox" fits the whole picture inside and pads with grey.
    channels: 1 (grey) or 3 (RGB).
    margin: for "crop", the share of each side that is kept: 0.875 is ImageNet's 256 → 224.
    filter: "bilinear" or "bicubic", both antialiased.

    Raises UserError for values outside these.
    """

    height: int
    width: int
    how: str = "crop"
    channels: int = 3
    margin: float = 1.0
    filter: str = "bilinear"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise UserError(
                f"pictures cannot be {self.height} × {self.width} pixels",
                where="geometry",
                remedy="give a height and a width of at least 1",
            )
        for name, kind, known in (
            (self.how, "way to fit a picture", WAYS),
            (self.filter, "filter to resize by", FILTERS),
        ):
            if name not in known:
                near = get_close_matches(name, known, 1, 0)[0]
                raise UserError(
                    f"no {kind} is called {name!r}",
                    where="geometry",
                    remedy=f"did you mean {near!r}? There are {', '.join(known)}",
                )
        if self.channels not in (1, 3):
            raise UserError(
                f"pictures cannot have {self.channels} channels",
                where="geometry",
                remedy="choose 1 (grey) or 3 (colour)",
            )
        if not 0 < self.margin <= 1:
            raise UserError(
                f"the margin is {self.margin}",
                where="geometry",
                remedy="choose a share above 0 and up to 1",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """height, width, channels."""
        return self.height, self.width, self.channels

    def keeps(self, height: int, width: int, channels: int) -> bool:
        """Whether a picture of this shape passes through ``fit`` untouched."""
        unmoved = self.how != "crop" or self.margin == 1.0
        return unmoved and (height, width, channels) == self.shape

    def fit(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture (uint8, H, W, 1 or 3) as uint8, height, width, channels.

        A picture that already fits is returned as it is, not copied.
        """
        if self.keeps(*picture.shape):
            return picture
        placed = {"crop": self._crop, "squash": self._squash, "letterbox": self._letterbox}[self.how]
        # Colour comes last: it is then a matter of the few pixels that are left.
        return with_channels(placed(picture), self.channels)

    def _squash(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return resize(picture, self.height, self.width, self.filter)

    def _crop(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        picture = self._without_far_ends(picture)
        height, width = picture.shape[:2]
        tall = round(self.height / self.margin)
        wide = round(self.width / self.margin)
        # As torchvision's Resize and CenterCrop: the longer side is cut down to a whole number.
        if tall * width <= wide * height:
            tall = wide * height // width
        else:
            wide = tall * width // height
        top = round((tall - self.height) / 2)
        left = round((wide - self.width) / 2)
        resized = resize(picture, tall, wide, self.filter)
        return np.ascontiguousarray(resized[top : top + self.height, left : left + self.width])

    def _without_far_ends(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = picture.shape[:2]
        slimness = max(self.height / self.width, self.width / self.height)
        longest = ceil(LONGEST_STRIP * slimness * min(height, width))
        top = max(0, height - longest) // 2
        left = max(0, width - longest) // 2
        return picture[top : top + longest, left : left + longest]

    def _letterbox(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width, channels = picture.shape
        scale = min(self.height / height, self.width / width)
        tall = min(self.height, max(1, round(height * scale)))
        wide = min(self.width, max(1, round(width * scale)))
        top = (self.height - tall) // 2
        left = (self.width - wide) // 2
        boxed = np.full((self.height, self.width, channels), LETTERBOX_GREY, dtype=np.uint8)
        boxed[top : top + tall, left : left + wide] = resize(picture, tall, wide, self.filter)
        return boxed

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Geometry:
        """The inverse of ``to_json``; raises UserError for a field that does not exist."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise UserError(
                    f"a geometry has no {name!r}", where="geometry", remedy=f"it has {', '.join(known)}"
                )
        return cls(**values)


def resize(
    picture: NDArray[np.uint8], height: int, width: int, filter: str = "bilinear"
) -> NDArray[np.uint8]:
    """The picture (uint8, H, W, C) at another size, bilinear or bicubic, and antialiased as in Pillow:
    uint8, height, width, C. A picture of that size is returned as it is."""
    if picture.shape[:2] == (height, width):
        return picture
    import torch  # here, since an exported net is asked without it
    from torch.nn.functional import interpolate

    if not picture.flags.writeable or min(picture.strides) < 0:  # torch takes neither
        picture = picture.copy()
    # The batch dimension comes first: added after permuting it would hide that this is channels-last, and
    # torch would turn the picture round and back, for three times the time.
    channels_last = torch.from_numpy(picture)[None].permute(0, 3, 1, 2)  # 1, C, H, W
    resized = interpolate(channels_last, (height, width), mode=filter, antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def bound(picture: NDArray[np.uint8], shorter: int) -> NDArray[np.uint8]:
    """The picture made smaller, if need be, so that its shorter side is at most ``shorter`` pixels."""
    height, width, _ = picture.shape
    return resize(picture, *bounded_size(height, width, shorter))


def bounded_size(height: int, width: int, shorter: int) -> tuple[int, int]:
    """The height and width that ``bound`` gives to a picture."""
    least = min(height, width)
    if least <= shorter:
        return height, width
    return round(height * shorter / least), round(width * shorter / least)


def with_channels(picture: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """The picture (uint8, …, 1 or 3) with this many channels.

    Colour becomes grey by the luma of ITU-R BT.601 (in Pillow's whole-number arithmetic); grey becomes
    colour by repetition.
    """
    if picture.shape[-1] == channels:
        return picture
    if channels == 3:
        return np.repeat(picture, 3, axis=-1)
    red, green, blue = (picture[..., channel].astype(np.uint32) for channel in range(3))
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return luma.astype(np.uint8)[..., None]
