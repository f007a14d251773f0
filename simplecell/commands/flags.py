"""Flags out of settings: a function whose signature is a settings class, as cyclopts reads it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from simplecell.settings import Field, fields_of

#: What several commands take, in the same words.
OUT = Annotated[Path | None, Parameter(name=("--out", "-o"), help="folder of the run; runs/… otherwise")]
CONFIG = Annotated[Path | None, Parameter(help="settings in TOML; flags overrule them")]
JSON = Annotated[bool, Parameter(negative=(), help="one JSON document on stdout")]
DEVICE = Annotated[str, Parameter(help="cpu, cuda, cuda:1, mps; auto is the fastest there")]
THREADS = Annotated[int, Parameter(help="0 is one a physical core")]

_P = inspect.Parameter


def flag(f: Field, order: int) -> inspect.Parameter:
    """The parameter of one setting. ``data`` stands without its name too."""
    options: dict[str, Any] = {"help": f.help, "show_default": f.default != ""}
    if f.group:
        options["group"] = Group(f.group.replace("_", " ").capitalize(), sort_key=order)
    if f.type is bool:
        options["negative"] = ()
    kind = _P.POSITIONAL_OR_KEYWORD if f.name == "data" else _P.KEYWORD_ONLY
    return _P(f.name, kind, default=f.default, annotation=Annotated[f.type, Parameter(**options)])


def parameters_of(cls: type) -> list[inspect.Parameter]:
    """The parameters of a settings class, group after group."""
    groups = list(dict.fromkeys(f.group for f in fields_of(cls).values()))
    return [flag(f, groups.index(f.group)) for f in fields_of(cls).values()]


def with_signature(
    parameters: list[inspect.Parameter], call: Callable[[dict[str, Any]], int], doc: str
) -> Callable[..., int]:
    """A function of these parameters that calls ``call`` with those that were given, by name."""
    signature = inspect.Signature(sorted(parameters, key=lambda p: p.kind))

    def command(*positional: Any, **named: Any) -> int:
        bound = signature.bind(*positional, **named)
        return call(dict(bound.arguments))

    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__doc__ = doc
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def own(name: str, annotation: Any, default: Any = _P.empty, positional: bool = False) -> inspect.Parameter:
    """A parameter that is no setting."""
    kind = _P.POSITIONAL_OR_KEYWORD if positional else _P.KEYWORD_ONLY
    return _P(name, kind, default=default, annotation=annotation)


def taken(given: dict[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Take the named values out of what was given, with their defaults."""
    return {name: given.pop(name, default) for name, default in names.items()}
