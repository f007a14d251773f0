"""WebDataset shards: tars in which files of one example share a name up to the first dot.

``0001.jpg`` with ``0001.cls`` (a number or a name), ``0001.json`` (``{"label": …}``) or ``0001.txt``. The
shards are read in place, by offset, in the order of their names.
"""

from __future__ import annotations

import glob
import itertools
import json
import re
from pathlib import Path

import numpy as np

from simplecell.data.pictures import Member, MemberPictures, member_content
from simplecell.data.sources import archive
from simplecell.data.sources.layout import is_hidden, is_picture
from simplecell.data.sources.source import ALL, Source, Table, ordered, side_name
from simplecell.errors import UserError

_LABELS = ("cls", "json", "txt")  # the first that an example has counts
_MAX_LABEL_BYTES = 1_000_000
_MAX_BRACES = 100_000
_PEEKED = 200


def recognises(path: Path) -> bool:
    """Whether a tar begins with pictures that have a label file beside them.

    In class folders a .json or .txt beside a picture is taken for a note, not for the label.
    """
    names = archive.first_names(path, _PEEKED)
    files = {_split(name) for name in names}
    keys = {_split(name)[0] for name in names if is_picture(name)}
    return any(
        (key, extension) in files for key in keys for extension in _LABELS[: 1 if "/" in key else None]
    )


def read(path: Path) -> Source:
    """Index a shard, a folder of shards, or those that a pattern such as ``train-{000..009}.tar`` names.

    A shard's name tells its side (``train-000.tar``); if none does, the data have no sides.
    """
    if path.is_dir():
        shards, base = sorted(path.glob("*.tar")), path
    else:
        shards, base = [path] if path.exists() else expand(path), path.parent
    if not shards:
        raise UserError("there are no shards (.tar) in it", where=path, remedy="give a folder of .tar files")

    pictures: dict[str, list[Member]] = {}
    labels: dict[str, list[str]] = {}
    named = any(_side(shard) for shard in shards)
    for shard in shards:
        side = (_side(shard) or re.sub(r"[-_.]?\d*$", "", shard.stem) or shard.stem) if named else ALL
        for picture, label in _examples(shard):
            pictures.setdefault(side, []).append(picture)
            labels.setdefault(side, []).append(label)
    if not pictures:
        raise UserError(
            "there are no pictures in the shards", where=path, remedy="give shards with .jpg and .cls"
        )

    classes = ordered(itertools.chain.from_iterable(labels.values()))
    numbers = {name: number for number, name in enumerate(classes)}
    tables = {
        side: Table(
            tuple(f"{member.archive.relative_to(base).as_posix()}/{member.name}" for member in members),
            np.array([numbers[label] for label in labels[side]], dtype=np.int64),
            MemberPictures(tuple(members)),
        )
        for side, members in pictures.items()
    }
    return Source(path, "shards", classes, tables)


def is_pattern(path: Path) -> bool:
    """Whether a path that names no file may be a pattern of shards."""
    return any(sign in path.name for sign in "*?[{") and not path.exists()


def expand(path: Path) -> list[Path]:
    """The files that a pattern in the last part of a path names; ``{000..009}`` and ``{a,b}`` included.

    A shard that braces name and that is absent is a UserError: a hole in the data is seldom meant.
    """
    names = [""]
    for piece in re.split(r"(\{[^{}]*\})", path.name):
        choices = _choices(piece)
        if len(names) * len(choices) > _MAX_BRACES:
            raise UserError("the pattern names too many shards", where=path, remedy="give their folder")
        names = [name + choice for name in names for choice in choices]
    found: list[Path] = []
    for name in names:
        if glob.has_magic(name):
            found += sorted(path.parent.glob(name))
        elif (path.parent / name).is_file():
            found.append(path.parent / name)
        else:
            raise UserError("the shard is absent", where=path.parent / name, remedy="correct the pattern")
    if not found:
        raise UserError("no file matches the pattern", where=path, remedy="correct it or give a folder")
    return list(dict.fromkeys(found))


def _choices(piece: str) -> list[str]:
    if not piece.startswith("{"):
        return [piece]
    span = re.fullmatch(r"\{(\d{1,9})\.\.(\d{1,9})\}", piece)
    if span is None:
        return piece[1:-1].split(",")
    low, high = span.groups()
    last = min(int(high), int(low) + _MAX_BRACES)
    return [f"{number:0{len(low)}d}" for number in range(int(low), last + 1)]


def _side(shard: Path) -> str | None:
    words = re.split(r"[-_.\s]", shard.stem)
    return next(filter(None, map(side_name, words)), None)


def _split(name: str) -> tuple[str, str]:
    """Key and extension of a member: folder and name up to the first dot of the name, and the rest."""
    folder, _, file = name.rpartition("/")
    stem, _, extension = file.partition(".")
    return f"{folder}/{stem}" if folder else stem, extension.lower()


def _examples(shard: Path) -> list[tuple[Member, str]]:
    """Picture and label of every example, in the order of the shard."""
    samples: dict[str, dict[str, Member]] = {}
    for member in archive.index(shard):
        if member.size >= 0 and not is_hidden(member.name):
            key, extension = _split(member.name)
            samples.setdefault(key, {})[extension] = member
    examples = []
    for key, files in samples.items():
        picture = next((member for extension, member in files.items() if is_picture(f"x.{extension}")), None)
        label = next((files[extension] for extension in _LABELS if extension in files), None)
        if picture and label:
            examples.append((picture, _label(label)))
        elif picture or label:
            absent = "label (.cls, .json or .txt)" if picture else "picture"
            raise UserError(f"example {key} has no {absent}", where=shard, remedy="make the shard again")
    return examples


def _label(member: Member) -> str:
    if member.size > _MAX_LABEL_BYTES:
        raise UserError(
            "the label is too long", where=member.where, remedy="put a class name or number there"
        )
    try:
        text = member_content(member).decode("utf-8-sig").strip()
        if member.name.lower().endswith(".json"):
            value = json.loads(text)["label"]
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise TypeError
            text = str(value).strip()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            "there is no label in it",
            where=member.where,
            remedy='put a class name or number there ({"label": …})',
        ) from error
    if not text:
        raise UserError("the label is empty", where=member.where, remedy="put a class name or number there")
    return text
