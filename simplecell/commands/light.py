"""Reading a task's settings without loading PyTorch: for --help and completion.

A task's file imports torch and much else, of which its settings need nothing. Here the file is imported
with empty stand-ins in place of the heavy modules. Nothing that is read so is ever used for a training.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_HEAVY = (
    "torch",
    "torchvision",
    "numpy",
    "PIL",
    "simplejpeg",
    "safetensors",
    "matplotlib",
    "scipy",
    "sklearn",
    "cv2",
)
_OURS = ("data", "nets", "metrics", "learn", "export", "serve", "foundations")


class _Anything(type):
    """The class of stand-ins: any attribute is another, a call gives what it was given or another."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (), {})

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        return arguments[0] if len(arguments) == 1 and callable(arguments[0]) else cls

    def __getitem__(cls, key: Any) -> Any:
        return cls

    def __or__(cls, other: Any) -> Any:
        return cls

    __ror__ = __or__


class _StandIn(ModuleType):
    """An empty package."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if _is_heavy(name) else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _is_heavy(name: str) -> bool:
    parts = name.split(".")
    if parts[0] in _HEAVY:
        return True
    # What of our own is not settings is heavy too: NumPy alone takes a tenth of a second.
    return parts[0] == "simplecell" and len(parts) > 2 and parts[1] in _OURS and parts[-1] != "settings"


@contextmanager
def without_heavy_modules() -> Iterator[None]:
    """Within, heavy modules that are not loaded yet are stand-ins; afterwards no trace of them is left."""
    before = set(sys.modules)
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if name.startswith("simplecell") or isinstance(sys.modules[name], _StandIn):
                del sys.modules[name]
