"""simplecell serve: nets behind HTTP, until the process is told to stop."""

from __future__ import annotations

from collections.abc import Sequence

from simplecell.errors import UserError
from simplecell.serve.limits import Limits
from simplecell.serve.model import Source

_NEEDED = {"fastapi": "FastAPI", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def serve(
    sources: Sequence[Source],
    limits: Limits,
    *,
    host: str,
    port: int,
    token: str | None,
    cors: Sequence[str],
) -> int:
    """Serve until SIGTERM or SIGINT; 0 once what was accepted is answered.

    sources: at least one. host: an address of this machine or a name of one. port: 0 is any that is free.
    token: what each request has to bring; None lets everyone ask who reaches the address.
    cors: origins (https://example.org) whose pages may ask and read; "*" is every one.

    Raises UserError where a model cannot be loaded, the port cannot be had, or an extra is missing.
    """
    check(token, cors)
    try:
        import python_multipart  # noqa: F401

        from simplecell.serve.process import Process
    except ModuleNotFoundError as error:
        missing = _NEEDED.get(error.name or "")
        if missing is None:
            raise
        remedy = "install it with `pip install simplecell[serve]`"
        raise UserError(f"serving needs {missing}, which is not installed", remedy=remedy) from None
    process = Process(sources, limits, host=host, port=port, token=token, cors=cors)
    process.run()
    return 0


def check(token: str | None, cors: Sequence[str]) -> None:
    """Raise UserError for a token that no header can carry, or an origin that no browser sends."""
    if token is not None and not (token.isascii() and token.isprintable() and token.split() == [token]):
        raise UserError(
            "the token is empty or has signs that no header carries",
            where="--token",
            remedy="take letters and digits",
        )
    for origin in cors:
        scheme, _, rest = origin.partition("://")
        plain = scheme in ("http", "https") and rest and not set(rest) & set("/?#@* ")
        if origin != "*" and (not plain or origin != origin.lower()):
            raise UserError(
                f"{origin!r} is no origin",
                where="--cors",
                remedy="write scheme and host in lower case, such as https://example.org",
            )
