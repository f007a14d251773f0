"""The one error a person is meant to read: what is wrong, where, and what to do about it."""

from __future__ import annotations

from os import PathLike, fspath


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
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f"; {self.remedy}." if self.remedy else ".")
