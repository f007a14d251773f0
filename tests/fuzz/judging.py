"""What bad input gets, judged: a value or one good sentence, in bounded time and memory."""

from __future__ import annotations

import faulthandler
import resource
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

import pytest

from simplecell.errors import UserError

T = TypeVar("T")

#: Seconds after which an example counts as hung; the slowest take about one.
HANG = 30
#: Bytes that an example may take beyond what the process has.
MEMORY = 768 << 20
#: Words of a sentence that tell of a fault behind the sentence.
_TELLTALE = ("MemoryError", "RecursionError", "allocate", "Traceback", "object has no attribute")


class Hung(BaseException):
    """Past any ``except Exception`` on its way."""


def judged(work: Callable[[], T], *names: str) -> T | UserError:
    """What ``work`` returns, or the UserError it raises, whose sentence is checked: it has one of the names.

    Anything else that it raises comes through, a hang or too much memory fails.
    """
    try:
        with bounded():
            return work()
    except UserError as error:
        check_sentence(error, *names)
        return error
    except Hung:
        pytest.fail(f"hung for {HANG} seconds")


def check_sentence(error: UserError, *names: str) -> None:
    """One line that names the file (or setting), tells the fault, and ends with a remedy."""
    sentence = str(error)
    odd = [letter for letter in sentence if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")]
    assert not odd, f"it is not one line of plain text: {odd}"
    assert len(sentence) <= 2000, f"it has {len(sentence)} characters"
    assert error.remedy, f"there is no remedy: {sentence}"
    assert sentence.endswith((".", "?")), sentence
    assert any(name in sentence for name in names), f"it names none of {names}: {sentence}"
    assert not [word for word in _TELLTALE if word in sentence], sentence
    assert error.what.strip(" ()"), "it does not tell the fault"


@contextmanager
def bounded(seconds: int = HANG, memory: int = MEMORY) -> Iterator[None]:
    """Within, more memory than that raises MemoryError and more time Hung, as far as the system can tell."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(2 * seconds, exit=True)  # where C hangs, no signal is heard
    limits = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_mapped() + memory, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _mapped() -> int:
    """Bytes of this process's address space."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
