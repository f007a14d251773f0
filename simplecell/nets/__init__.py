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
from simplecell.nets.settings import KEYWORDS, Init, NetSettings

if TYPE_CHECKING:
    from torch import nn

#: From simple to deep.
NAMES: dict[str, str] = {
    "dense": "fully connected layers on the flattened picture, no convolution",
    "lenet5": "LeNet-5 (LeCun et al. 1998), with its partly connected third layer",
    "first-cnn": "two convolutions with pooling, a dense layer, dropout: a first convolutional net",
    "second-cnn": "two convolutions and a dense layer with batch normalisation, for traffic signs",
    "small": "a fast batch-normalised net for pictures of 24 to 128 px; the default",
    "airbench": "the net that reaches 94 % on CIFAR-10 soonest (Jordan 2024)",
    "alexnet": "AlexNet (Krizhevsky et al. 2012, 2014): five convolutions, three dense layers",
    "vgg11": "VGG of 11 layers (Simonyan and Zisserman 2015): nothing but 3×3 convolutions",
    "vgg11-bn": "VGG of 11 layers with batch normalisation",
    "vgg13": "VGG of 13 layers (Simonyan and Zisserman 2015)",
    "vgg13-bn": "VGG of 13 layers with batch normalisation",
    "vgg16": "VGG of 16 layers (Simonyan and Zisserman 2015)",
    "vgg16-bn": "VGG of 16 layers with batch normalisation",
    "vgg19": "VGG of 19 layers (Simonyan and Zisserman 2015)",
    "vgg19-bn": "VGG of 19 layers with batch normalisation",
    "googlenet": "GoogLeNet (Szegedy et al. 2015): inception modules and auxiliary heads",
    "resnet20": "residual net of 20 layers for CIFAR-10 (He et al. 2016, section 4.2)",
    "resnet32": "residual net of 32 layers for CIFAR-10",
    "resnet44": "residual net of 44 layers for CIFAR-10",
    "resnet56": "residual net of 56 layers for CIFAR-10",
    "resnet18": "residual net of 18 layers for ImageNet (He et al. 2016)",
    "resnet34": "residual net of 34 layers for ImageNet",
    "resnet50": "residual net of 50 layers for ImageNet, in bottlenecks",
    "resnet101": "residual net of 101 layers for ImageNet, in bottlenecks",
    "resnet152": "residual net of 152 layers for ImageNet, in bottlenecks",
}

#: What a name stands for: the module in this package, the class in it, and the settings that the name fixes.
_CLASSES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "dense": ("dense", "Dense", {}),
    "lenet5": ("lenet", "LeNet5", {}),
    "first-cnn": ("first_cnn", "FirstCNN", {}),
    "second-cnn": ("second_cnn", "SecondCNN", {}),
    "small": ("small", "Small", {}),
    "airbench": ("airbench", "Airbench", {}),
    "alexnet": ("alexnet", "AlexNet", {}),
    **{f"vgg{n}": ("vgg", "VGG", {"layers": n, "batch_norm": False}) for n in (11, 13, 16, 19)},
    **{f"vgg{n}-bn": ("vgg", "VGG", {"layers": n, "batch_norm": True}) for n in (11, 13, 16, 19)},
    "googlenet": ("googlenet", "GoogLeNet", {}),
    **{f"resnet{n}": ("cifar_resnet", "CifarResNet", {"layers": n}) for n in (20, 32, 44, 56)},
    **{f"resnet{n}": ("resnet", "ResNet", {"layers": n}) for n in (18, 34, 50, 101, 152)},
}

#: What a user calls the settings whose keyword is another.
_FLAGS = {keyword: flag for flag, keyword in KEYWORDS.items()}
#: Those that have no batch normalisation unless a setting asks for it.
_PLAIN = ("dense", "lenet5", "first-cnn", "alexnet", "vgg11", "vgg13", "vgg16", "vgg19")


def build(
    name: str,
    *,
    channels: int,
    classes: int,
    height: int,
    width: int,
    init: Init | None = None,
    **settings: Any,
) -> nn.Module:
    """The net of this name, freshly initialised from torch's default generator.

    name: one of NAMES; ``timm:NAME`` or ``torchvision:NAME``, a net of another library, without weights;
    ``my_net.py:build``, a function or class in a file of one's own; or the text of a net that
    ``simplecell.nets.outside.to_text`` wrote.
    channels, height, width: of the pictures it will be given. classes: how many logits it gives.
    init: how the weights of any net are drawn instead of its own way; "lsuv" needs pictures and so is left
    to ``simplecell.nets.init.lsuv``.
    settings: the net's own, for example ``dropout=0.2``; ``simplecell.nets.settings.chosen`` gives them.
    Raises UserError where the name or a setting is unknown, the pictures are too small for the net, or a net
    of one's own is at fault.
    """
    pictures = {"channels": channels, "classes": classes, "height": height, "width": width}
    make = _maker(name)
    fixed = make.keywords if isinstance(make, partial) else {}
    known = [key for key in inspect.signature(make).parameters if key not in pictures | fixed]
    for key in settings:
        if key not in known:
            asked, *words = (_FLAGS.get(word, word) for word in (key, *known))
            what = f"the net {name!r} has no setting {asked!r}"
            raise UserError(what, where="net", remedy=_remedy(asked, words))
    net = make(**pictures, **settings)
    if init not in (None, "lsuv"):
        importlib.import_module("simplecell.nets.init").initialise(net, init)
    return net


def normalised(name: str, settings: NetSettings | None = None) -> bool:
    """Whether the net has batch normalisation; of a net of one's own this is not known, and False."""
    if settings is not None and settings.batch_norm != "auto":
        return settings.batch_norm
    if name.startswith(("timm:", "torchvision:")):
        return bool(importlib.import_module("simplecell.nets.borrowed").normalised(name))
    return name in NAMES and name not in _PLAIN


def default(height: int, width: int) -> str:
    """The name of the net to start with at this picture size.

    It is ``small`` at every size: it grows by a stage with each doubling of the picture. Photographs
    larger than 128 px are better reduced to 128 px for it than shown to it whole.
    """
    return "small"


def _maker(name: str) -> Callable[..., nn.Module]:
    """What makes the net of this name from the pictures' numbers and settings."""
    if name in NAMES:
        module, attribute, fixed = _CLASSES[name]
        found = getattr(importlib.import_module(f"simplecell.nets.{module}"), attribute)
        return partial(found, **fixed)
    if name.startswith("{") or ".py:" in name:
        outside = importlib.import_module("simplecell.nets.outside")
        return partial(outside.from_text if name.startswith("{") else outside.from_file, name)
    if name.startswith(("timm:", "torchvision:")):
        return partial(importlib.import_module("simplecell.nets.borrowed").build, name)
    raise UserError(f"there is no net {name!r}", where="net", remedy=_remedy(name, list(NAMES)))


def _remedy(word: str, known: list[str]) -> str:
    """What to write instead: the nearest known word, or all of them where none is near."""
    near = get_close_matches(word, known, n=1)
    if near:
        return f"try {near[0]!r}"
    return "take one of " + ", ".join(known) if known else "leave it out: it has no settings"
