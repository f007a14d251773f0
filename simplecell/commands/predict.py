"""predict and evaluate: what a trained net answers, and how good its answers are."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell.commands import eyes
from simplecell.errors import UserError, unreadable

if TYPE_CHECKING:
    from simplecell.predictions import Prediction

_AHEAD = 64


def paths_of(named: Sequence[str]) -> Iterator[Path]:
    """The pictures that names mean: files, folders (searched to the bottom), globs, - for names on stdin."""
    from simplecell.data.decode import PICTURE_SUFFIXES

    for name in named:
        if name in ("-", "/dev/stdin"):
            yield from paths_of([line.rstrip("\r\n") for line in sys.stdin if line.strip()])
            continue
        path = Path(name)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
            if not found:
                raise UserError("there are no pictures in this folder", where=path, remedy="name another")
            yield from found
        elif any(sign in name for sign in "*?[") and not path.exists():
            found = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
            if not found:
                raise UserError("this matches no file", where=name, remedy="check the pattern")
            yield from found
        else:
            yield path


class Pictures:
    """Decoded pictures in the order of their paths; those that cannot be read are kept in ``faults``."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = paths
        self.faults: list[tuple[str, UserError]] = []

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        with ThreadPoolExecutor(2) as pool:
            waiting = iter(self._paths)
            pending: list[tuple[str, Future[Any]]] = []
            while True:
                pending += [(str(p), pool.submit(_read, p)) for p in islice(waiting, _AHEAD - len(pending))]
                if not pending:
                    return
                path, future = pending.pop(0)
                try:
                    yield path, future.result()
                except UserError as error:
                    self.faults.append((path, error))


def _read(path: Path) -> Any:
    from simplecell.data.decode import decode

    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    return decode(content, str(path))


def predict(
    named: str,
    pictures: Sequence[str],
    ask: Any,
    *,
    weights: str,
    form: str,
    json_lines: bool,
    device: str,
    threads: int,
) -> int:
    """Answer for each picture on stdout; status 2 where one could not be read (each is told on stderr)."""
    from simplecell.commands.opening import answers_of

    source = Pictures(paths_of(pictures))
    with answers_of(named, source, ask, weights=weights, device=device, threads=threads) as answers:
        _write(answers, "json" if json_lines else form)
    for _, error in source.faults:
        eyes.say(str(error))
    return 2 if source.faults else 0


def _write(answers: Iterable[Prediction], form: str) -> None:
    if form == "json":
        for answer in answers:
            print(json.dumps(answer.to_json(), ensure_ascii=False), flush=True)
    elif form == "csv":
        writer = csv.writer(sys.stdout)
        for number, answer in enumerate(answers):
            row = answer.to_row()
            if number == 0:
                writer.writerow(row)
            writer.writerow(row.values())
    else:
        eyes.table([answer.to_row() for answer in answers])


def evaluate(
    named: str, data: str, *, weights: str, json_document: bool, device: str, threads: int, out: Path | None
) -> int:
    """The figures on the run's test side, or on other data."""
    from simplecell.commands.opening import open_net
    from simplecell.run import to_json, write_atomically

    opened = open_net(named, weights=weights, device=device, threads=threads)
    with eyes.progress(json_document):
        if data:
            examples = opened.task.open(str(Path(data).absolute()), opened.meaning)
        elif opened.task.data:
            examples = opened.task.load().test
        else:
            raise UserError("a model alone does not know its data", where=named, remedy="name DATA after it")
        if not len(examples):
            raise UserError(
                "there are no test pictures", where=data or opened.task.data, remedy="name DATA that has some"
            )
        figures = opened.figures_on(examples)
    if out is not None:
        write_atomically(out, to_json(figures))
    if json_document:
        eyes.answer(figures)
    else:
        eyes.say(f"{len(examples):,} {'pictures' if data else 'test pictures'} of {data or opened.task.data}")
        eyes.figures_table(figures)
    return 0
