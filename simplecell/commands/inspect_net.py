"""inspect NET: layer by layer what it makes, sees and costs, and what to change."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from simplecell.commands import eyes
from simplecell.commands.inspect import console, tell_page
from simplecell.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simplecell.nets.advice import Advice
    from simplecell.nets.walk import Walk

#: The pictures that a net is for, where they are not ImageNet's 3×224×224: channels, rows, columns.
_MADE_FOR = {
    "dense": (1, 28, 28),
    "lenet5": (1, 28, 28),
    "first-cnn": (3, 64, 64),
    "second-cnn": (3, 32, 32),
    "small": (3, 64, 64),
    "airbench": (3, 32, 32),
    **dict.fromkeys(("resnet20", "resnet32", "resnet44", "resnet56"), (3, 32, 32)),
}
#: ImageNet's classes, for pictures as large as its nets take; CIFAR-10's and MNIST's for smaller.
_CLASSES, _FEW_CLASSES, _LARGE = 1000, 10, 128
_LONGEST = 4096


def inspect_net(name: str, shape: str, classes: int, object_size: float, out: Path | None, json: bool) -> int:
    """Walk through a net: in the terminal, as a page, as JSON."""
    import torch

    from simplecell import nets
    from simplecell.commands.report import write_file
    from simplecell.nets.advice import advise
    from simplecell.nets.walk import walk
    from simplecell.report.inspect import net as pages

    channels, height, width = _shape(shape) if shape else _made_for(name)
    if not classes:
        classes = _CLASSES if min(height, width) >= _LARGE else _FEW_CLASSES
    net = nets.build(name, channels=channels, classes=classes, height=height, width=width)
    net.to(memory_format=torch.channels_last)
    walked = walk(net, torch.zeros(1, channels, height, width))
    advice = advise(walked, object_size or None)
    if out is not None:
        write_file(out, pages.page(name, walked, advice))
    if json:
        told = {} if out is None else {"page": str(out)}
        eyes.answer({**pages.to_json(name, walked, advice), **told})
        return 0
    _print(walked, advice)
    tell_page(out)
    return 0


def _made_for(name: str) -> tuple[int, int, int]:
    """The pictures that a net is for."""
    if name.startswith("timm:"):
        from simplecell.nets.borrowed import configuration

        channels, height, width = configuration(name).input_size
        return channels, height, width
    if name == "torchvision:inception_v3":
        return 3, 299, 299
    return _MADE_FOR.get(name, (3, 224, 224))


def _shape(text: str) -> tuple[int, int, int]:
    """``3x224x224`` as channels, rows, columns."""
    found = re.fullmatch(r"(\d{1,4})[x×,](\d{1,4})[x×,](\d{1,4})", text.strip())
    sides = tuple(map(int, found.groups())) if found else (0, 0, 0)
    if not found or min(sides) < 1 or max(sides[1:]) > _LONGEST:
        raise UserError(
            f"{text!r} is no shape of a picture",
            where="--input",
            remedy=f"write channels, rows and columns, 3x224x224, with sides of at most {_LONGEST}",
        )
    return sides[0], sides[1], sides[2]


def _print(walked: Walk, advice: Sequence[Advice]) -> None:
    from rich.table import Table
    from rich.text import Text

    from simplecell.report.inspect.net import HEADINGS, rows, totals

    out = console()
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    heads = {"parameters": "params"}
    for place, heading in enumerate(HEADINGS):
        words = place < 3
        shown.add_column(
            heads.get(heading, heading),
            justify="left" if words else "right",
            overflow="fold" if place == 0 else "ellipsis",
            no_wrap=place > 0,
        )
    for row in rows(walked):
        shown.add_row(*map(Text, row))
    out.print(shown)
    out.print()
    for what, value in totals(walked):
        out.print(f"{what}: {value}")
    out.print()
    for each in advice:
        out.print(Text(f"• {each.sentence}"))
    if not advice:
        out.print("Nothing to change was found.")
