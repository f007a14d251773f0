"""What of a task's net goes into an exported file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from simplecell.data.geometry import Geometry


@dataclass(frozen=True)
class Exportable:
    """A net that answers by itself: normalisation and post-processing are inside.

    net: in eval mode; fitted pictures, uint8 N, C, h, w → a tensor for each of ``outputs``, N first.
    geometry: how a whole picture becomes a fitted one; the file does this too.
    outputs: names of what the net gives.
    answer: which kind of prediction the outputs become, a key of ``simplecell.predictions.ANSWERS``.
    about: JSON values that such a prediction needs, ``classes`` for one.
    """

    net: nn.Module
    geometry: Geometry
    outputs: Sequence[str]
    answer: str
    about: Mapping[str, Any] = field(default_factory=dict)
