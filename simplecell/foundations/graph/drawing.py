"""The picture of a graph as SVG: a box for each operation, a line from each to those that take its result."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from simplecell.foundations.graph.graph import Graph
from simplecell.foundations.graph.layout import Edge, Layout, layout
from simplecell.foundations.graph.tensor import Operation, Tensor

_HEIGHT, _NOTE = 44.0, 14.0  # pixels of a box, and of each note in it
_LETTER = 7.2  # pixels of a letter of the font
_LONGEST = 26  # letters of a name that is shown whole
_TOLD = 60  # operations that the description names
#: What an operation is at a glance; all others are computed.
_LOOKS = {"Placeholder": "fed", "Const": "constant", "Variable": "variable", "NoOp": "waits"}

_STYLE = """
.box{fill:#eef3fb;stroke:#3b6ea8}
.fed .box{fill:#fff3d6;stroke:#9a6b00}
.constant .box{fill:#f1f1f1;stroke:#666}
.variable .box{fill:#e3f5e6;stroke:#2c7a3d}
.waits .box{fill:none;stroke:#666;stroke-dasharray:4 3}
.line{fill:none;stroke:#555;stroke-width:1.3}
.after{stroke-dasharray:4 3}
.tip{fill:#555}
text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#111;text-anchor:middle}
.kind{fill:#444;font-size:11px}
@media(prefers-color-scheme:dark){
.box{fill:#1d2c40;stroke:#86b2e8}
.fed .box{fill:#3a2f12;stroke:#e0b04a}
.constant .box{fill:#2a2a2a;stroke:#aaa}
.variable .box{fill:#17331d;stroke:#7fd093}
.waits .box{fill:none;stroke:#aaa}
.line{stroke:#bbb}
.tip{fill:#bbb}
text{fill:#eee}
.kind{fill:#bbb}
}
"""


def graph_svg(of: Graph | Tensor | Operation | Sequence[Tensor | Operation], title: str | None = None) -> str:
    """The picture of a whole graph, or of all that goes into some results, as one SVG element.

    Lines lead downwards, dashed where one only waits for another. The same graph gives the same picture;
    where Graphviz is installed, it does the placing. A title and a description tell it in words.
    """
    several = [of] if isinstance(of, Tensor | Operation) else of
    ops = several.get_operations() if isinstance(several, Graph) else ancestors(several)
    return draw(ops, title or f"A graph of {len(ops)} operation{'' if len(ops) == 1 else 's'}")


def ancestors(of: Iterable[Tensor | Operation]) -> list[Operation]:
    """Everything that these need, in the order of making."""
    found: set[Operation] = set()
    waiting = [each.op if isinstance(each, Tensor) else each for each in of]
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += [*(each.op for each in op.inputs), *op.control_inputs]
    return sorted(found, key=lambda op: op.number)


def lines_of(ops: Sequence[Operation]) -> dict[tuple[Operation, Operation], bool]:
    """Who gives to whom, and whether it only makes it wait. A variable gives to what assigns to it."""
    there = set(ops)
    found: dict[tuple[Operation, Operation], bool] = {}
    for op in ops:
        for each in (*(each.op for each in op.inputs), *op.writes):
            if each in there:
                found[each, op] = False
        for each in op.control_inputs:
            if each in there:
                found.setdefault((each, op), True)
    return found


@dataclass(frozen=True)
class Note:
    """A line more in a box. look: its class. step: when it is shown, for a script."""

    text: str
    look: str
    step: int


def draw(
    ops: Sequence[Operation], title: str, notes: Mapping[Operation, Sequence[Note]] | None = None
) -> str:
    """The picture of these operations, with notes in their boxes."""
    lines, noted = lines_of(ops), notes or {}
    widths: dict[Hashable, float] = {op: _width(op, noted.get(op, ())) for op in ops}
    height = _HEIGHT + _NOTE * max((len(each) for each in noted.values()), default=0)
    placed = layout(widths, list(lines), height)
    told = describe(ops)
    mark = f"{zlib.crc32((title + told).encode()):08x}"  # several pictures may stand on one page
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="t{mark} d{mark}" '
        f'viewBox="0 0 {placed.width:.0f} {placed.height:.0f}" width="{placed.width:.0f}" '
        f'height="{placed.height:.0f}">',
        f'<title id="t{mark}">{escape(title)}</title><desc id="d{mark}">{escape(told)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<defs><marker id="a{mark}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
        *(_line(placed, edge, waits, mark) for edge, waits in lines.items()),
        *(_box(op, placed.centres[op], widths[op], height, noted.get(op, ())) for op in ops),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def describe(ops: Sequence[Operation]) -> str:
    """The picture in words, a sentence for each operation."""
    sentences = []
    for op in ops[:_TOLD]:
        sources = [each.op.name for each in op.inputs]
        of = f" of {', '.join(sources)}" if sources else ""
        after = f", after {', '.join(each.name for each in op.control_inputs)}" if op.control_inputs else ""
        sentences.append(f"{op.name} is {op.type}{of}{after}.")
    if len(ops) > _TOLD:
        sentences.append(f"{len(ops) - _TOLD} more follow.")
    return " ".join(sentences)


def _label(op: Operation) -> str:
    name = op.name
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"


def _kind(op: Operation) -> str:
    if op.output is None or op.output.shape.dims is None:
        return op.type
    dims = "×".join("?" if each is None else str(each) for each in op.output.shape.dims)
    return f"{op.type} {dims}".rstrip()


def _width(op: Operation, notes: Sequence[Note]) -> float:
    longest = max(map(len, [_label(op), _kind(op), *(note.text for note in notes)]))
    return longest * _LETTER + 20


def _line(placed: Layout, edge: Edge, waits: bool, mark: str) -> str:
    first, *rest = placed.lines[edge]
    path = f"M{first[0]:.1f} {first[1]:.1f}C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in rest)
    return f'<path class="line{" after" if waits else ""}" d="{path}" marker-end="url(#a{mark})"/>'


def _box(op: Operation, centre: tuple[float, float], wide: float, high: float, notes: Sequence[Note]) -> str:
    top = -high / 2
    rows = [
        f'<text class="{note.look}" data-step="{note.step}" y="{top + 35 + _NOTE * row:.1f}">'
        f"{escape(note.text)}</text>"
        for row, note in enumerate(notes, 1)
    ]
    return (
        f'<g class="node {_LOOKS.get(op.type, "computed")}" data-op="{op.number}" '
        f'transform="translate({centre[0]:.1f} {centre[1]:.1f})">'
        f"<title>{escape(f'{op.name}: {_kind(op)}')}</title>"
        f'<rect class="box" x="{-wide / 2:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="6"/>'
        f'<text y="{top + 18:.1f}">{escape(_label(op))}</text>'
        f'<text class="kind" y="{top + 35:.1f}">{escape(_kind(op))}</text>{"".join(rows)}</g>'
    )
