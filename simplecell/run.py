"""The run folder: the record of one training, from its settings to its artefact.

settings.toml       what was asked, and what was measured at the start; there before data are read
data.json           what the data are, and what was left out
environment.json    versions and machine
initial.safetensors the first weights, where the net was given from Python
metrics.jsonl       one line an interval or evaluation
checkpoints/        last.safetensors, replaced atomically
model.safetensors   the artefact; there once the run has finished
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simplecell.errors import UserError
from simplecell.settings import read_toml, to_toml

FORMAT = 1


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a whole file or leave what was there: temporary file, fsync, rename, fsync of the folder."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno:
            error.filename = str(path)  # a full disk names no file, a failed open the temporary one
        raise
    with contextlib.suppress(OSError):  # not every file system lets a folder be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def to_json(value: Any) -> str:
    """JSON for a person's eyes and for comparison: indented, keys in order."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Run:
    """A run folder. Opening one reads nothing but whether it is one."""

    path: Path

    @classmethod
    def create(cls, path: Path, task: str, asked: Mapping[str, Any]) -> Run:
        """Make the folder with its settings.toml; a folder that holds anything is refused."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(
                "this exists already", where=path, remedy="choose another --out or go on with `resume`"
            )
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        run.write_settings(task, asked, {})
        return run

    @classmethod
    def open(cls, path: Path) -> Run:
        if not (path / "settings.toml").is_file():
            missing = (
                "this is no run folder (it has no settings.toml)" if path.exists() else "there is no such run"
            )
            raise UserError(missing, where=path, remedy="see `simplecell runs` for those there are")
        return cls(path)

    def write_settings(self, task: str, asked: Mapping[str, Any], measured: Mapping[str, Any]) -> None:
        """Record what was asked and, beside it, what was measured or chosen at the start."""
        table: dict[str, Any] = {"format": FORMAT, "task": task, "settings": asked}
        if measured:
            table["measured"] = measured
        write_atomically(self.path / "settings.toml", to_toml(table))

    def settings(self) -> dict[str, Any]:
        """settings.toml as a table: format, task, settings, and measured where the run has begun."""
        table = read_toml(self.path / "settings.toml")
        sound = (
            table.get("format") == FORMAT
            and isinstance(table.get("task"), str)
            and isinstance(table.get("settings"), dict)
            and isinstance(table.get("measured", {}), dict)
        )
        if not sound:
            raise UserError(
                f"this is not a settings.toml of format {FORMAT}",
                where=self.path / "settings.toml",
                remedy="use the version of simplecell that wrote it",
            )
        return table

    @property
    def artefact(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def initial(self) -> Path:
        """The weights that a net given from Python began with; absent otherwise."""
        return self.path / "initial.safetensors"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def finished(self) -> bool:
        return self.artefact.is_file()

    @property
    def state(self) -> str:
        """finished, running (its lock is held), stopped (it has a checkpoint) or begun."""
        if self.finished:
            return "finished"
        try:
            with self.lock():
                pass
        except UserError:
            return "running"
        except OSError:
            pass  # a read-only disk has no lock, and nobody trains there
        return "stopped" if self.checkpoint.is_file() else "begun"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in this folder; the system lets go when a process dies."""
        from filelock import FileLock, Timeout

        lock = FileLock(str(self.path / ".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                "another process is training in this run", where=self.path, remedy="wait for it or stop it"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def sweep(self) -> None:
        """Remove what a process left that was killed while it wrote; for the one that holds the lock."""
        for folder in (self.path, self.checkpoint.parent):
            for path in folder.glob(".*.tmp"):
                path.unlink(missing_ok=True)

    def write(self, name: str, value: Any) -> None:
        """Write one of the record's JSON files."""
        write_atomically(self.path / name, to_json(value))

    def read(self, name: str) -> dict[str, Any] | None:
        """One of the record's JSON files; None where it is absent."""
        path = self.path / name
        try:
            value = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError):
            raise UserError("this is not JSON", where=path, remedy="restore the file") from None
        if not isinstance(value, dict):
            raise UserError("this is not what simplecell wrote", where=path, remedy="restore the file")
        return value

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; one that a crash cut off, or that is damaged, is left out."""
        path = self.path / "metrics.jsonl"
        records: list[dict[str, Any]] = []
        if path.is_file():
            for line in path.read_bytes().splitlines():
                with contextlib.suppress(ValueError, RecursionError):
                    if _is_record(record := json.loads(line)):
                        records.append(record)
        return records


def _is_record(line: Any) -> bool:
    """Whether a line of the journal is of the kind that its readers rely on."""
    return (
        isinstance(line, dict)
        and isinstance(line.get("stage", ""), str)
        and isinstance(line.get("epoch", 0), int | float)
        and all(_are_numbers(line.get(kind, {})) for kind in ("train", "rate", "validation"))
    )


def _are_numbers(named: Any) -> bool:
    return isinstance(named, dict) and all(isinstance(value, int | float | None) for value in named.values())


def runs_in(folder: Path) -> list[Run]:
    """The runs directly in a folder, oldest first."""
    if not folder.is_dir():
        return []
    paths = [p for p in folder.iterdir() if (p / "settings.toml").is_file()]
    return [Run(p) for p in sorted(paths, key=lambda p: (p.stat().st_mtime, p.name))]
