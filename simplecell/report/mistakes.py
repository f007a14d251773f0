"""The worst mistakes: what a net was surest of and wrong, and where in the picture it saw it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from torch import nn

from simplecell.report.answers import Answers, captioned, chance, image
from simplecell.report.saliency import grad_cam
from simplecell.report.section import Section
from simplecell.report.thumbnails import blend

#: Mistakes that are shown.
_SHOWN = 24
#: Pixels of the longer side of a picture.
_SIDE = 192

_STYLE = """
.pictures.pairs-of-two { grid-template-columns: repeat(auto-fill, minmax(min(13rem, 47%), 1fr));
  gap: 1.25rem 1rem; }
.pairs-of-two figure { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem; align-content: start; }
.pairs-of-two figcaption { grid-column: 1 / -1; }
.pairs-of-two figcaption strong { color: var(--ink); }
"""


def worst(answers: Answers) -> NDArray[np.int64]:
    """Places of the wrong answers, the surest first."""
    wrong = np.flatnonzero(answers.said != answers.labels)
    order: NDArray[np.int64] = wrong[np.argsort(-answers.score[wrong], kind="stable")]
    return order


def section(answers: Answers, classes: Sequence[str], net: nn.Module, device: torch.device) -> Section:
    """The section of the 24 worst mistakes, each beside the heat map of the class that was said.

    net: in eval mode, on device; it takes the pictures, N, C, H, W uint8.
    """
    title = "Worst mistakes"
    every = worst(answers)
    if len(every) == 0:
        return Section(
            "mistakes", title, Markup(""), lead="There is none: every picture is answered rightly."
        )
    places = every[:_SHOWN]
    pictures = answers.pictures(places)
    heat = grad_cam(net, torch.from_numpy(pictures).permute(0, 3, 1, 2).to(device), answers.said[places])
    figures = []
    for k, place in enumerate(places.tolist()):
        images = [image(pictures[k], answers.ids[place], _SIDE)]
        said, label = classes[int(answers.said[place])], classes[int(answers.labels[place])]
        if heat is not None:
            name = f"where {said} was seen in {answers.ids[place]}"
            images.append(image(blend(pictures[k], heat[k]), name, _SIDE))
        figures.append(
            captioned(
                images,
                Markup("said <strong>{}</strong> ({})").format(said, chance(float(answers.score[place]))),
                f"labelled {label} ({chance(float(answers.own[place]))})",
                answers.ids[place],
            )
        )
    explained = (
        "The second picture is light where the net saw what it said (Grad-CAM, Selvaraju et al. 2017), and "
        "dark all over where no place spoke for it."
        if heat is not None
        else "There are no heat maps: no convolution leads to feature maps that could be weighed."
    )
    kind = "pictures pairs-of-two" if heat is not None else "pictures"
    html = Markup('<p class="quiet">{}</p>\n<div class="{}">\n{}\n</div>').format(
        explained, kind, Markup("\n").join(figures)
    )
    first = int(places[0])
    lead = (
        f"The surest of {len(every):,} wrong answers: {classes[int(answers.said[first])]} with "
        f"{chance(float(answers.score[first]))} for a picture labelled {classes[int(answers.labels[first])]}."
    )
    return Section("mistakes", title, html, lead=lead, style=_STYLE)
