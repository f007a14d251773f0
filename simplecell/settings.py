"""Settings are typed Python: a frozen dataclass is the command line's flags and the TOML at once.

A settings class has plain fields (bool, int, float, str, Literal, and unions of them) and groups, which
are fields whose type is a dataclass of plain fields. Names are unique across groups, so that a flag needs
no prefix: ``training.batch_size`` is ``--batch-size`` and, in TOML, ``batch_size`` in ``[training]``.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from simplecell.errors import UserError

T = TypeVar("T")

_LARGEST = 2**63 - 1  # whole number that TOML holds
_LONGEST_TOML = 1 << 24  # bytes; a net described in it takes some thousands

#: What a setting may be instead of a value that is to be chosen or measured.
Auto = Literal["auto"]


def setting(
    default: Any,
    help: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    place: bool = False,
) -> Any:
    """A field of a settings class: its default, its line of help and its bounds.

    place: the value is a place on this machine (a path, a device); it stays out of the artefact, which
    must not differ between equal runs.
    """
    limits = {"at_least": at_least, "at_most": at_most, "above": above}
    return dataclasses.field(default=default, metadata={"help": help, "limits": limits, "place": place})


@dataclasses.dataclass(frozen=True)
class Field:
    """One setting: where it stands in its class and what may stand in it."""

    name: str
    group: str  # name of the group's field; "" for the task's own
    type: Any
    default: Any
    help: str
    limits: Mapping[str, float | None]
    place: bool

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def fields_of(cls: type) -> dict[str, Field]:
    """Every setting of a class by name, the task's own first, then group by group."""
    found: dict[str, Field] = {}
    hints = get_type_hints(cls)
    groups: list[tuple[str, type]] = [("", cls)]
    groups += [(f.name, hints[f.name]) for f in dataclasses.fields(cls) if _is_group(hints[f.name])]
    for group, owner in groups:
        types = get_type_hints(owner)
        for f in dataclasses.fields(owner):
            if _is_group(types[f.name]):
                continue
            if f.name in found:
                raise TypeError(f"two settings of {cls.__name__} are named {f.name}")
            found[f.name] = Field(
                f.name,
                group,
                types[f.name],
                f.default,
                f.metadata.get("help", ""),
                f.metadata.get("limits", {}),
                f.metadata.get("place", False),
            )
    return found


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def flatten(settings: Any) -> dict[str, Any]:
    """Every setting's value by its name."""
    return {
        name: getattr(getattr(settings, f.group) if f.group else settings, name)
        for name, f in fields_of(type(settings)).items()
    }


def flat_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a settings table by name, its groups' among them; no settings class is needed."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        flat.update(value if isinstance(value, Mapping) else {name: value})
    return flat


def replace(settings: T, changes: Mapping[str, Any], where: str = "") -> T:
    """The settings with some values changed, by name; each is checked."""
    fields = fields_of(type(settings))
    own: dict[str, Any] = {}
    grouped: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        if name not in fields:
            raise _unknown(name, fields, where)
        f = fields[name]
        target = grouped.setdefault(f.group, {}) if f.group else own
        target[name] = _checked(f, value, where)
    for group, values in grouped.items():
        own[group] = dataclasses.replace(getattr(settings, group), **values)
    return dataclasses.replace(settings, **own)  # type: ignore[type-var]


def check(settings: Any) -> None:
    """Raise a UserError for the first value that its setting cannot take."""
    replace(settings, flatten(settings))


def _unknown(name: str, known: Iterable[str], where: str) -> UserError:
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else "see the task's --help for its settings"
    return UserError(f"there is no setting named {name}", where=where, remedy=hint.rstrip("?"))


def _checked(f: Field, value: Any, where: str) -> Any:
    kinds = get_args(f.type) if get_origin(f.type) in (Union, UnionType) else (f.type,)
    for kind in kinds:
        if get_origin(kind) is Literal:
            if any(value == choice and type(value) is type(choice) for choice in get_args(kind)):
                return value
        elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            if abs(value) <= sys.float_info.max:  # neither infinite nor NaN
                return _within(f, float(value), where)
        elif kind is int and isinstance(value, int) and not isinstance(value, bool):
            if -_LARGEST - 1 <= value <= _LARGEST:
                return _within(f, value, where)
        elif kind in (str, bool) and isinstance(value, kind):
            return value
    raise UserError(
        f"{f.name} cannot be {_in_short(value)}", where=where, remedy=f"it takes {describe_type(f.type)}"
    )


def _in_short(value: Any) -> str:
    """A value as a part of a sentence."""
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        return "a number of more than 64 bits"  # Python writes none of thousands of digits
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _within(f: Field, value: Any, where: str) -> Any:
    low, high, above = (f.limits.get(k) for k in ("at_least", "at_most", "above"))
    if low is not None and not value >= low:
        raise UserError(f"{f.name} cannot be {value}", where=where, remedy=f"give {low} or more")
    if above is not None and not value > above:
        raise UserError(f"{f.name} cannot be {value}", where=where, remedy=f"give more than {above}")
    if high is not None and not value <= high:
        raise UserError(f"{f.name} cannot be {value}", where=where, remedy=f"give {high} or less")
    return value


def describe_type(kind: Any) -> str:
    """What a setting takes, in words."""
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(describe_type(k) for k in get_args(kind))
    if get_origin(kind) is Literal:
        return "|".join(str(choice) for choice in get_args(kind))
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return words.get(kind, str(kind))


def to_table(settings: Any, *, places: bool = True) -> dict[str, Any]:
    """The settings as nested tables, ready for TOML or JSON; without places on request."""
    table: dict[str, Any] = {}
    values = flatten(settings)
    for name, f in fields_of(type(settings)).items():
        if places or not f.place:
            (table.setdefault(f.group, {}) if f.group else table)[name] = values[name]
    return table


def from_table(cls: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """The settings that a nested (or flat) table holds; a key that is absent keeps its default."""
    groups = {f.group for f in fields_of(cls).values() if f.group}
    changes: dict[str, Any] = {}
    for name, value in table.items():
        if name in groups and isinstance(value, Mapping):
            changes.update(value)
        elif isinstance(value, Mapping):
            raise _unknown(name, groups, where)
        else:
            changes[name] = value
    return replace(cls(), changes, where)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a table; a UserError names the file, and the line where it breaks."""
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_TOML + 1)
        if len(content) > _LONGEST_TOML:
            raise UserError("it is too long for settings", where=path, remedy="name a TOML file of settings")
        return tomllib.loads(content.decode("utf-8"))
    except FileNotFoundError:
        raise UserError("there is no such file", where=path, remedy="check the path") from None
    except IsADirectoryError:
        raise UserError("this is a folder", where=path, remedy="name a TOML file") from None
    except OSError as error:
        what = f"it cannot be read ({error.strerror or error})"
        raise UserError(what, where=path, remedy="check the path and its permissions") from None
    except UnicodeDecodeError:
        raise UserError("this is not UTF-8 text", where=path, remedy="save it as UTF-8") from None
    except ValueError as error:  # TOMLDecodeError, or that of a number with thousands of digits
        raise UserError(f"this is not TOML ({error})", where=path, remedy="mend that line") from None
    except RecursionError:
        raise UserError("lists or tables are nested too deeply", where=path, remedy="mend the file") from None


def to_toml(table: Mapping[str, Any]) -> str:
    """TOML for tables (nested to any depth) of booleans, numbers, strings and lists of them."""
    lines: list[str] = []
    _write_table(table, "", lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _write_table(table: Mapping[str, Any], prefix: str, lines: list[str]) -> None:
    tables = {k: v for k, v in table.items() if isinstance(v, Mapping)}
    lines.extend(f"{_key(k)} = {_value(v)}" for k, v in table.items() if k not in tables)
    for name, inner in tables.items():
        title = f"{prefix}.{_key(name)}" if prefix else _key(name)
        lines += ["", f"[{title}]"]
        _write_table(inner, title, lines)


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isascii() and plain.isalnum() else _text(name)


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped, and lone surrogates, which a
    # file name that is not UTF-8 brings along and TOML cannot hold.
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"{value!r} is not UTF-8", remedy="rename the file or folder") from None
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    raise TypeError(f"{value!r} has no place in settings")
