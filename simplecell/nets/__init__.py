"""Nets, one file a paper. This file knows their names; a net's file is imported when it is built.

Every net takes normalised floats N, C, H, W and gives logits N, classes. Its class is called with
``channels``, ``classes``, ``height``, ``width`` and settings of its own, by keyword.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from simplecell.errors import UserError

if TYPE_CHECKING:
    from torch import nn

NAMES: dict[str, str] = {
    "small": "a fast batch-normalised net for pictures of 24 to 128 px; the default",
    "airbench": "the net that reaches 94 % on CIFAR-10 soonest (Jordan 2024)",
    "lenet5": "LeNet-5 (LeCun et al. 1998), with its partly connected third layer",
    "first-cnn": "two convolutions with pooling, a dense layer, dropout: a first convolutional net",
    "dense": "fully connected layers on the flattened picture, no convolution",
}

#: Where a name's class is: the module in this package, and the class in it.
_CLASSES = {
    "small": ("small", "Small"),
    "airbench": ("airbench", "Airbench"),
    "lenet5": ("lenet", "LeNet5"),
    "first-cnn": ("first_cnn", "FirstCNN"),
    "dense": ("dense", "Dense"),
}


def build(name: str, *, channels: int, classes: int, height: int, width: int, **settings: Any) -> nn.Module:
    """The net of this name, freshly initialised from torch's default generator.

    name: one of NAMES; ``my_net.py:build``, a function or class in a file of one's own; or the text of a net
    that ``simplecell.nets.outside.to_text`` wrote.
    channels, height, width: of the pictures it will be given. classes: how many logits it gives.
    settings: the net's own, for example ``hidden=(512, 512)`` of ``dense``.
    Raises UserError where the name or a setting is unknown, the pictures are too small for the net, or a net
    of one's own is at fault.
    """
    pictures = {"channels": channels, "classes": classes, "height": height, "width": width}
    make = _maker(name)
    known = [key for key in inspect.signature(make).parameters if key not in pictures]
    for key in settings:
        if key not in known:
            what = f"the net {name!r} has no setting {key!r}"
            raise UserError(what, where="net", remedy=_remedy(key, known))
    return make(**pictures, **settings)


def normalised(name: str) -> bool:
    """Whether the net has batch normalisation; of a net of one's own this is not known, and False."""
    return name in ("small", "airbench")


def default(height: int, width: int) -> str:
    """The name of the net to start with at this picture size.

    It is ``small`` at every size: it grows by a stage with each doubling of the picture. Photographs
    larger than 128 px are better reduced to 128 px for it than shown to it whole.
    """
    return "small"


def _maker(name: str) -> Callable[..., nn.Module]:
    """What makes the net of this name from the pictures' numbers and settings."""
    if name in NAMES:
        module, attribute = _CLASSES[name]
        found: Callable[..., nn.Module] = getattr(
            importlib.import_module(f"simplecell.nets.{module}"), attribute
        )
        return found
    if name.startswith("{") or ".py:" in name:
        outside = importlib.import_module("simplecell.nets.outside")
        return partial(outside.from_text if name.startswith("{") else outside.from_file, name)
    raise UserError(f"there is no net {name!r}", where="net", remedy=_remedy(name, list(NAMES)))


def _remedy(word: str, known: list[str]) -> str:
    """What to write instead: the nearest known word, or all of them where none is near."""
    near = get_close_matches(word, known, n=1)
    if near:
        return f"try {near[0]!r}"
    return "take one of " + ", ".join(known) if known else "leave it out: it has no settings"
