"""What a net's first layer looks for: its filters as pictures."""

from __future__ import annotations

from markupsafe import Markup
from torch import Tensor, nn

from simplecell.nets.filters import filters, first_layer, sheet
from simplecell.report.section import Section
from simplecell.report.thumbnails import data_uri

#: Filters that are drawn, and about how many pixels a filter is wide on the sheet.
_DRAWN, _WIDE = 96, 36


def section(net: nn.Module, example: Tensor) -> Section:
    """The section of the first layer's filters.

    net: in eval mode. example: what it takes, N first, on its device.
    """
    title = "First-layer filters"
    layer = first_layer(net, example)
    found = filters(layer)
    if found is None or layer is None:
        what = "has no weights" if layer is None else f"is no convolution on the picture but {layer}"
        return Section(
            "filters", title, Markup(""), lead=f"There is no filter to draw: the first layer {what}."
        )
    count, height, width, channels = found.shape
    drawn = found[:_DRAWN]
    columns = min(len(drawn), 16)
    picture = sheet(drawn, columns, max(1, round(_WIDE / width)))
    address = data_uri(picture, max(picture.shape[:2]), quality=90)
    lead = (
        f"{count:,} filters of {height} × {width} pixels"
        + ("" if channels == 1 else " in colour")
        + (f", of which {len(drawn)} are drawn" if len(drawn) < count else "")
        + ". Each answers most where the picture looks like it."
    )
    html = Markup(
        '<img class="pixels" src="{}" alt="{}" width="{}" height="{}">'
        '<p class="quiet">Mid-grey is a weight of 0; each filter is stretched by its own largest weight. '
        "Smooth stripes and spots of colour tell of a layer that has learnt; noise of one that has not.</p>"
    ).format(address, f"{len(drawn)} filters of the first layer", picture.shape[1], picture.shape[0])
    return Section("filters", title, html, lead=lead)
