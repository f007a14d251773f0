"""Practical convolutional networks, from one neuron to Mask R-CNN.

>>> import simplecell as sc
>>> run = sc.train("classify", data="photos/")
>>> run.figures["accuracy"]
>>> run.predict("cat.jpg")

Importing this loads neither PyTorch nor NumPy; they are loaded when first needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simplecell.errors import UserError

if TYPE_CHECKING:
    from simplecell.commands.api import TrainedRun, open, resume, train

__all__ = ["TrainedRun", "UserError", "open", "resume", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from simplecell.commands import api

        return getattr(api, name)
    if name == "__version__":
        from importlib.metadata import version

        return version("simplecell")
    raise AttributeError(f"module 'simplecell' has no attribute {name!r}")
