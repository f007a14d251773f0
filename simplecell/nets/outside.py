"""Nets of one's own: built by a function in a file, or given from Python as layers of torch.nn.

A file is named again when a run is resumed or its artefact opened. Layers are written as JSON text, class
names and constructor arguments, and built again from it: no pickle, and no code but torch's is run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from simplecell.errors import UserError

#: Changes when ``describe`` writes what an older ``rebuild`` cannot read.
FORMAT = 1

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
#: What every module has: hooks, children, parameters and the like, which are compared in their own way.
_BOOKKEEPING = frozenset(vars(nn.Module()))
_TO_A_FILE = 'put a function that builds the net in a file and pass net="my_net.py:build"'


def from_file(reference: str, *, channels: int, classes: int, height: int, width: int) -> nn.Module:
    """The net that a function or class in a file builds: ``from_file("my_net.py:build", channels=1, …)``.

    It is called with those of the four keywords that its signature accepts, and must return a module that
    takes normalised floats N, C, H, W and gives logits N, classes.
    Raises UserError where there is no such file or name, where the file or the call fails, or where no
    module comes back.
    """
    path, found = load(reference)
    where = f"{path}:{reference.rpartition(':')[2]}"
    if isinstance(found, nn.Module):
        raise UserError(
            "is a net and not a function that builds one",
            where=where,
            remedy="write a function that returns a new net, so that a seed decides its first weights",
        )
    if not callable(found):
        raise UserError(
            f"is {_a(found)} and cannot be called", where=where, remedy="name a function that returns a net"
        )
    offered = {"channels": channels, "classes": classes, "height": height, "width": width}
    arguments = _accepted(found, offered, where)
    with _importable(path.parent), _told_in_a_sentence(path):
        net = found(**arguments)
    if not isinstance(net, nn.Module):
        raise UserError(f"returned {_a(net)} and no torch.nn.Module", where=where, remedy="return the net")
    return net


def load(reference: str) -> tuple[Path, Any]:
    """What ``file.py:name`` refers to: the file's full path, and the object of that name in it.

    The file is run once for each call, with its own folder importable, as a script's is.
    Raises UserError where the reference is not of that form, there is no such file or name, or it fails.
    """
    file, _, name = reference.rpartition(":")
    if not file or not name.isidentifier():
        raise UserError(
            "does not say which name in which file", where=reference, remedy="write it as my_net.py:build"
        )
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise UserError("there is no such file", where=file, remedy="give the path of a Python file")
    module = _run(path)
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if not key.startswith("_") and callable(value)]
        near = get_close_matches(name, own, n=1)
        raise UserError(
            f"there is no {name!r} in it",
            where=file,
            remedy=f"try {near[0]!r}" if near else f"define {name!r} there",
        )
    return path, getattr(module, name)


def describe(net: nn.Module) -> dict[str, Any]:
    """A net made of layers of torch.nn, as JSON values that ``rebuild`` makes an equal net from.

    Kept: the layers, their arguments and names, and which parameters are frozen. Not kept: the weights,
    which belong in a state dict.
    The description is tried before it is returned: what it rebuilds has the same settings, and parameters
    and buffers of the same names, shapes and types.
    Raises UserError where a layer is not one of torch.nn's, has hooks, shares parameters with another, or
    has an argument that its attributes do not tell.
    """
    if not isinstance(net, nn.Module):
        raise UserError(f"is {_a(net)} and no torch.nn.Module", where="net", remedy="give a net or its name")
    if len(list(net.parameters())) < len(list(net.named_parameters(remove_duplicate=False))):
        raise UserError("two of its layers share a parameter", where="net", remedy=_TO_A_FILE)
    frozen = [name for name, parameter in net.named_parameters() if not parameter.requires_grad]
    description = {"format": FORMAT, "net": _describe_layer(net, ""), "frozen": frozen}
    try:
        again = rebuild(description)
    except UserError as error:
        raise UserError(
            f"it cannot be written as text ({error.what})", where="net", remedy=_TO_A_FILE
        ) from error
    difference = _difference(net, again, "")
    if difference:
        raise UserError(f"{difference} cannot be written as text", where="net", remedy=_TO_A_FILE)
    return description


def rebuild(description: Mapping[str, Any]) -> nn.Module:
    """A freshly initialised net from what ``describe`` wrote.

    Nothing but layers of torch.nn is made, whatever the description says.
    Raises UserError where it is not a description, or not one that this version of torch can follow.
    """
    if description.get("format") != FORMAT:
        raise UserError(
            f"the description of the net has format {description.get('format')!r}, not {FORMAT}",
            where="net",
            remedy="use the version of simplecell that wrote it",
        )
    try:
        net = _rebuild_layer(description["net"])
        for name in description["frozen"]:
            net.get_parameter(name).requires_grad_(False)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"the description of the net does not fit torch {torch.__version__}: {error}",
            where="net",
            remedy="use the version of torch that wrote it",
        ) from error
    return net


def _describe_layer(layer: nn.Module, place: str) -> dict[str, Any]:
    kind = type(layer)
    if _torchs_own(kind.__name__) is not kind:
        raise UserError(f"{_name(layer, place)} is not a layer of torch.nn", where="net", remedy=_TO_A_FILE)
    if isinstance(layer, LazyModuleMixin):
        raise UserError(
            f"{_name(layer, place)} does not know its sizes yet",
            where="net",
            remedy="run a batch through the net before you pass it",
        )
    if any(hooks and "hooks" in key for key, hooks in vars(layer).items()):
        raise UserError(f"{_name(layer, place)} has hooks", where="net", remedy=_TO_A_FILE)
    if isinstance(layer, _CONTAINERS):
        children = [
            [name, _describe_layer(child, f"{place}.{name}".lstrip("."))]
            for name, child in layer._modules.items()  # named_children() leaves out a layer that stands twice
            if child is not None
        ]
        return {"class": kind.__name__, "layers": children}
    return {"class": kind.__name__, "arguments": _arguments(layer, place)}


def _arguments(layer: nn.Module, place: str) -> dict[str, Any]:
    """The constructor's arguments as the attributes of the same names tell them.

    An argument that left no attribute is taken to be its default; ``describe`` sees if it was not.
    """
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(type(layer)).parameters.items():
        variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if variadic or name in ("device", "dtype") or name.startswith("_"):
            continue
        if not hasattr(layer, name):
            if parameter.default is inspect.Parameter.empty:
                raise UserError(
                    f"{_name(layer, place)} does not tell its argument {name!r}",
                    where="net",
                    remedy=_TO_A_FILE,
                )
            continue
        value = getattr(layer, name)
        if name == "bias" and not isinstance(value, bool):  # the tensor, or None where there is none
            value = value is not None
        if not _is_json(value):
            raise UserError(
                f"{_name(layer, place)} has an argument {name!r} that is no number, text or list of them",
                where="net",
                remedy=_TO_A_FILE,
            )
        arguments[name] = _listed(value)
    return arguments


def _rebuild_layer(description: Mapping[str, Any]) -> nn.Module:
    kind = _torchs_own(description["class"])
    if kind is None:
        raise UserError(f"{description['class']!r} is not a layer of torch.nn", where="net")
    if not issubclass(kind, _CONTAINERS):
        return kind(**{name: _tupled(value) for name, value in description["arguments"].items()})
    container = kind()
    for name, child in description["layers"]:
        container.add_module(name, _rebuild_layer(child))
    return container


def _difference(one: nn.Module, other: nn.Module, place: str) -> str:
    """The first layer in which two nets differ by more than their tensors' values; "" where none does."""
    if type(one) is not type(other) or list(one._modules) != list(other._modules):
        return _name(one, place)
    if _tensors(one) != _tensors(other) or _settings(one) != _settings(other):
        return _name(one, place)
    for name, child in one._modules.items():
        twin = other._modules[name]
        if child is not None and twin is not None:
            difference = _difference(child, twin, f"{place}.{name}".lstrip("."))
            if difference:
                return difference
    return ""


def _tensors(layer: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Shape and type of a layer's own parameters and buffers."""
    tensors = {**layer._parameters, **layer._buffers}
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items() if tensor is not None}


def _settings(layer: nn.Module) -> dict[str, Any]:
    """All that a layer keeps beside tensors, children and what every module has."""
    return {name: _listed(value) for name, value in vars(layer).items() if name not in _BOOKKEEPING}


def _torchs_own(name: str) -> type[nn.Module] | None:
    """The layer of torch.nn of this name."""
    kind = getattr(nn, name, None)
    ours = (
        isinstance(kind, type)
        and issubclass(kind, nn.Module)
        and kind.__module__.startswith("torch.nn.modules.")
    )
    return kind if ours else None


def _is_json(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


def _listed(value: Any) -> Any:
    """Tuples, at any depth, as lists: JSON has no tuples."""
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def _tupled(value: Any) -> Any:
    """Lists, at any depth, as tuples: layers want their sizes so."""
    return tuple(_tupled(item) for item in value) if isinstance(value, list | tuple) else value


def _name(layer: nn.Module, place: str) -> str:
    kind = type(layer).__name__
    return f"its layer {place!r} ({kind})" if place else f"a {kind}"


def _run(path: Path) -> ModuleType:
    """Run a file as a module of a name that no other file gets."""
    name = f"simplecell_file_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError("is not a Python file", where=path, remedy="give a file whose name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and the like look their module up there
    try:
        with _importable(path.parent), _told_in_a_sentence(path):
            spec.loader.exec_module(module)
    except UserError:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """While it lasts, files of this folder can be imported by their names."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextmanager
def _told_in_a_sentence(path: Path) -> Iterator[None]:
    """Whatever the user's code raises becomes a UserError with the line of the file it came from."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
        ]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        raise UserError(
            f"{type(error).__name__}{f': {message}' if message else ''}",
            where=f"{path}, line {line}" if line else path,
            remedy="mend the file; --debug shows the whole traceback",
        ) from error


def _accepted(function: Callable[..., Any], offered: Mapping[str, int], where: str) -> dict[str, int]:
    """Those of the offered keywords that the function takes."""
    accepted: dict[str, int] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            return dict(offered)
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        by_keyword = parameter.kind is not inspect.Parameter.POSITIONAL_ONLY
        if by_keyword and name in offered:
            accepted[name] = offered[name]
        elif parameter.default is inspect.Parameter.empty:
            raise UserError(
                f"it needs an argument {name!r}, and only {', '.join(offered)} are given",
                where=where,
                remedy=f"give {name!r} a default value",
            )
    return accepted


def _a(value: object) -> str:
    """A value's type with its article: a list, an int, None."""
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
