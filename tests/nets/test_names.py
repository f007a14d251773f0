"""Nets by name."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from simplecell import nets
from simplecell.errors import UserError

PICTURES = {"channels": 1, "classes": 10, "height": 28, "width": 28}


def test_every_name_has_a_net_and_a_line_of_text() -> None:
    for name, line in nets.NAMES.items():
        assert nets.build(name, **PICTURES)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
        assert 20 <= len(line) <= 90
        assert "\n" not in line


def test_the_names_are_read_without_importing_torch() -> None:
    program = "import sys, simplecell.nets as n; assert n.NAMES; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no net 'lenet'; try 'lenet5'\.") as caught:
        nets.build("lenet", **PICTURES)
    assert caught.value.where == "net"


def test_a_far_off_name_is_told_all() -> None:
    with pytest.raises(UserError, match="take one of small, lenet5, first-cnn, dense"):
        nets.build("xyzzy", **PICTURES)


def test_an_unknown_setting_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'dense' has no setting 'hiden'; try 'hidden'\."):
        nets.build("dense", hiden=(3,), **PICTURES)


@pytest.mark.parametrize("size", [24, 28, 64, 128, 224])
def test_the_default_net_can_be_built(size: int) -> None:
    name = nets.default(size, size)
    nets.build(name, channels=3, classes=2, height=size, width=size)


@pytest.mark.parametrize(("name", "side"), [("lenet5", 11), ("first-cnn", 3), ("small", 9)])
def test_a_picture_too_small_is_refused_and_the_next_size_is_not(name: str, side: int) -> None:
    with pytest.raises(UserError, match=rf"at least {side + 1} × {side + 1} px, not 40 × {side}; enlarge"):
        nets.build(name, channels=1, classes=10, height=side, width=40)
    nets.build(name, channels=1, classes=10, height=side + 1, width=side + 1)
