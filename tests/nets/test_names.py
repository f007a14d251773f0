"""Nets by name."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from simplecell import nets
from simplecell.errors import UserError
from simplecell.nets import airbench
from simplecell.nets.settings import NetSettings, chosen

PICTURES = {"channels": 1, "classes": 10, "height": 28, "width": 28}


def test_every_name_has_a_net_and_a_line_of_text() -> None:
    for name, line in nets.NAMES.items():
        with torch.device("meta"):  # shapes without numbers: the large ones take seconds to fill
            net = nets.build(name, channels=1, classes=10, height=64, width=64).eval()
            assert net(torch.zeros(2, 1, 64, 64)).shape == (2, 10)
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
    with pytest.raises(UserError, match="take one of dense, lenet5, first-cnn, second-cnn, small"):
        nets.build("xyzzy", **PICTURES)


def test_an_unknown_setting_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'dense' has no setting 'deph'; try 'depth'\."):
        nets.build("dense", deph=3, **PICTURES)


@pytest.mark.parametrize("size", [24, 28, 64, 128, 224])
def test_the_default_net_can_be_built(size: int) -> None:
    name = nets.default(size, size)
    nets.build(name, channels=3, classes=2, height=size, width=size)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("lenet5", 11),
        ("first-cnn", 3),
        ("second-cnn", 7),
        ("small", 9),
        ("alexnet", 62),
        ("vgg11", 31),
        ("vgg19-bn", 31),
        ("googlenet", 14),
    ],
)
def test_a_picture_too_small_is_refused_and_the_next_size_is_not(name: str, side: int) -> None:
    sentence = rf"at least {side + 1} × {side + 1} px, not 99 × {side}; enlarge"
    with torch.device("meta"):
        with pytest.raises(UserError, match=sentence):
            nets.build(name, channels=1, classes=10, height=side, width=99)
        net = nets.build(name, channels=1, classes=10, height=side + 1, width=side + 1).eval()
        assert net(torch.zeros(2, 1, side + 1, side + 1)).shape == (2, 10)


@pytest.mark.parametrize("name", ["resnet18", "resnet20"])
def test_residual_nets_take_pictures_of_every_size(name: str) -> None:
    net = nets.build(name, channels=1, classes=10, height=1, width=1).eval()
    assert net(torch.zeros(2, 1, 1, 1)).shape == (2, 10)


def test_a_setting_that_the_name_fixes_cannot_be_given() -> None:
    for name, settings in {"vgg11": {"batch_norm": True}, "resnet18": {"layers": 34}}.items():
        with pytest.raises(UserError, match=f"the net '{name}' has no setting '{next(iter(settings))}'"):
            nets.build(name, **settings, channels=3, classes=10, height=32, width=32)


def test_a_refused_setting_has_its_users_name() -> None:
    """The flag --width is the keyword base, as width is the picture's."""
    with pytest.raises(UserError, match="'alexnet' has no setting 'width'; take one of dropout"):
        nets.build("alexnet", base=3, channels=3, classes=10, height=64, width=64)


@pytest.mark.parametrize("asked", ["auto", True, False])
def test_normalised_tells_which_nets_have_batch_norms(asked: Any) -> None:
    settings = NetSettings(batch_norm=asked)
    for name in nets.NAMES:
        with torch.device("meta"):
            try:
                net = nets.build(name, channels=3, classes=2, height=64, width=64, **chosen(settings))
            except UserError:  # it has no such setting
                continue
        # airbench has norms of its own, without a scale.
        kinds = nn.BatchNorm1d | nn.BatchNorm2d | airbench._Norm
        there = any(isinstance(module, kinds) for module in net.modules())
        assert nets.normalised(name, settings) == there, name


@pytest.mark.parametrize("how", ["xavier", "he", "truncated-normal"])
def test_any_net_can_be_built_with_other_first_weights(how: Any) -> None:
    for name in ("dense", "lenet5", "resnet20"):
        built = []
        for init in (None, how):
            torch.manual_seed(1)
            built.append(nets.build(name, init=init, **PICTURES))
        own, drawn = (next(net.parameters()) for net in built)
        assert not torch.equal(own, drawn)
