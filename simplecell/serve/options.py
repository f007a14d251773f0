"""The options of an answer: fields of a settings dataclass, as a query gives them and as they are told."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from simplecell import settings
from simplecell.errors import UserError
from simplecell.settings import Field, fields_of

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def boolean(name: str, text: str) -> bool:
    """true or false. Raises UserError."""
    if (value := _BOOLEANS.get(text.lower())) is None:
        raise UserError(f"{name} cannot be {_short(text)!r}", remedy="it takes true or false")
    return value


def ask_of(cls: type, given: Mapping[str, str]) -> Any:
    """The ask that texts by name stand for; each is checked. Raises UserError."""
    fields = fields_of(cls)
    changes = {}
    for name, text in given.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1, 0.5)
            known = f"did you mean {near[0]}" if near else f"there are {', '.join(fields) or 'none'}"
            raise UserError(f"there is no option named {_short(name)!r}", remedy=known)
        changes[name] = _value(fields[name], text)
    return settings.replace(cls(), changes)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"


def _kinds(f: Field) -> tuple[Any, ...]:
    return get_args(f.type) if get_origin(f.type) in (Union, UnionType) else (f.type,)


def _value(f: Field, text: str) -> Any:
    """What the text means as the first of the field's types that it can be."""
    for kind in _kinds(f):
        if get_origin(kind) is Literal:
            for choice in get_args(kind):
                if text == str(choice):
                    return choice
        elif kind is bool:
            if text.lower() in _BOOLEANS:
                return _BOOLEANS[text.lower()]
        elif kind in (int, float):
            try:
                return kind(text)
            except ValueError:  # not a number, or one of more digits than Python reads
                continue
        else:
            return text
    raise UserError(
        f"{f.name} cannot be {_short(text)!r}", remedy=f"it takes {settings.describe_type(f.type)}"
    )


def describe(cls: type) -> dict[str, dict[str, Any]]:
    """Each option's type, default, help and bounds, as JSON values."""
    told: dict[str, dict[str, Any]] = {}
    for name, f in fields_of(cls).items():
        choices = [choice for kind in _kinds(f) for choice in get_args(kind)]
        plain = [kind.__name__ for kind in _kinds(f) if isinstance(kind, type)]
        told[name] = {"type": " or ".join(plain) or "choice", "default": f.default, "help": f.help}
        told[name] |= {"choices": choices} if choices else {}
        told[name] |= {bound: limit for bound, limit in f.limits.items() if limit is not None}
    return told


def schema(cls: type) -> dict[str, dict[str, Any]]:
    """Each option as a JSON schema."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    bounds = {"at_least": "minimum", "at_most": "maximum", "above": "exclusiveMinimum"}
    told: dict[str, dict[str, Any]] = {}
    for name, f in fields_of(cls).items():
        kinds = [{"enum": list(get_args(k))} if get_args(k) else {"type": names[k]} for k in _kinds(f)]
        limits = {bounds[k]: limit for k, limit in f.limits.items() if limit is not None}
        shape = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        told[name] = {**shape, **limits, "default": f.default, "description": f.help}
    return told
