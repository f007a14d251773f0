"""AlexNet."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tests.nets.contract import NetContract
from tests.nets.reference import assert_equal_answers, both, parameters


class TestAlexNet(NetContract):
    """With narrow dense layers, whose 4096 units take most of the time."""

    name: ClassVar[str] = "alexnet"
    side: ClassVar[int] = 63
    sizes: ClassVar[list[tuple[int, int]]] = [(63, 63), (64, 97)]
    rate: ClassVar[float] = 3e-4

    @pytest.fixture(autouse=True)
    def narrow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("simplecell.nets.alexnet._UNITS", 256)


@pytest.mark.parametrize(("height", "width"), [(63, 63), (95, 130)])
def test_it_answers_as_torchvisions(height: int, width: int) -> None:
    assert_equal_answers(*both("alexnet", "alexnet", 63), height, width)


def test_it_has_the_published_number_of_parameters() -> None:
    ours, theirs = both("alexnet", "alexnet", 224, classes=1000)
    assert parameters(ours) == parameters(theirs) == 61_100_840
