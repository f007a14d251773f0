"""First-layer filters on the page."""

from __future__ import annotations

import torch
from torch import nn

from simplecell.report.filters import section
from tests.report.answered import on_page


def test_a_convolution_on_the_picture_is_drawn() -> None:
    net = nn.Sequential(nn.Conv2d(3, 200, (5, 7)), nn.Flatten()).eval()
    made = section(net, torch.zeros(1, 3, 9, 9))
    assert made.lead.startswith("200 filters of 5 × 7 pixels in colour, of which 96 are drawn.")
    page = on_page(made)
    assert ("img", "alt", "96 filters of the first layer") in page.attributes


def test_what_is_no_convolution_on_the_picture_is_named_instead() -> None:
    made = section(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval(), torch.zeros(1, 1, 4, 4))
    assert made.lead == (
        "There is no filter to draw: the first layer is no convolution on the picture but "
        "Linear(in_features=16, out_features=2, bias=True)."
    )
    on_page(made)


def test_a_net_that_learns_nothing_has_no_layer_to_draw() -> None:
    made = section(nn.Flatten().eval(), torch.zeros(1, 1, 4, 4))
    assert made.lead == "There is no filter to draw: the first layer has no weights."
