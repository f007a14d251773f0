"""What a trained net does with pictures: answers, filters, feature maps, activity, favourite pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from torch import Tensor, nn

from simplecell.nets.advice import Advice
from simplecell.nets.filters import sheet
from simplecell.nets.walk import Walk
from simplecell.report import filters
from simplecell.report.answers import captioned, chance, image
from simplecell.report.charts import lines
from simplecell.report.inspect import net as layers_page
from simplecell.report.inspect.activity import Activity, dead_units, feature_maps
from simplecell.report.occlusion import occlusion
from simplecell.report.page import render
from simplecell.report.saliency import grad_cam
from simplecell.report.section import Section
from simplecell.report.tables import number, percent, table
from simplecell.report.thumbnails import blend, data_uri

#: Maps of a layer that are drawn, their columns, and pixels a side of each.
_MAPS, _COLUMNS, _MAP_SIDE = 12, 4, 48
#: Layers whose maps are drawn: of more, those whose maps are made by an activation.
_DRAWN = 64
#: Layers whose favourites are shown, and units of each.
_FAVOURED, _UNITS = 3, 6
#: Pixels of the longer side of an answered picture, and of a favourite.
_SIDE, _SMALL = 256, 96

_STYLE = """
.answered figure { display: grid; grid-template-columns: repeat(3, 1fr); gap: .35rem; margin: 0 0 1.25rem;
  max-width: 48rem; }
.answered img, .maps img { display: block; width: 100%; border-radius: 4px; }
.answered figcaption { grid-column: 1 / -1; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr)); gap: 1rem; }
.maps figure { margin: 0; min-width: 0; }
.answered figcaption, .maps figcaption { color: var(--quiet); font-size: .8125rem; margin-top: .25rem;
  overflow-wrap: anywhere; }
.unit { display: grid; grid-template-columns: 5rem 1fr; gap: .5rem; align-items: center; margin: .35rem 0; }
.unit div { display: grid; grid-template-columns: repeat(6, minmax(0, 6rem)); gap: .25rem; }
.unit img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 3px; }
"""


@dataclass(frozen=True)
class Shown:
    """A picture that is looked at closely: its name, and how the net gets it, uint8, H, W, C."""

    name: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Answered:
    """What a net said of a picture, and where it saw it.

    heat: of Grad-CAM, 0 … 1, H, W; None where the net has no maps that could be weighed. covered: likewise,
    of occlusion. fall: the largest fall of the probability by one covered square; at: the row and column of
    its middle.
    """

    shown: Shown
    said: str
    score: float
    heat: NDArray[np.float32] | None
    covered: NDArray[np.float32]
    fall: float
    at: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.shown.name,
            "class": self.said,
            "score": self.score,
            "occlusion": {"largest_fall": self.fall, "row": self.at[0], "column": self.at[1]},
        }


@dataclass(frozen=True)
class Findings:
    """All that was found of a net.

    name: of the run. about: a line under it. net: in eval mode, on its device. shown: pictures that are
    looked at closely. sample, told: gives pictures of the sample at some places, uint8 N, H, W, C; and what
    they are, in words.
    """

    name: str
    about: str
    net: nn.Module
    walk: Walk
    advice: Sequence[Advice]
    shown: Sequence[Shown]
    answered: Sequence[Answered]
    activity: Sequence[Activity]
    sample: Callable[[Sequence[int]], NDArray[np.uint8]]
    count: int
    told: str


def answer(
    net: nn.Module, shown: Shown, classes: Sequence[str], cover: Sequence[float], device: torch.device
) -> Answered:
    """What a classifier says of a picture, and where it saw it. cover: mean colour, C values 0 … 255."""
    picture = as_batch(shown.pixels, device)
    with torch.no_grad():
        chances = net(picture).float().softmax(1)[0].cpu()
    label = int(chances.argmax())
    heat = grad_cam(net, picture, [label])
    colour = torch.tensor(cover, device=device).round().to(picture.dtype)[:, None, None]
    covered, fall, at = occlusion(net, picture, label, colour)
    said = None if heat is None else heat[0]
    return Answered(shown, classes[label], float(chances[label]), said, covered, fall, at)


def as_batch(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """A picture H, W, C as a batch of one, N, C, H, W."""
    return torch.from_numpy(np.ascontiguousarray(pixels[None])).permute(0, 3, 1, 2).to(device)


def to_json(found: Findings) -> dict[str, Any]:
    """The numbers of the findings."""
    dead, units = dead_units(found.activity)
    return {
        "kind": "run",
        "run": found.name,
        "sample": found.count,
        "dead_units": dead,
        "units": units,
        "layers": [
            {
                "name": a.name,
                "kind": a.kind,
                "shape": list(a.shape),
                "mean": a.mean,
                "deviation": a.deviation,
                "zeros": a.zeros,
                "saturated": a.saturated,
                "units": a.units,
                "dead": a.dead,
            }
            for a in found.activity
        ],
        "pictures": [each.to_json() for each in found.answered],
        "advice": [layers_page.advice_json(each) for each in found.advice],
    }


def page(found: Findings) -> str:
    """The page of the findings as HTML; below 8 MB whatever the net."""
    dead, units = dead_units(found.activity)
    hero = Markup('<p class="hero"><strong>{}</strong> <span class="quiet">{}</span></p>').format(
        f"{dead:,} of {units:,}" if units else "–",
        f"units never active on {found.told}" if units else "there is no layer that turns units off",
    )
    device = next(iter(found.net.state_dict().values())).device
    first = as_batch(found.shown[0].pixels, device)
    made = [
        *([_answers(found.answered)] if found.answered else []),
        filters.section(found.net, first),
        _maps(found, first),
        activity_section(found.activity, found.told),
        _favourites(found),
        *layers_page.sections(found.walk, found.advice),
    ]
    return render(
        title=f"{found.name} from inside",
        kind="Inspect",
        heading=found.name,
        about=found.about,
        hero=hero,
        sections=made,
    )


def _answers(answered: Sequence[Answered]) -> Section:
    figures = []
    for each in answered:
        shown = each.shown
        images = [image(shown.pixels, shown.name, _SIDE)]
        name = f"where {each.said} was seen in {shown.name}"
        if each.heat is not None:
            images.append(image(blend(shown.pixels, each.heat), f"{name} (Grad-CAM)", _SIDE))
        images.append(image(blend(shown.pixels, each.covered), f"{name} (occlusion)", _SIDE))
        fall = (
            f"a square over column {each.at[1]}, row {each.at[0]} lowers this by {chance(each.fall)}"
            if each.fall > 0
            else "no square over a part of it lowers this"
        )
        said = Markup("<strong>{}</strong> ({}); {}").format(each.said, chance(each.score), fall)
        figures.append(captioned(images, said, shown.name))
    html = Markup(
        '<p class="quiet">Beside each picture: where the last feature maps spoke for the answer (Grad-CAM, '
        "Selvaraju et al. 2017), and how far the answer falls when a place is covered (occlusion, Zeiler and "
        "Fergus 2014). Light is much. The first is one look inside, the second asks the whole net.</p>\n"
        '<div class="answered">\n{}\n</div>'
    ).format(Markup("\n").join(figures))
    first = answered[0]
    lead = f"{first.shown.name} is told to be {first.said}, with {chance(first.score)}."
    return Section("answers", "Answers, and where they were seen", html, lead, _STYLE)


def _maps(found: Findings, picture: Tensor) -> Section:
    every = feature_maps(found.net, picture, _MAPS, _MAP_SIDE)
    drawn = every
    if len(drawn) > _DRAWN:
        active = {a.name for a in found.activity if a.activates}
        drawn = [each for each in every if each[0] in active][:_DRAWN] or every[:_DRAWN]
    figures = [
        Markup(
            '<figure><img src="{}" alt="{}" class="pixels"><figcaption>{}<br>{}</figcaption></figure>'
        ).format(_sheet(maps), f"feature maps of {name}", name, f"{kind}, {' × '.join(map(str, shape))}")
        for name, kind, shape, maps in drawn
    ]
    left_out = f" Of {len(every)} layers, {len(drawn)} are drawn." if len(drawn) < len(every) else ""
    html = Markup(
        '<p class="quiet">The {} most active maps of each layer, each stretched from its least value, black, '
        'to its largest.{}</p>\n<div class="maps">\n{}\n</div>'
    ).format(_MAPS, left_out, Markup("\n").join(figures))
    lead = f"What the layers make of {found.shown[0].name}: the first of its edges, the last of its parts."
    return Section("maps", "Feature maps", html, lead if figures else "No layer has maps.", _STYLE)


def _sheet(maps: Tensor) -> str:
    """Maps U, h, w as one picture, in a data address."""
    low = maps.amin((1, 2), keepdim=True)
    spread = (maps.amax((1, 2), keepdim=True) - low).clamp_min(1e-12)
    grey = ((maps - low) / spread * 255).round().to(torch.uint8)[..., None].numpy()
    drawn = sheet(grey, min(_COLUMNS, len(grey)), max(1, _MAP_SIDE // max(grey.shape[1:3])))
    return data_uri(drawn, max(drawn.shape[:2]))


def activity_section(activity: Sequence[Activity], told: str) -> Section:
    """Statistics of each layer over the sample; told: what the sample is."""
    rows = [
        [
            a.name,
            a.kind,
            number(a.mean, 3),
            number(a.deviation, 3),
            percent(a.zeros, 1),
            percent(a.saturated, 1),
            f"{a.units:,}",
            "–" if a.dead is None else f"{len(a.dead):,}",
        ]
        for a in activity
    ]
    headings = ["layer", "kind", "mean", "deviation", "zeros", "at an end", "units", "dead"]
    spread = [(float(k), a.deviation) for k, a in enumerate(activity, 1)]
    charts = [
        lines(
            {"deviation": spread},
            title="Deviation of what each layer gives",
            x="layer",
            y="deviation",
            description="A curve that falls or rises by powers of ten: signals that vanish or explode.",
            log_y=True,
        )
    ]
    off = [(float(k), a.zeros) for k, a in enumerate(activity, 1) if a.rectifies]
    if off:
        charts.append(
            lines(
                {"zeros": off},
                title="Share of zeros after each activation",
                x="layer",
                y="zeros",
                description="About a half is usual after ReLU; near 1 little passes on.",
                percent_y=True,
            )
        )
    html = Markup('<div class="charts">{}</div>{}').format(
        Markup("\n").join(charts), table("Activity by layer", headings, rows, words=("kind",))
    )
    return Section("activity", "Activity", html, f"{dead_words(activity)} Over {told}.")


def dead_words(activity: Sequence[Activity]) -> str:
    """A sentence on units that are never active."""
    dead, units = dead_units(activity)
    if not units:
        return "No activation turns units off."
    if not dead:
        return f"Each of {units:,} units was active at least once."
    worst = max((a for a in activity if a.dead), key=lambda a: len(a.dead or ()))
    return (
        f"{dead:,} of {units:,} units were never active, most of them, {len(worst.dead or ()):,} of "
        f"{worst.units:,}, in {worst.name}."
    )


def _favourites(found: Findings) -> Section:
    """For the strongest units of an early, a middle and a late layer: what they answer most to."""
    title = "Favourite pictures"
    able = [a for a in found.activity if a.rectifies] or [a for a in found.activity if a.activates]
    if not able:
        return Section("favourites", title, Markup(""), "There is no activation whose units could be asked.")
    places = sorted({round(k * (len(able) - 1) / max(1, _FAVOURED - 1)) for k in range(_FAVOURED)})
    parts = []
    for layer in (able[place] for place in places):
        units = Markup("\n").join(_unit(found, layer, unit) for unit in layer.strongest(_UNITS))
        parts.append(Markup("<h3>{}</h3>\n{}").format(layer.name, units))
    lead = (
        f"The units whose answers rise highest in {len(places)} layers, each with those of {found.told} that "
        "it answers most to."
    )
    return Section("favourites", title, Markup("\n").join(parts), lead, _STYLE)


def _unit(found: Findings, layer: Activity, unit: int) -> Markup:
    pictures = found.sample(layer.best_at[:, unit].tolist())
    images = Markup("").join(
        image(picture, f"favourite {k} of unit {unit} of {layer.name}", _SMALL)
        for k, picture in enumerate(pictures, 1)
    )
    return Markup('<div class="unit"><span class="quiet">unit {}<br>{}</span><div>{}</div></div>').format(
        unit, number(float(layer.best[0, unit]), 3), images
    )
