"""A user's own Python file, a task's or a net's: run as a module, its faults told in a sentence."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from simplecell.errors import UserError


def run_file(path: Path) -> ModuleType:
    """Run a file as a module of a name that no other file gets, its own folder importable as a script's is.

    Raises UserError, with the line, where it is no Python file or fails.
    """
    name = f"simplecell_file_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError("is not a Python file", where=path, remedy="give a file whose name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and the like look their module up there
    try:
        with importable(path.parent), told_in_a_sentence(path):
            spec.loader.exec_module(module)
    except UserError:
        del sys.modules[name]
        raise
    return module


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """While it lasts, files of this folder can be imported by their names."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextmanager
def told_in_a_sentence(path: Path) -> Iterator[None]:
    """Whatever the user's code raises becomes a UserError with the line of the file it came from."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            lines.append(error.lineno)
        line = lines[-1] if lines else None
        raise UserError(
            one_line(error),
            where=f"{path}, line {line}" if line else path,
            remedy="mend the file; --debug shows the whole traceback",
        ) from error


def one_line(error: BaseException) -> str:
    """An error's type and message."""
    message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
