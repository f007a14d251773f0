"""Weights that others trained, put into a net: fetched once, known by their sha256, fitted name by name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import torch
from torch import Tensor, nn

from simplecell import artefact
from simplecell.data.batches import Examples
from simplecell.data.download import TIMEOUT, fetch
from simplecell.data.geometry import Geometry
from simplecell.data.settings import PictureSettings
from simplecell.errors import UserError
from simplecell.learn.stages import Fit
from simplecell.nets import borrowed, imagenet
from simplecell.nets.pretrained import Preprocessing, Pretrained
from simplecell.own_code import one_line

#: PyTorch publishes weights with the first digits of their sha256 in the name: resnet50-11ad3fa6.pth.
_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.")
#: Under these keys training scripts keep the weights beside other things.
_INSIDE = ("state_dict", "model", "model_state_dict")
#: DenseNet's layers were renamed after its weights were published: norm.1 became norm1.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
_ELSEWHERE = "give --weights FILE, or --weights none to begin without"


def geometry_of(wanted: Preprocessing) -> Geometry:
    """What pictures are fitted to for a net with such weights."""
    side, channels = wanted.size, wanted.channels
    return Geometry(side, side, wanted.fit, channels, wanted.margin, wanted.filter)


def meaning_of(found: Pretrained) -> dict[str, Any]:
    """What the answers of a net with published weights mean: classes, geometry, mean and deviation.

    Raises UserError where nobody knows the classes, or how the weights want pictures.
    """
    wanted = found.preprocessing
    if wanted is None or found.classes is None:
        raise UserError(
            "these weights do not tell what classes they know, or how they want pictures",
            where=f"weights {found}",
            remedy=f"teach them yours: simplecell train classify DATA --net {found.net} --freeze",
        )
    return {
        "classes": list(found.classes),
        "geometry": geometry_of(wanted).to_json(),
        "mean": list(wanted.mean),
        "deviation": list(wanted.deviation),
    }


def as_trained(asked: PictureSettings, wanted: Preprocessing) -> PictureSettings:
    """The settings of pictures with every "auto" replaced by what the weights were trained with.

    Raises UserError where other channels are asked for.
    """
    if asked.channels not in ("auto", wanted.channels):
        raise UserError(
            f"the weights are for pictures of {wanted.channels} channel(s)",
            where=f"--channels {asked.channels}",
            remedy="leave it out, or give --weights none",
        )
    usual = {"size": wanted.size, "fit": wanted.fit, "channels": wanted.channels}
    changes: dict[str, Any] = {name: v for name, v in usual.items() if getattr(asked, name) == "auto"}
    return replace(asked, **changes)


def same_classes(found: Pretrained, classes: Sequence[str]) -> bool | None:
    """Whether the weights were trained for these classes in this order; None where nobody knows."""
    if found.classes is None:
        return None
    if found.classes == imagenet.names() and len(classes) == len(found.classes):
        return imagenet.places(classes) == list(range(len(classes)))
    return tuple(classes) == found.classes


def told(found: Pretrained | None, classes: Sequence[str]) -> list[str]:
    """Where a net's weights come from, in words for the run; nothing where they are random."""
    if found is None:
        return []
    heads = {
        True: "its last layer too",
        False: "its last layer is new, for these classes",
        None: "its last layer too if that fits",
    }
    return [f"begins with the weights {found}; {heads[same_classes(found, classes)]}"]


# ---- fetching


def obtain(found: Pretrained) -> Path:
    """The file of the weights, fetched if need be to where their library keeps it too.

    Raises UserError where it cannot be had.
    """
    if found.kind == "torchvision" or (found.kind == "timm" and found.source.startswith("http")):
        return _from_address(found)
    if found.kind == "timm":
        return _from_hub(found)
    return Path(found.source)


def _from_address(found: Pretrained) -> Path:
    name = Path(urlsplit(found.source).path).name
    digits = _DIGITS.search(name)
    if digits is None:
        raise UserError(
            f"{found.source} has no published checksum",
            where=f"--weights {found.name}",
            remedy="fetch it yourself and give --weights FILE",
        )
    place = Path(torch.hub.get_dir()) / "checkpoints" / name
    try:
        return fetch(found.source, place, checksum=f"sha256:{digits[1]}")
    except UserError as error:
        remedy = f"{error.remedy}; or {_ELSEWHERE}"
        raise UserError(error.what, where=f"weights {found}", remedy=remedy) from error


def _from_hub(found: Pretrained) -> Path:
    """From the Hugging Face hub, where timm's weights are, into that library's cache."""
    import huggingface_hub as hub

    file = "model.safetensors"
    held = hub.try_to_load_from_cache(found.source, file)
    if isinstance(held, str):
        return Path(held)
    where, address = f"weights {found}", hub.hf_hub_url(found.source, file)
    if not _answers(address):  # the hub's own client would try for half a minute
        raise UserError(f"{address} cannot be reached", where=where, remedy=_ELSEWHERE)
    try:
        return Path(hub.hf_hub_download(found.source, file))
    except Exception as error:
        raise UserError(
            f"{address} cannot be fetched ({one_line(error)})", where=where, remedy=_ELSEWHERE
        ) from error


def _answers(address: str) -> bool:
    """Whether a server answers there, be it with an error."""
    try:
        with urlopen(Request(address, method="HEAD"), timeout=TIMEOUT):
            return True
    except HTTPError:
        return True
    except OSError:
        return False


def identify(found: Pretrained, sha256: str = "") -> tuple[Path, str]:
    """The file of the weights, fetched if need be, and the hexadecimal digits of its sha256.

    sha256: what the digits have to be, if not empty. Raises UserError where the file is another one.
    """
    path = obtain(found)
    try:
        with path.open("rb") as file:
            digits = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"it cannot be read ({error.strerror})", where=path, remedy="make it readable"
        ) from None
    if sha256 not in ("", digits):
        raise UserError(
            f"these are other weights than the run is to begin with: their sha256 is {digits}",
            where=path,
            remedy="restore the file, or leave out --weights-sha256",
        )
    return path, digits


# ---- loading


def weights_stage(found: Pretrained, sha256: str, head: Sequence[str], same: bool | None) -> Fit:
    """A stage that puts the weights into a net's submodule ``body``.

    sha256: of the file that the run began with; another is refused. head, same: see ``load``.
    """

    def fit(net: nn.Module, examples: Examples) -> None:
        path, _ = identify(found, sha256)
        load(net.get_submodule("body"), found, path, head, same)

    return Fit("weights", fit)


def load(body: nn.Module, found: Pretrained, path: Path, head: Sequence[str], same: bool | None) -> None:
    """Copy the weights into a net.

    head: the names of what depends on the number of classes. It begins anew where the classes are others
    (``same`` is False), or where they may be (None) and the shapes say so. A linear layer then begins at zero
    (as in Kolesnikov et al.: Big Transfer, ECCV 2020): of what it is drawn at random, and timm draws it large
    for few classes, the training pictures undo only what they show (cats and dogs, EfficientNet-Lite0 frozen:
    91.9 % of test pictures from random weights, 99.2 % from zero).
    Raises UserError, naming the first tensor, where anything else does not fit.
    """
    state = _state(body, found, path)
    own = body.state_dict(keep_vars=True)
    fresh = {name for name in head if not same and (same is False or _other(state, name, own[name]))}
    for name, tensor in own.items():
        if name in fresh or (name not in state and name.endswith("num_batches_tracked")):
            continue
        if name not in state:
            raise _misfit(f"lacks {name}", found, path)
        if state[name].shape != tensor.shape:
            shapes = f"{tuple(state[name].shape)} where the net has {tuple(tensor.shape)}"
            raise _misfit(f"has {name} of shape {shapes}", found, path)
    foreign = [name for name in state if name not in own]
    if foreign:
        raise _misfit(f"has {foreign[0]}, which the net has not", found, path)
    with torch.no_grad():
        for name, tensor in own.items():
            if name in fresh:
                if isinstance(body.get_submodule(name.rpartition(".")[0]), nn.Linear):
                    tensor.zero_()
            elif name in state:
                tensor.copy_(state[name])


def _other(state: Mapping[str, Tensor], name: str, tensor: Tensor) -> bool:
    return name not in state or state[name].shape != tensor.shape


def _misfit(what: str, found: Pretrained, path: Path) -> UserError:
    return UserError(
        f"the weights are not of the net {found.net[:40]}: the file {what}",
        where=path,
        remedy="name the net that they belong to, with the size it was trained at",
    )


def _state(body: nn.Module, found: Pretrained, path: Path) -> Mapping[str, Tensor]:
    """The weights under the names that the net has for them."""
    if found.kind == "timm":
        return _converted_by_timm(found, path)
    state = read_tensors(path)
    if found.kind == "model":
        inner = {name.removeprefix("body."): t for name, t in state.items() if name.startswith("body.")}
        if not inner:
            raise UserError("it holds no net of this kind", where=path, remedy="name a run that has one")
        return inner
    if found.kind == "package":
        # The package names its layers otherwise; they come in the same order.
        names = _full(found).state_dict()
        return dict(zip(names, state.values(), strict=True))
    return {_OLD_DENSENET.sub(r"\1\2.", name): tensor for name, tensor in state.items()}


def _full(found: Pretrained, **more: Any) -> nn.Module:
    """timm's net with all classes of its weights, at their size."""
    net = f"{found.net.partition('.')[0]}.{found.name}"
    channels, side, _ = borrowed.configuration(net).input_size
    classes = borrowed.configuration(net).num_classes
    with torch.random.fork_rng(devices=[]):
        return borrowed.construct(net, channels=channels, classes=classes, height=side, width=side, **more)


def _converted_by_timm(found: Pretrained, path: Path) -> Mapping[str, Tensor]:
    """timm reads the file into a net of its own: it knows how older files have to be renamed."""
    try:
        full = _full(found, pretrained=True, pretrained_cfg_overlay={"file": str(path)})
    except Exception as error:
        raise UserError(
            f"timm cannot load it ({one_line(error)})", where=path, remedy="remove it, and it is fetched anew"
        ) from error
    return full.state_dict()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors by name in a .safetensors file, or one that ``torch.save`` wrote; no code in it is run.

    In the latter they may stand below "state_dict" or "model", and behind "module.", as data parallel
    training leaves them.
    Raises UserError where the file is neither, or holds more than tensors.
    """
    if path.suffix == ".safetensors":
        return artefact.read_tensors(path)
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        what = f"it cannot be read ({error.strerror})"
        raise UserError(what, where=path, remedy="check the path") from None
    except Exception as error:
        code = "GLOBAL" in str(error)  # the name of something that pickle would call
        raise UserError(
            "it holds more than tensors, which could be code that runs when it is read"
            if code
            else "this is no file of weights",
            where=path,
            remedy="save the state dict alone, as .safetensors",
        ) from error
    for key in _INSIDE:
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
            break
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(each, Tensor) for name, each in value.items()
    ):
        raise UserError(
            "it is no state dict: not everything in it is a tensor",
            where=path,
            remedy="save the state dict alone, as .safetensors",
        )
    return {name.removeprefix("module."): tensor for name, tensor in value.items()}
