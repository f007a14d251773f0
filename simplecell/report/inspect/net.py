"""The layers of a net: what each makes, sees and costs; and what to change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from simplecell.nets.advice import Advice
from simplecell.nets.sight import Extent
from simplecell.nets.walk import Walk
from simplecell.nets.watching import Layer
from simplecell.report.charts import lines
from simplecell.report.page import render
from simplecell.report.section import Section
from simplecell.report.tables import items, pairs, quantity, size, table

HEADINGS = ("layer", "kind", "output", "sees", "step", "parameters", "MACs", "memory")


def to_json(name: str, walk: Walk, advice: Sequence[Advice]) -> dict[str, Any]:
    """The net as JSON: totals, layers, advice. Fields and jumps in pixels, memory in bytes."""
    return {
        "kind": "net",
        "net": name,
        "input": list(walk.picture),
        "parameters": walk.parameters,
        "macs": walk.macs,
        "memory": walk.memory,
        "layers": [_layer_json(layer) for layer in walk.layers],
        "advice": [advice_json(each) for each in advice],
    }


def advice_json(advice: Advice) -> dict[str, Any]:
    return {
        "kind": advice.kind,
        "layer": advice.layer,
        "number": advice.number,
        "sentence": advice.sentence,
    }


def _layer_json(layer: Layer) -> dict[str, Any]:
    seen = layer.seen
    return {
        "name": layer.name,
        "kind": layer.kind,
        "shape": None if layer.shape is None else list(layer.shape[1:]),
        "field": None if seen is None else list(seen.field),
        "shortest_field": None if seen is None else list(seen.least),
        "jump": None if seen is None else list(seen.jump),
        "parameters": layer.parameters,
        "macs": layer.macs,
        "memory": layer.memory,
    }


def rows(walk: Walk) -> list[list[str]]:
    """A row of HEADINGS for each layer, for eyes."""
    return [
        [
            layer.name or "the net itself",
            layer.kind,
            "not called" if layer.shape is None else "×".join(map(str, layer.shape[1:])),
            _sees(layer, walk),
            "" if layer.seen is None else _extent(layer.seen.jump),
            short_count(layer.parameters),
            short_count(layer.macs),
            size(layer.memory) if layer.memory else "",
        ]
        for layer in walk.layers
    ]


def _sees(layer: Layer, walk: Walk) -> str:
    """Pixels that a value depends on; "all" where nothing else is beside it and it sees the whole picture."""
    if layer.seen is None:
        return ""
    whole = all(seen >= side for seen, side in zip(layer.seen.field, walk.picture[1:], strict=True))
    return "all" if whole and not any(layer.seen.jump) else _extent(layer.seen.field)


def _extent(extent: Extent) -> str:
    down, right = extent
    if not down and not right:
        return ""
    return f"{down:.4g}" if down == right else f"{down:.4g}×{right:.4g}"


def short_count(count: int) -> str:
    """A count that fits a column: 1,234, 23.5 k, 11.7 M, 4.09 G; empty for none."""
    if count < 10_000:
        return f"{count:,}" if count else ""
    scale, letter = next(s for s in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")) if count >= s[0])
    return f"{count / scale:.3g} {letter}"


def totals(walk: Walk) -> list[tuple[str, str]]:
    """What the whole net has and takes, in words."""
    return [
        ("parameters", f"{walk.parameters:,}"),
        ("weights as 32-bit floats", size(4 * walk.parameters)),
        ("multiply-adds a picture", quantity(walk.macs)),
        ("activations a picture", size(walk.memory)),
    ]


def page(name: str, walk: Walk, advice: Sequence[Advice]) -> str:
    """The page of a net as HTML."""
    shape = " × ".join(map(str, walk.picture))
    return render(
        title=f"{name}, layer by layer",
        kind="Inspect",
        heading=name,
        about=f"on a picture of {shape} (channels, rows, columns)",
        hero=Markup('<p class="hero"><strong>{}</strong> <span class="quiet">parameters</span></p>').format(
            quantity(walk.parameters)
        ),
        sections=sections(walk, advice),
    )


def sections(walk: Walk, advice: Sequence[Advice]) -> list[Section]:
    """Advice, growth of the receptive field, and every layer."""
    return [_advice(advice), _growth(walk), _layers(walk)]


def _advice(advice: Sequence[Advice]) -> Section:
    lead = (
        "Nothing to change was found."
        if not advice
        else f"{len(advice)} thing{'s' if len(advice) > 1 else ''} to look at, the most costly first."
    )
    shown = items([each.sentence for each in advice]) if advice else Markup("")
    return Section("advice", "Advice", shown, lead)


def _growth(walk: Walk) -> Section:
    """How the field grows and the map shrinks over the layers with weights."""
    side = min(walk.picture[1:])
    met = [w for w in walk.weighted if w.kind == "convolution"]
    field = [(float(k), min(w.seen.field)) for k, w in enumerate(met, 1)]
    series = {"longest path": field}
    if any(w.seen.least != w.seen.field for w in met):
        series["shortest path"] = [(float(k), min(w.seen.least)) for k, w in enumerate(met, 1)]
    if not met:
        return Section("sight", "What each place sees", Markup(""), "There is no convolution.")
    beyond = next((w for w in met if min(w.seen.field) >= side), None)
    lead = (
        f"What {beyond.layer or 'a convolution of the net itself'} reads is the first to see as much as the "
        f"whole picture, {side} px."
        if beyond
        else f"Before the last convolution a place sees {field[-1][1]:.0f} px of the picture's {side}."
    )
    chart = lines(
        series,
        title="Pixels that a convolution's input sees",
        x="convolution",
        y="pixels",
        description="The receptive field of what each convolution reads, as if the picture went on for ever.",
        log_y=True,
        mark=None,
    )
    return Section(
        "sight", "What each place sees", Markup('<div class="charts">{}</div>').format(chart), lead
    )


def _layers(walk: Walk) -> Section:
    largest = max(walk.layers, key=lambda layer: layer.parameters)
    dearest = max(walk.layers, key=lambda layer: layer.macs)
    lead = (
        f"{largest.name or 'The net itself'} has the most parameters, {quantity(largest.parameters)}; "
        f"{dearest.name or 'the net itself'} takes the most multiply-adds, {quantity(dearest.macs)}."
    )
    explained = Markup(
        '<p class="quiet">Output: channels, rows, columns. Sees: pixels a side that one value depends on, '
        "along the longest path. Step: pixels from one value to its neighbour. MACs: multiply-adds. Memory: "
        "of what is made anew, in 32-bit floats. A kind with “itself” is what a module does beside calling "
        "others.</p>"
    )
    shown = table("Layers", HEADINGS, rows(walk), words=("kind", "output"))
    return Section("layers", "Layers", Markup("{}{}{}").format(pairs(totals(walk)), explained, shown), lead)
