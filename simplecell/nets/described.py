"""A net of torch.nn's layers as JSON values, and back: no pickle, and no code but torch's is run."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from simplecell.errors import UserError
from simplecell.own_code import one_line

#: Changes when ``describe`` writes what an older ``rebuild`` cannot read.
FORMAT = 1

#: Parameters and buffers of a described net may have so many values together: 4 GB as float32. A description
#: is a text that may come from anywhere, and a few digits in it are terabytes.
MOST_VALUES = 2**30

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
#: What every module has: hooks, children, parameters and the like, which are compared in their own way.
_BOOKKEEPING = frozenset(vars(nn.Module()))
#: Layers of which a number in a description makes any number of layers; ``describe`` cannot tell them either.
_REPEATING = (nn.RNNBase, nn.Transformer)
_TO_A_FILE = 'put a function that builds the net in a file and pass net="my_net.py:build"'


def describe(net: nn.Module) -> dict[str, Any]:
    """A net made of layers of torch.nn, as JSON values that ``rebuild`` makes an equal net from.

    Kept: the layers, their arguments and names, and which parameters are frozen. Not kept: the weights,
    which belong in a state dict.
    The description is tried before it is returned: what it rebuilds has the same settings, and parameters
    and buffers of the same names, shapes and types.
    Raises UserError where a layer is not one of torch.nn's, has hooks, shares parameters with another, or
    has an argument that its attributes do not tell.
    """
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

    Nothing but layers of torch.nn is made, whatever the description says, and nothing larger than
    ``MOST_VALUES``.
    Raises UserError where it is not a description, or not one that this version of torch can follow.
    """
    if description.get("format") != FORMAT:
        raise UserError(
            f"the description of the net has format {description.get('format')!r}, not {FORMAT}",
            where="net",
            remedy="use the version of simplecell that wrote it",
        )
    try:
        with torch.device("meta"):  # which counts and holds nothing
            shell = _rebuild_layer(description["net"])
        values = sum(tensor.numel() for tensor in (*shell.parameters(), *shell.buffers()))
        if values > MOST_VALUES:
            raise UserError(
                f"its layers have {values:,} values, more than {MOST_VALUES:,}",
                where="net",
                remedy="make them smaller",
            )
        net = _rebuild_layer(description["net"])
        for name in description["frozen"]:
            net.get_parameter(name).requires_grad_(False)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"the description of the net does not fit torch {torch.__version__}: {one_line(error)}",
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
        raise UserError(
            f"{description['class']!r} is not a layer of torch.nn", where="net", remedy="name one that is"
        )
    if issubclass(kind, _REPEATING):
        raise UserError(f"{kind.__name__} has layers within", where="net", remedy=_TO_A_FILE)
    if not issubclass(kind, _CONTAINERS):
        arguments = dict(description["arguments"])
        if arguments.keys() & {"device", "dtype"}:
            raise UserError("a layer chooses its device or type", where="net", remedy="leave that out")
        return kind(**{name: _tupled(value) for name, value in arguments.items()})
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
