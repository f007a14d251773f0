"""``simplecell data``: get a known data set, check what is wrong with one, split one without leaks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from simplecell.commands import eyes
from simplecell.errors import UserError

if TYPE_CHECKING:
    from simplecell.data.known import Known
    from simplecell.data.review import Review

#: Findings of a kind that are shown to eyes; --json and --page have more.
_SHOWN = 10


def get(
    name: str = "",
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: bool = False,
) -> int:
    """Fetch a well-known data set, checked by its published checksum, into a folder that trains.

    An interrupted download goes on where it stopped; a folder that has the data set already is left alone.
    Without a name, list the data sets that are known.

    Parameters
    ----------
    name
        Which data set; leave it out for a list.
    out
        The folder to make; by default the data set's name, in the current folder.
    json
        Print one JSON document on stdout.
    """
    from simplecell.data.known import KNOWN, find
    from simplecell.data.landing import land

    if not name:
        if json:
            eyes.answer([_about(known) for known in KNOWN.values()])
        else:
            eyes.table(
                [
                    {"name": known.name, "what": known.summary, "download": _megabytes(known.size)}
                    for known in KNOWN.values()
                ],
                sys.stderr,
            )
            eyes.say("Fetch one: simplecell data get NAME")
        return 0
    known = find(name)
    folder = out or Path(known.name)
    with eyes.progress(quiet=json):
        land(known, folder)
    if json:
        eyes.answer({**_about(known), "path": str(folder)})
        return 0
    eyes.say(f"{known.name} is in {folder}: {known.summary}. Licence: {known.licence}.")
    if known.note:
        eyes.say(f"Note: {known.note}.")
    eyes.say(f"Train on it: simplecell train classify {folder}")
    return 0


def check(
    path: Path,
    *,
    format: str = "auto",
    page: Path | None = None,
    strict: bool = False,
    json: bool = False,
) -> int:
    """Say what is wrong with a data set: every picture is opened and compared with all others.

    Counts by class and side, sizes, broken files, equal and nearly equal pictures, equal pictures with
    different labels, missing and tiny classes, imbalance; for each a verdict with what to do.

    Parameters
    ----------
    path
        The data set: a folder, a table, an archive, idx or binary files, shards.
    format
        How to read it; recognised by default.
    page
        Also write a page with pictures of each class, the repeated ones side by side, to this HTML file.
    strict
        Exit with status 1 if there is a fault or a warning.
    json
        Print all findings as one JSON document on stdout.
    """
    from simplecell.commands.check_page import write_page
    from simplecell.data.examine import examine
    from simplecell.data.sources import read_source

    source = read_source(path, format)
    with eyes.progress(quiet=json):
        found = examine(source)
    if page is not None:
        write_page(page, found, source)
    if json:
        eyes.answer(found.to_json())
    else:
        _show(found)
        if page is not None:
            eyes.say(f"The pictures are on {page}.")
    return 1 if strict and not found.sound else 0


def split(
    path: Path,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    format: str = "auto",
    validation: float = 0.1,
    test: float = 0.15,
    group: str = "",
    test_last: int = 0,
    folds: int = 0,
    force: bool = False,
    json: bool = False,
) -> int:
    """Divide a data set into train, validation and test, and write it down as a table; no picture is moved.

    Equal pictures never part, each class gets its share, and the same pictures always give the same sides.
    Sides that the data set brings are kept.

    Parameters
    ----------
    path
        The data set: a folder or a table of picture files.
    out
        The table to write (path, label, split and further columns); by default beside the data, named
        after them. With --folds one table a fold, each named after this one: NAME-fold1.csv, …
    format
        How to read the data; recognised by default.
    validation
        The share of the pictures that validates.
    test
        The share of the pictures that tests.
    group
        A column of the table; pictures with the same value in it stay on one side.
    test_last
        Test on the last N pictures of each class by name instead of a share.
    folds
        Write K tables for cross-validation: each picture that is not tested on validates in one of them.
    force
        Overwrite tables that exist.
    json
        Print one JSON document on stdout.
    """
    from simplecell.data.sources import read_source
    from simplecell.data.split_table import split_tables, table_text
    from simplecell.run import write_atomically

    source = read_source(path, format)
    target = out or _beside(path)
    targets = [target]
    if folds:
        targets = [target.with_name(f"{target.stem}-fold{number + 1}.csv") for number in range(folds)]
    for file in targets:
        if file.exists() and not force:
            raise UserError("this exists already", where=file, remedy="choose another --out or pass --force")
        if file.suffix.lower() != ".csv" or not file.parent.is_dir():
            raise UserError(
                "is no place for a table", where=file, remedy="give a .csv in a folder that exists"
            )
    with eyes.progress(quiet=json):
        divided, facts = split_tables(
            source, validation=validation, test=test, group=group, test_last=test_last, folds=folds
        )
    texts = [table_text(tables, source, file.parent) for tables, file in zip(divided, targets, strict=True)]
    for file, text in zip(targets, texts, strict=True):
        try:
            write_atomically(file, text)
        except OSError as error:
            raise UserError(
                f"cannot be written ({error.strerror})", where=file, remedy="choose another --out"
            ) from None
    counts = [{side: len(table) for side, table in tables.items()} for tables in divided]
    if json:
        eyes.answer({**facts, "tables": [str(file) for file in targets], "counts": counts})
        return 0
    rows = [{"table": str(file), **_texts(count)} for file, count in zip(targets, counts, strict=True)]
    eyes.table(rows, sys.stderr)
    eyes.say(f"Train on it: simplecell train classify {targets[0]}")
    return 0


def _about(known: Known) -> dict[str, object]:
    """A known data set as JSON values."""
    return {
        "name": known.name,
        "summary": known.summary,
        "licence": known.licence,
        "page": known.page,
        "bytes": known.size,
        "note": known.note,
    }


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _beside(path: Path) -> Path:
    """Where the table of a data set goes unless told otherwise; never over the data set itself."""
    whole = path.resolve()
    return (
        path.parent / f"{whole.stem}-split.csv" if whole.is_file() else whole.with_name(f"{whole.name}.csv")
    )


def _texts(counts: dict[str, int]) -> dict[str, str]:
    return {side: f"{count:,}" for side, count in counts.items()}


def _show(found: Review) -> None:
    """The findings for eyes: counts, sizes, what is broken or repeated, verdicts."""
    rows = [{"class": name, **_texts(counts)} for name, counts in found.counts.items()]
    total = {"class": "all", **_texts({side: found.total(side) for side in found.sides})}
    hidden = len(rows) - 2 * _SHOWN
    if hidden > 0:
        rows[_SHOWN:-_SHOWN] = [{"class": f"… {hidden:,} more classes", **dict.fromkeys(found.sides, "")}]
    eyes.table([*rows, total], sys.stderr)
    if found.height is not None:
        kinds = {"1": "grey", "3": "colour"}
        colours = ", ".join(f"{count:,} {kinds[channels]}" for channels, count in found.channels.items())
        eyes.say(f"Pixels: {found.height} high, {found.width} wide; {colours}.")
    for broken in found.broken:
        eyes.say(f"broken: {broken.fault}")
    for repeat in found.repeats[:_SHOWN]:
        eyes.say(
            f"{repeat.kind}: {repeat.first.id} ({repeat.first.label}) and "
            f"{repeat.second.id} ({repeat.second.label})"
        )
    if len(found.repeats) > _SHOWN:
        eyes.say(f"… and {len(found.repeats) - _SHOWN:,} more pairs: --json lists them all.")
    for verdict in found.verdicts:
        eyes.say(f"{verdict.grade}: {verdict.sentence}")
    if not found.verdicts:
        eyes.say("Nothing is wrong with these data.")
