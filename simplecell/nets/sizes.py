"""The sentence for pictures that a net cannot halve as often as it must."""

from __future__ import annotations

from simplecell.errors import UserError


def refuse_under(least: int, net: str, height: int, width: int) -> None:
    """Raise UserError where a side of the pictures has fewer than ``least`` pixels. net: its name."""
    if min(height, width) < least:
        raise UserError(
            f"{net} needs pictures of at least {least} × {least} px, not {width} × {height}",
            where="net",
            remedy="enlarge the pictures or take the net 'dense'",
        )
