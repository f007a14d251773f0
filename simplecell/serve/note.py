"""What is noted of a request for the log and the metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Note:
    """status: 0 until the answer has begun. received: bytes of the body."""

    status: int = 0
    pictures: int = 0
    received: int = 0
