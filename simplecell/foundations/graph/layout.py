"""Where the boxes and lines of a graph's picture go: by Graphviz where it is installed, by layers otherwise.

The layers follow Sugiyama, Tagawa, Toda (Methods for visual understanding of hierarchical system structures,
1981): each operation below all that it takes; within a layer, the order in which each stands near the mean of
its neighbours. Both ways give the same sizes of boxes, and the same picture for the same graph each time.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
Edge = tuple[Hashable, Hashable]

_GAP, _BETWEEN_LAYERS, _MARGIN = 24.0, 46.0, 16.0  # pixels, as all lengths here
_SWEEPS = 8
_INCH = 72.0  # of Graphviz


@dataclass(frozen=True)
class Layout:
    """The size of the picture, the centre of each box, and the control points of each line.

    A line begins at its first point and goes on in Bézier curves of three points each.
    """

    width: float
    height: float
    centres: Mapping[Hashable, Point]
    lines: Mapping[Edge, Sequence[Point]]


def layout(widths: Mapping[Hashable, float], edges: Sequence[Edge], height: float) -> Layout:
    """Place boxes of these widths and one height so that lines lead downwards.

    widths: by node, in an order in which each comes after those that its lines come from.
    """
    return _by_graphviz(widths, edges, height) or by_layers(widths, edges, height)


# -- by Graphviz ---------------------------------------------------------------------------------------------


def _by_graphviz(widths: Mapping[Hashable, float], edges: Sequence[Edge], height: float) -> Layout | None:
    """Graphviz's placing; None where it is not installed or fails."""
    program = shutil.which("dot")
    if program is None:
        return None
    names = {node: f"n{index}" for index, node in enumerate(widths)}
    lines = [
        "digraph {",
        f"node [shape=box, fixedsize=true, height={height / _INCH}, label=x]",
        "edge [arrowhead=none]",  # the lines reach the boxes: the tips are ours
        *(f"{names[node]} [width={width / _INCH}]" for node, width in widths.items()),
        *(f"{names[tail]} -> {names[head]}" for tail, head in edges),
        "}",
    ]
    try:
        done = subprocess.run(
            [program, "-Tplain"],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        placed = _of_plain(done.stdout, {name: node for node, name in names.items()})
    except (OSError, subprocess.SubprocessError, ValueError, LookupError):
        return None
    return placed if len(placed.centres) == len(names) and len(placed.lines) == len(edges) else None


def _of_plain(text: str, nodes: Mapping[str, Hashable]) -> Layout:
    """What Graphviz's format "plain" says; it has inches, and y goes up."""
    width = height = 0.0
    centres: dict[Hashable, Point] = {}
    lines: dict[Edge, Sequence[Point]] = {}

    def point(x: str, y: str) -> Point:
        return float(x) * _INCH + _MARGIN, height - float(y) * _INCH + _MARGIN

    for words in map(str.split, text.splitlines()):
        if words[0] == "graph":
            width, height = float(words[2]) * _INCH, float(words[3]) * _INCH
        elif words[0] == "node":
            centres[nodes[words[1]]] = point(words[2], words[3])
        elif words[0] == "edge":
            numbers = words[4 : 4 + 2 * int(words[3])]
            points = [point(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            lines[nodes[words[1]], nodes[words[2]]] = points
    return Layout(width + 2 * _MARGIN, height + 2 * _MARGIN, centres, lines)


# -- by layers -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bend:
    """A place where a line passes a layer that it has nothing to do with."""

    edge: Edge
    layer: int


def by_layers(widths: Mapping[Hashable, float], edges: Sequence[Edge], height: float) -> Layout:
    """Place boxes without Graphviz."""
    depth = _depths(list(widths), edges)
    layers: list[list[Hashable]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in widths:
        layers[depth[node]].append(node)
    ways: dict[Edge, list[Hashable]] = {}
    for tail, head in edges:
        bends: list[Hashable] = [_Bend((tail, head), each) for each in range(depth[tail] + 1, depth[head])]
        for each, bend in enumerate(bends, depth[tail] + 1):
            layers[each].append(bend)
        ways[tail, head] = [tail, *bends, head]
    above, below = _neighbours(ways)
    sizes = {node: widths.get(node, 8.0) for layer in layers for node in layer}
    _arrange(layers, above, below)
    across = _across(layers, sizes, above, below)
    left = min((across[node] - sizes[node] / 2 for node in sizes), default=0.0)
    step = height + _BETWEEN_LAYERS

    def centre(node: Hashable, layer: int) -> Point:
        return across[node] - left + _MARGIN, layer * step + height / 2 + _MARGIN

    centres = {node: centre(node, depth[node]) for node in widths}
    lines = {
        edge: _curve([centre(node, depth[edge[0]] + index) for index, node in enumerate(way)], height / 2)
        for edge, way in ways.items()
    }
    right = max((centres[node][0] + widths[node] / 2 for node in widths), default=0.0)
    bends_right = max((point[0] for line in lines.values() for point in line), default=0.0)
    bottom = max(len(layers) * step - _BETWEEN_LAYERS, 0.0) + 2 * _MARGIN
    return Layout(max(right, bends_right) + _MARGIN, bottom, centres, lines)


def _depths(nodes: Sequence[Hashable], edges: Sequence[Edge]) -> dict[Hashable, int]:
    """The layer of each: below all it takes; what takes nothing, just above its first user."""
    takes: dict[Hashable, list[Hashable]] = {node: [] for node in nodes}
    gives: dict[Hashable, list[Hashable]] = {node: [] for node in nodes}
    for tail, head in edges:
        takes[head].append(tail)
        gives[tail].append(head)
    depth: dict[Hashable, int] = {}
    for node in nodes:
        depth[node] = 1 + max((depth[each] for each in takes[node]), default=-1)
    for node in nodes:
        if not takes[node] and gives[node]:
            depth[node] = min(depth[each] for each in gives[node]) - 1
    return depth


Neighbours = dict[Hashable, list[Hashable]]


def _neighbours(ways: Mapping[Edge, Sequence[Hashable]]) -> tuple[Neighbours, Neighbours]:
    above: Neighbours = {}
    below: Neighbours = {}
    for way in ways.values():
        for upper, lower in pairwise(way):
            below.setdefault(upper, []).append(lower)
            above.setdefault(lower, []).append(upper)
    return above, below


def _arrange(layers: list[list[Hashable]], above: Neighbours, below: Neighbours) -> None:
    """Sort each layer by the mean position of its neighbours, downwards and upwards in turn."""
    place = {node: float(index) for layer in layers for index, node in enumerate(layer)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            beside = above if down else below
            wish = {
                node: _mean([place[each] for each in beside.get(node, [])], place[node]) for node in layer
            }
            layer.sort(key=lambda node: wish[node])
            place.update((node, float(index)) for index, node in enumerate(layer))


def _across(
    layers: list[list[Hashable]], sizes: Mapping[Hashable, float], above: Neighbours, below: Neighbours
) -> dict[Hashable, float]:
    """The middle of each, drawn towards its neighbours as far as those beside it leave room."""
    middle: dict[Hashable, float] = {}
    for layer in layers:
        _put(layer, dict.fromkeys(layer, 0.0), sizes, middle)
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wish = {}
            for node in layer:
                near = [*above.get(node, []), *below.get(node, [])]
                wish[node] = _mean([middle[each] for each in near], middle[node])
            _put(layer, wish, sizes, middle)
    return middle


def _put(
    layer: Sequence[Hashable],
    wish: Mapping[Hashable, float],
    sizes: Mapping[Hashable, float],
    middle: dict[Hashable, float],
) -> None:
    """The mean of two ways: packed from the left as near to the wishes as possible, and from the right."""
    from_left: list[float] = []
    for index, node in enumerate(layer):
        least = from_left[-1] + _apart(layer[index - 1], node, sizes) if index else wish[node]
        from_left.append(max(wish[node], least))
    from_right = [0.0] * len(layer)
    for index in reversed(range(len(layer))):
        node, last = layer[index], index == len(layer) - 1
        most = wish[node] if last else from_right[index + 1] - _apart(node, layer[index + 1], sizes)
        from_right[index] = min(wish[node], most)
    for node, one, other in zip(layer, from_left, from_right, strict=True):
        middle[node] = (one + other) / 2


def _apart(one: Hashable, other: Hashable, sizes: Mapping[Hashable, float]) -> float:
    return (sizes[one] + sizes[other]) / 2 + _GAP


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _curve(centres: Sequence[Point], half: float) -> list[Point]:
    """A line from below the first box to above the last, straight down where it passes a layer.

    half: half the height of a box.
    """
    stops: list[Point] = [(centres[0][0], centres[0][1] + half)]
    for x, y in centres[1:-1]:
        stops += [(x, y - half), (x, y + half)]
    stops.append((centres[-1][0], centres[-1][1] - half))
    points = stops[:1]
    for (x, y), (to_x, to_y) in pairwise(stops):
        bend = (to_y - y) / 2
        points += [(x, y + bend), (to_x, to_y - bend), (to_x, to_y)]
    return points
