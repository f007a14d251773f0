"""The log: a line for each request on stderr, with nothing in it that a picture or its sender could tell."""

from __future__ import annotations

import os
import sys
import time


class Log:
    """Lines on stderr, through a descriptor of its own.

    decode.py silences the process's stderr while libtiff works, and the log must not fall silent with it.
    """

    def __init__(self) -> None:
        try:
            self._to: int | None = os.dup(sys.stderr.fileno())
        except (OSError, ValueError, AttributeError):  # there is none, or a test has put another in its place
            self._to = None
        self._second = -1
        self._time = ""

    def write(self, text: str) -> None:
        """One entry. A log that nobody takes any more is no reason to stop."""
        line = f"{text.rstrip()}\n"
        try:
            if self._to is None:
                sys.stderr.write(line)
            else:
                os.write(self._to, line.encode("utf-8", "backslashreplace"))
        except (OSError, ValueError, AttributeError):
            pass

    def request(
        self, method: str, route: str, status: int, seconds: float, pictures: int, received: int
    ) -> None:
        """One request; route is the server's own name for the address, never what was asked."""
        now = int(time.time())
        if now != self._second:
            self._second, self._time = now, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        self.write(
            f"{self._time} {method} {route} {status} {1000 * seconds:.1f} ms, "
            f"{pictures} pictures, {received} bytes"
        )
