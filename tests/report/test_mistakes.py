"""The worst mistakes on the page, with heat maps where there are any."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from simplecell.report.mistakes import section, worst
from tests.report.answered import EVIL, answers, drawn, on_page

CPU = torch.device("cpu")
NAMES = ["jay", "tit", "wren"]


class Convolving(nn.Module):
    """A convolution, a rectifier, the mean of each map, a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
        self.dense = nn.Linear(4, 4)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.dense(self.maps(picture.float()).mean((2, 3)))
        return logits


def test_the_surest_wrong_answers_come_first() -> None:
    given = answers([0, 1, 1, 2, 2], [0, 0, 2, 1, 2], [0.99, 0.7, 0.9, 0.8, 0.95])
    np.testing.assert_array_equal(worst(given), [2, 3, 1])


def test_each_mistake_tells_what_was_said_what_it_is_and_where_it_lies() -> None:
    made = section(answers([0, 1], [2, 1], [0.98, 0.9]), NAMES, Convolving().eval(), CPU)
    page = on_page(made)
    assert "said wren (0.98)" in page.text
    assert "labelled jay (0.01)" in page.text
    assert "test/000.png" in page.text
    assert made.lead == "The surest of 1 wrong answers: wren with 0.98 for a picture labelled jay."


def test_beside_each_picture_is_the_heat_map_of_what_was_said() -> None:
    page = on_page(section(drawn(0, 100, 3, 0.4), NAMES, Convolving().eval(), CPU))
    names = [value for tag, name, value in page.attributes if tag == "img" and name == "alt"]
    assert len(names) == 2 * 24
    assert sum(name.startswith("where ") for name in names) == 24
    assert "Grad-CAM" in page.text


def test_a_net_without_convolutions_has_no_heat_maps_and_the_page_says_so() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.layers(picture.float())
            return logits

    page = on_page(section(drawn(0, 20, 3, 0.4), NAMES, Dense().eval(), CPU))
    assert "There are no heat maps" in page.text
    assert "where " not in {value[:6] for tag, name, value in page.attributes if name == "alt"}


def test_where_nothing_is_wrong_there_is_no_mistake_to_show() -> None:
    made = section(answers([0, 1], [0, 1]), NAMES, Convolving().eval(), CPU)
    assert made.lead == "There is none: every picture is answered rightly."
    on_page(made)


def test_names_are_text() -> None:
    page = on_page(section(drawn(3, 40, 4, 0.2), EVIL, Convolving().eval(), CPU))
    assert EVIL[0] in page.text
