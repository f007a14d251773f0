"""Nets of other libraries by name: ``timm:tf_efficientnet_lite0``, ``torchvision:resnet50``.

They are built without weights and without a download; ``simplecell.nets.pretrained`` has their weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from types import ModuleType
from typing import Any, NoReturn

import torch
from torch import nn

from simplecell.errors import UserError
from simplecell.own_code import one_line

LIBRARIES = ("timm", "torchvision")

#: Pictures with a shorter side under this are tried on the net, which may be made for larger ones; the second
#: is for nets whose auxiliary heads want more.
_USUAL, _LARGER = 224, 299
#: Nets of torchvision that warn unless they are told to draw their first weights.
_TOLD_TO_INITIALISE = ("googlenet", "inception_v3")


def is_borrowed(name: str) -> bool:
    """Whether a net's name is that of another library's net."""
    return name.startswith(tuple(f"{library}:" for library in LIBRARIES))


def build(name: str, *, channels: int, classes: int, height: int, width: int) -> nn.Module:
    """The net of another library, freshly initialised from torch's default generator.

    name: ``timm:NAME``, with or without the tag of its weights, or ``torchvision:NAME``.
    It takes normalised floats N, C, H, W and gives logits N, classes; in training mode those of torchvision
    with auxiliary heads give a tuple, the logits first.
    Raises UserError where the library is not installed, has no such net, or the net cannot take the pictures.
    """
    net = construct(name, channels=channels, classes=classes, height=height, width=width)
    if min(height, width) < _enough(name):
        _try(net, name, channels, height, width)
    return net


def construct(name: str, *, channels: int, classes: int, height: int, width: int, **more: Any) -> nn.Module:
    """As ``build``, without a look at whether such pictures are large enough.

    more: for ``timm.create_model``.
    """
    library, _, model = name.partition(":")
    if library == "timm":
        timm = import_timm()
        found = configuration(name)
        if found.fixed_input_size and (height, width) != tuple(found.input_size[1:]):
            more["img_size"] = (height, width)
        made: nn.Module = timm.create_model(
            model, **{"pretrained": False, "num_classes": classes, "in_chans": channels, **more}
        )
        return made
    return _from_torchvision(name, model, channels, classes, height, width)


def _from_torchvision(
    name: str, model: str, channels: int, classes: int, height: int, width: int
) -> nn.Module:
    from torchvision import models

    check_torchvision(name)
    if channels != 3:
        raise UserError(
            "torchvision's nets take pictures in colour", where=f"--net {name}", remedy="give --channels 3"
        )
    options: dict[str, Any] = {"weights": None, "num_classes": classes}
    if model in _TOLD_TO_INITIALISE:
        options["init_weights"] = True
    if model.startswith("vit_"):
        options["image_size"] = height
    if model.startswith("maxvit"):
        options["input_size"] = (height, width)
    with _told(name, f"cannot be built for pictures of {height} × {width}"):
        made: nn.Module = models.get_model(model, **options)
    return made


def normalised(name: str) -> bool:
    """Whether the net has batch normalisation."""
    with torch.random.fork_rng(devices=[]):
        net = construct(name, channels=3, classes=2, height=_USUAL, width=_USUAL)
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules())


def import_timm() -> ModuleType:
    """The library timm; a UserError says how to install it."""
    try:
        import timm
    except ImportError:
        raise UserError(
            "the library timm is not installed",
            where="--net",
            remedy="install it with `pip install simplecell[timm]`",
        ) from None
    return timm  # type: ignore[no-any-return]


def configuration(name: str) -> Any:
    """timm's ``PretrainedCfg`` of a net ``timm:NAME`` or ``timm:NAME.tag``: input size, mean, and so on."""
    timm = import_timm()
    model = name.partition(":")[2]
    bare, _, tag = model.partition(".")
    if not timm.is_model(bare):
        _refuse(name, f"timm has no net {bare!r}", bare, timm.list_models())
    tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{bare}.*")]
    if tag and tag not in tags:
        _refuse(name, f"timm has no weights of {bare} with the tag {tag!r}", tag, tags)
    return timm.models.get_pretrained_cfg(model)


def check_torchvision(name: str) -> None:
    """Raise UserError unless torchvision has a net of this name that classifies pictures."""
    from torchvision import models

    known = models.list_models(module=models)
    model = name.partition(":")[2]
    if model not in known:
        _refuse(name, f"torchvision has no net {model!r} for classes", model, known)


def _refuse(name: str, what: str, word: str, known: Sequence[str]) -> NoReturn:
    near = get_close_matches(word, known, n=1)
    more = ", …" if len(known) > 8 else ""
    remedy = f"did you mean {near[0]}" if near else f"there are {', '.join(known[:8])}{more}"
    raise UserError(what, where=f"--net {name}", remedy=remedy)


def _enough(name: str) -> int:
    return _LARGER if "inception_v3" in name else _USUAL


def _try(net: nn.Module, name: str, channels: int, height: int, width: int) -> None:
    """Give a copy of the net two grey pictures to learn from, so that auxiliary heads see them too."""
    with (
        _told(name, f"cannot take pictures of {height} × {width}"),
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
    ):
        copy.deepcopy(net).train()(torch.zeros(2, channels, height, width))


@contextmanager
def _told(name: str, what: str) -> Iterator[None]:
    """Whatever a library raises for pictures of that size becomes a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{what} ({one_line(error)})",
            where=f"--net {name}",
            remedy=f"give --size {_enough(name)}, or another net",
        ) from error
