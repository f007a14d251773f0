"""Fetch a file whose checksum is known: resumed where it broke off, never taken unless it is right.

The bytes arrive in ``NAME.part`` beside the file and stay there when the connection breaks, so the next
attempt, in this process or a later one, asks only for the rest (HTTP Range, RFC 9110 §14). The file gets
its name by one rename, after its size and checksum are those that were published.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from simplecell.errors import UserError
from simplecell.telling import tell

#: Seconds without a byte after which a connection counts as broken.
TIMEOUT = 30.0
#: Seconds to wait before each further attempt that follows one which brought nothing new.
PAUSES = (1.0, 2.0, 4.0, 8.0)

_BLOCK = 1 << 18
#: Statuses that say "not now" rather than "not here".
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class _BrokenError(Exception):
    """The connection failed in a way that may pass: worth another attempt, the bytes so far are kept."""


class _UnusableError(Exception):
    """This address does not give the file: another attempt would not change that."""


def fetch(url: str | Sequence[str], to: Path, *, checksum: str, size: int | None = None) -> Path:
    """Fetch a file to ``to`` unless it is there already, and return ``to``.

    url: where it is (http or https); with several, each is tried in turn until one gives the file.
    checksum: "sha256:" or "md5:" and the hexadecimal digits that were published, or the first of them (as in
    the names of PyTorch's weights).
    size: in bytes; None where it was not published, and then only the checksum decides.

    How far it is, in bytes, is told (see ``simplecell.telling``); the total is 0 where nobody knows it.

    Raises UserError when no address gives the file (what had arrived is kept, unless it is wrong), when a
    file at ``to`` is another one, when the disk is full, and when another process is fetching it.
    """
    urls = [url] if isinstance(url, str) else list(url)
    for address in urls:
        if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
            raise UserError("is not an http or https address", where=address, remedy="give one")
    if to.exists():
        if not matches(to, size, checksum):
            raise UserError(
                "is not the published file: its size or checksum differs",
                where=to,
                remedy="remove it and run this again",
            )
        return to
    part = to.with_name(to.name + ".part")
    lock = Path(f"{part}.lock")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=0):
            try:
                if not to.exists():  # another process may have finished it since
                    _fetch_part(urls, part, to, size, checksum)
                    os.replace(part, to)
                    _sync_folder(to.parent)
            finally:
                lock.unlink(missing_ok=True)
    except Timeout:
        raise UserError(
            "another process is fetching this file", where=to, remedy="wait until it has ended"
        ) from None
    except OSError as error:
        raise UserError(
            f"cannot be written ({error.strerror or error})",
            where=to,
            remedy="make room or choose another folder, then run this again: it goes on where it stopped",
        ) from None
    return to


def matches(path: Path, size: int | None, checksum: str) -> bool:
    """Whether the file has this size (None: any) and a checksum that begins with these digits."""
    if size is not None and path.stat().st_size != size:
        return False
    algorithm, _, digits = checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest().startswith(digits.lower())


def _fetch_part(urls: Sequence[str], part: Path, to: Path, size: int | None, checksum: str) -> None:
    """Fill ``part`` from the first address that gives the right bytes."""
    reasons = []
    for url in urls:
        try:
            _persist(url, part, size)
        except (_BrokenError, _UnusableError) as error:
            reasons.append(f"{url} {error}")
            continue
        if matches(part, size, checksum):
            return
        part.unlink()
        reasons.append(f"{url} gave a file that is not the published one, which was deleted")
    kept = _length(part)
    if not kept:
        part.unlink(missing_ok=True)
    resume = f" ({kept:,} bytes are kept and it goes on from there)" if kept else ""
    raise UserError(
        "; ".join(reasons),
        where=to.name,
        remedy=f"run this again{resume}, or get the file by other means and put it at {to.absolute()}",
    )


def _persist(url: str, part: Path, size: int | None) -> None:
    """Attempt until ``part`` is complete; an attempt that brought bytes does not count against the limit."""
    failures = 0
    reached = _length(part)
    while True:
        try:
            return _pull(url, part, size)
        except _BrokenError:
            if _length(part) > reached:
                reached, failures = _length(part), 0
            if failures == len(PAUSES):
                raise
            time.sleep(PAUSES[failures])
            failures += 1


def _pull(url: str, part: Path, size: int | None) -> None:
    """One request: append what ``part`` lacks. Returns when it is complete."""
    have = _length(part)
    if size is not None and have > size:
        part.unlink()
        have = 0
    if size is not None and have == size:
        return
    with _ask(url, part, have) as answer:
        if have and not _continues(answer, have):
            have = 0  # a server without Range sends the whole file again
        expected = _announced(answer, have)
        if size is not None and expected is not None and expected != size:
            raise _UnusableError(f"has a file of {expected:,} bytes where {size:,} were published")
        with part.open("ab" if have else "wb") as file:
            _copy(answer, file, have, size, expected)


def _ask(url: str, part: Path, have: int) -> http.client.HTTPResponse:
    """Open the address, from byte ``have`` on if the server can."""
    headers = {"User-Agent": "simplecell", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
        return answer
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # the part is no beginning of what the server has now
            part.unlink()
            raise _BrokenError("has no such range") from None
        kind = _BrokenError if error.code in _PASSING else _UnusableError
        raise kind(f"answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise _BrokenError("did not answer in time") from None
        if isinstance(reason, (ConnectionResetError, BrokenPipeError, http.client.HTTPException)):
            raise _BrokenError(f"broke off ({reason})") from None
        # A name that does not resolve, a refused connection: most often there is no network, and waiting
        # some seconds does not bring it back.
        raise _UnusableError(f"cannot be reached ({getattr(reason, 'strerror', None) or reason})") from None


def _copy(
    answer: http.client.HTTPResponse,
    file: BinaryIO,
    have: int,
    size: int | None,
    expected: int | None,
) -> None:
    """Write the answer's body, and judge how it ended."""
    what = f"fetching {Path(file.name).stem}"  # the name without .part
    total = size or expected or 0
    tell(what, have, total)
    while block := _read(answer):
        have += len(block)
        if size is not None and have > size:
            file.truncate(0)
            raise _UnusableError(f"sends more than the {size:,} bytes that were published")
        file.write(block)
        tell(what, have, total)
    file.flush()
    os.fsync(file.fileno())
    end = size if size is not None else expected
    if end is not None and have < end:
        raise _BrokenError(f"broke off after {have:,} of {end:,} bytes")


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(f"broke off ({error or type(error).__name__})") from None


def _continues(answer: http.client.HTTPResponse, have: int) -> bool:
    """Whether the answer starts at byte ``have``."""
    start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    return answer.status == 206 and start is not None and int(start[1]) == have


def _announced(answer: http.client.HTTPResponse, have: int) -> int | None:
    """The size of the whole file by the answer's headers, None where they do not say."""
    length = answer.headers.get("Content-Length") or ""
    return have + int(length) if length.isdecimal() else None


def _length(path: Path) -> int:
    """Bytes of the file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
