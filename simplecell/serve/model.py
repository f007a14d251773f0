"""What the server knows of a net: what it is, what it answers, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simplecell.predictions import Prediction

#: A decoded picture: uint8, H, W, C with C 1 (grey) or 3 (RGB).
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Model:
    """A net that answers pictures, as the server holds it.

    task: the task's name, such as "classify".
    fingerprint: sha256, in hex, of the file it came from.
    about: JSON values that are told of it: "classes", a list of texts, where it has some; "input".
    ask: a dataclass of settings (simplecell.settings), the options of an answer.
    answer: (path, picture) pairs and an ``ask`` to answers in the same order. Called from one thread at a
        time. A UserError that it raises is told to whoever sent the picture.
    show: a picture, its answer and the ``ask`` to pictures that go with the answer, each a caption and uint8
        H, W, 3, such as where the net looked. Called from the same thread.
    """

    task: str
    fingerprint: str
    about: Mapping[str, Any]
    ask: type
    answer: Callable[[Sequence[tuple[str, Picture]], Any], Sequence[Prediction]]
    show: Callable[[Picture, Prediction, Any], Sequence[tuple[str, Picture]]] | None = None


@dataclass(frozen=True)
class Source:
    """Where a model comes from: loaded at the start, and again whenever ``file`` has changed.

    file: None for a net by name, which does not change.
    load: may raise UserError.
    """

    name: str
    file: Path | None
    load: Callable[[], Model]
