"""Nets of one's own: built by a function in a file, or given from Python as layers of torch.nn.

Both are named by a text that a run's settings and an artefact can hold: ``my_net.py:build``, or the layers
as JSON. A file is run again when a run is resumed or its artefact opened; the JSON runs nothing but torch.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from simplecell.errors import UserError
from simplecell.nets.described import describe, rebuild
from simplecell.own_code import importable, one_line, run_file, told_in_a_sentence

#: What a layer of a described net may make of pictures: so many times their values, or this many.
_MOST_GROWTH = 1024
_LEAST_ROOM = 2**26


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
    with importable(path.parent), told_in_a_sentence(path):
        net = found(**arguments)
    if not isinstance(net, nn.Module):
        raise UserError(f"returned {_a(net)} and no torch.nn.Module", where=where, remedy="return the net")
    with told_in_a_sentence(path):
        _try(net, where, **offered)
    return net


def to_text(net: nn.Module) -> str:
    """A net given from Python as one line of JSON, without its weights.

    Raises UserError where it is no net, and as ``describe``.
    """
    given: object = net
    if not isinstance(given, nn.Module):
        raise UserError(f"{_a(given)} is no torch.nn.Module", where="net", remedy="give a net or its name")
    return json.dumps(describe(net), separators=(",", ":"), sort_keys=True, allow_nan=False)


def from_text(text: str, *, channels: int, classes: int, height: int, width: int) -> nn.Module:
    """A freshly initialised net from what ``to_text`` wrote.

    Raises UserError where the text is not that, or the net does not make logits of such pictures.
    """
    try:
        description = json.loads(text)
    except (ValueError, RecursionError):
        description = None
    if not isinstance(description, dict):
        raise UserError(
            f"{text[:40]!r} is no net", where="net", remedy="give a net's name, or my_net.py:build"
        )
    _check_room(description, (2, channels, height, width))
    net = rebuild(description)
    try:
        _try(net, "net", channels=channels, classes=classes, height=height, width=width)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"it fails on pictures of {channels} × {height} × {width}: {one_line(error)}",
            where="net",
            remedy="make its layers fit the pictures",
        ) from error
    return net


class _Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within, an operation whose result has more values than ``most`` raises UserError."""

    def __init__(self, most: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._most = most

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = function(*args, **(kwargs or {}))
        largest = max((leaf.numel() for leaf in tree_leaves(results) if isinstance(leaf, Tensor)), default=0)
        if largest > self._most:
            raise UserError(
                f"a layer makes {largest:,} values of two pictures, more than {self._most:,}",
                where="net",
                remedy="make it smaller",
            )
        return results


def _check_room(description: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    """Raise UserError where a described net would not fit into memory, without making it: a number in a text
    that may come from anywhere can stand for terabytes."""
    with torch.device("meta"), torch.no_grad():  # which computes sizes and nothing else
        net, pictures = rebuild(description).eval(), torch.zeros(shape)
        try:
            with _Bounded(max(_LEAST_ROOM, _MOST_GROWTH * pictures.numel())):
                net(pictures)
        except UserError:
            raise
        except Exception:
            return  # told when it is tried on pictures


def _try(net: nn.Module, where: str, *, channels: int, classes: int, height: int, width: int) -> None:
    """Give the net two grey pictures and see that two rows of logits come out; nothing in it changes.

    Lazy layers learn their sizes here. The generator is where it was before, whatever the net draws.
    """
    training = net.training
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        logits = net.eval()(torch.zeros(2, channels, height, width))
    net.train(training)
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else _a(logits)
    if shape != (2, classes):
        raise UserError(
            f"makes {shape} of two pictures of {channels} × {height} × {width}, not (2, {classes})",
            where=where,
            remedy="make it give one logit a class",
        )


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
    module = run_file(path)
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if not key.startswith("_") and callable(value)]
        near = get_close_matches(name, own, n=1)
        raise UserError(
            f"there is no {name!r} in it",
            where=file,
            remedy=f"try {near[0]!r}" if near else f"define {name!r} there",
        )
    return path, getattr(module, name)


def _accepted(function: Callable[..., Any], offered: Mapping[str, int], where: str) -> dict[str, int]:
    """Those of the offered keywords that the function takes."""
    if getattr(function, "__init__", None) is nn.Module.__init__:
        return {}  # a module without a constructor of its own says **kwargs, and takes none
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
