"""inspect: how a computer sees a picture, what a net is made of, what a trained net does with pictures."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell.commands import eyes
from simplecell.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from simplecell.report.inspect.picture import Seen

#: Pixels a side of the patch; more would not fit a terminal of 80 columns.
ZOOMS, _ZOOM = range(1, 17), 8
_BLOCKS = " ▁▂▃▄▅▆▇█"


#: What each kind of thing takes, beside --out and --json.
_TAKES = {"picture": ("at", "zoom"), "net": ("input", "classes", "object"), "run": ("object",)}


def look_into(
    target: str,
    pictures: Sequence[str],
    given: Mapping[str, Any],
    out: Path | None,
    *,
    device: str,
    threads: int,
    json: bool,
) -> int:
    """Tell what a word names, and look into that. given: the flags of all kinds, falsy where not given."""
    kind = kind_of(target, pictures)
    for flag, value in given.items():
        if value and flag not in _TAKES[kind]:
            raise UserError(f"a {kind} does not take it", where=f"--{flag}", remedy="leave it out")
        if isinstance(value, int | float) and value < 0:
            raise UserError(f"{value} is too small", where=f"--{flag}", remedy="give a number above 0")
    if kind == "run":
        from simplecell.commands.inspect_run import inspect_run

        return inspect_run(target, pictures, given["object"], out, json, device=device, threads=threads)
    if pictures:
        raise UserError(
            f"{target} is a {kind}, which is not shown pictures",
            where=pictures[0],
            remedy="name a run before it, or look at one thing at a time",
        )
    if kind == "net":
        from simplecell.commands.inspect_net import inspect_net

        return inspect_net(target, given["input"], given["classes"], given["object"], out, json)
    return inspect_picture(target, _place(given["at"]), given["zoom"] or _ZOOM, out, json)


def _place(text: str) -> tuple[int, int] | None:
    """``12,34`` as column and row."""
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,6}),(\d{1,6})", text.replace(" ", ""))
    if not found:
        raise UserError(f"{text!r} is no place", where="--at", remedy="write column and row, such as 12,34")
    return int(found[1]), int(found[2])


def kind_of(target: str, pictures: Sequence[str]) -> str:
    """What a word names: "picture", "net" or "run". Raises UserError where it is none, or two at once.

    With pictures after it, a net of another library is a trained one.
    """
    from simplecell.commands.opening import is_exported, is_published
    from simplecell.data.decode import PICTURE_SUFFIXES
    from simplecell.nets import NAMES

    path = Path(target)
    if is_published(target):
        return "run" if pictures else "net"
    if ".py:" in target:
        return "net"
    if target in NAMES:
        if path.exists():
            kind = "folder" if path.is_dir() else "file"
            raise UserError(
                f"this is a net's name and a {kind} here",
                where=target,
                remedy=f"write ./{target} for the {kind}",
            )
        return "net"
    if path.is_dir():
        if (path / "settings.toml").is_file():
            return "run"
        raise UserError(
            "this folder is no run (it has no settings.toml)",
            where=target,
            remedy="name a picture in it, or a run",
        )
    if is_exported(target):
        raise UserError(
            "the layers of an exported net cannot be looked into",
            where=target,
            remedy="name the run it is from",
        )
    if path.suffix == ".safetensors":
        return "run"
    if path.suffix == ".py":
        raise UserError(
            "it does not say which net in this file", where=target, remedy=f"write it as {target}:build"
        )
    if path.is_file() or path.suffix.lower() in PICTURE_SUFFIXES or len(path.parts) > 1:
        return "picture"
    near = get_close_matches(target, NAMES, n=1)
    raise UserError(
        "there is no such file, run or net",
        where=target,
        remedy=f"did you mean {near[0]}" if near else "nets are known by names such as resnet18 or timm:NAME",
    )


def inspect_picture(target: str, at: tuple[int, int] | None, zoom: int, out: Path | None, json: bool) -> int:
    """The numbers of a picture: in the terminal, as a page, as JSON."""
    from simplecell.commands.predict import Pictures
    from simplecell.commands.report import write_file
    from simplecell.report.inspect import picture

    if zoom not in ZOOMS:
        raise UserError(
            f"a patch of {zoom} pixels a side cannot be shown",
            where="--zoom",
            remedy=f"give {ZOOMS[0]} to {ZOOMS[-1]}",
        )
    source = Pictures([Path(target)])
    decoded = [pixels for _, pixels in source]
    if source.faults:
        raise source.faults[0][1]
    path = Path(target)
    seen = picture.see(decoded[0], path.name, path.stat().st_size, at, zoom)
    if out is not None:
        write_file(out, picture.page(seen))
    if json:
        eyes.answer({**seen.to_json(), **({} if out is None else {"page": str(out)})})
    else:
        _print_picture(seen)
        tell_page(out)
    return 0


def console() -> Console:
    """Where answers for eyes are printed; where nobody looks, lines are as long as they need to be."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 500, highlight=False)


def tell_page(out: Path | None) -> None:
    if out is not None:
        eyes.say(f"page: {out}")


def _print_picture(seen: Seen) -> None:
    """The picture in a terminal of 80 columns; colours show the values once more."""
    from rich.text import Text

    out = console()
    (x, y), (rows, columns, _) = seen.at, seen.patch.shape
    out.print(f"{seen.name}: {seen.told_size}")
    out.print(f"{seen.pixels.size:,} numbers of a byte; the file has {seen.stored:,} bytes\n")
    out.print(f"{columns} × {rows} pixels from column {x}, row {y}:")
    for k, channel in enumerate(seen.channels):
        out.print(Text(f"\n{channel.name:<6}" + "".join(f"{x + c:>4}" for c in range(columns)), "bold"))
        for row in range(rows):
            line = Text(f"{y + row:>6}", "bold")
            for value in seen.patch[row, :, k].tolist():
                line.append(f"{value:>4}", _shade(value, k, len(seen.channels)))
            out.print(line)
    out.print("\nhow often each value is there, from 0 on the left to 255 on the right:")
    for channel in seen.channels:
        top = int(channel.bars.max())
        drawn = "".join(_BLOCKS[-(-8 * int(n) // top)] for n in channel.bars)
        out.print(Text(f"\n{channel.name:<6}", "bold").append(drawn, "none"))
        ends = f"{channel.least} to {channel.most}"
        out.print(f"      {ends}, mean {channel.mean:.1f}, deviation {channel.deviation:.1f}")


def _shade(value: int, channel: int, channels: int) -> str:
    """A style with the value as its ground, in the channel's colour."""
    levels = [value if channels == 1 or k == channel else 0 for k in range(3)]
    light = channels == 1 or channel == 1
    return f"{'black' if light and value > 127 else 'white'} on rgb({levels[0]},{levels[1]},{levels[2]})"
