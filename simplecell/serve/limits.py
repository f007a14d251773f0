"""How much the server takes on, and how long it waits; each limit is a flag."""

from __future__ import annotations

from dataclasses import dataclass

from simplecell.settings import setting

#: Bytes of a request's first line and headers. No flag: nobody needs longer ones.
MOST_HEAD = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """The bounds of a request, of a batch and of patience."""

    max_body: int = setting(32 * 2**20, "bytes of a request", at_least=1)
    max_pixels: int = setting(25_000_000, "pixels of a picture, height × width", at_least=1)
    max_pictures: int = setting(64, "pictures of a request", at_least=1)
    batch_size: int = setting(32, "pictures that the net is given at once, at most", at_least=1)
    gather: float = setting(2.0, "milliseconds that a picture waits for others to join it", at_least=0)
    queue: int = setting(256, "pictures that wait for the net; beyond it the answer is 503", at_least=1)
    timeout: float = setting(30.0, "seconds for a request, its sending included", above=0)
    grace: float = setting(30.0, "seconds for what has been accepted, when the server stops", at_least=0)
