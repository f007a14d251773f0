"""The one error a person is meant to read: what is wrong, where, and what to do about it."""

from __future__ import annotations

import re
from os import PathLike, fspath

#: What would break the line, command a terminal or turn the order of letters: control characters, line and
#: paragraph separators, marks of direction; and halves of characters, which a name that is not UTF-8 has.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST = 600  # characters of one part of a sentence


class UserError(Exception):
    """Bad input, told in one sentence. The command line prints it on stderr and exits with status 2.

    what: the fault, as a clause without a full stop ("the file ends in mid-picture").
    where: the file, setting or option that has it.
    remedy: what to do, as an imperative clause ("restore it from its source or pass --skip-broken").
    """

    def __init__(self, what: str, *, where: str | PathLike[str] | None = None, remedy: str = "") -> None:
        self.what = what
        self.where = None if where is None else fspath(where)
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{_shown(self.where)}: " if self.where else ""
        return f"{place}{_shown(self.what)}" + (f"; {_shown(self.remedy)}." if self.remedy else ".")


def unreadable(path: str | PathLike[str], error: OSError) -> UserError:
    """What to raise where a file that a person named is not there, or the system does not let it be read."""
    missing = isinstance(error, FileNotFoundError)
    what = "there is no such file" if missing else f"it cannot be read ({error.strerror})"
    return UserError(what, where=path, remedy="check the path")


def _shown(text: str) -> str:
    """Text that may come from a file, as a part of one line: odd characters escaped, the middle left out."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
