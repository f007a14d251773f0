"""The settings of nets."""

from __future__ import annotations

import torch
from torch import nn

from simplecell import nets
from simplecell.nets.settings import NetSettings, chosen


def test_nothing_is_chosen_where_all_is_auto() -> None:
    assert chosen(NetSettings()) == {}


def test_what_is_chosen_goes_to_build_and_width_under_another_name() -> None:
    """``width`` is the picture's there."""
    settings = NetSettings(depth=3, width=6, activation="elu", batch_norm=False, dropout=0.0, init="he")
    found = chosen(settings)
    assert found == {
        "depth": 3,
        "base": 6,
        "activation": "elu",
        "batch_norm": False,
        "dropout": 0.0,
        "init": "he",
    }
    net = nets.build("first-cnn", channels=1, classes=2, height=28, width=28, **found)
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [6, 12, 24]
    assert any(isinstance(layer, nn.ELU) for layer in net.modules())


def test_settings_that_say_what_is_usual_build_the_usual_net() -> None:
    """So that "auto" in the artefact of an older run and the value it stood for give one net."""
    usual = {
        "first-cnn": NetSettings(2, 32, "relu", False, 0.5, "conv-bn-act"),
        "second-cnn": NetSettings(2, 128, "relu", True, 0.25, "conv-act-bn"),
        "small": NetSettings("auto", 32, "relu", True, 0.0, "bn-act-conv"),
        "dense": NetSettings(2, 512, "relu", False, 0.2),
    }
    for name, settings in usual.items():
        built = []
        for given in ({}, chosen(settings)):
            torch.manual_seed(0)
            built.append(nets.build(name, channels=3, classes=2, height=32, width=32, **given))
        assert str(built[0]) == str(built[1])
        ours, same = (dict(net.named_parameters()) for net in built)
        assert ours.keys() == same.keys()
        assert all(torch.equal(ours[key], same[key]) for key in ours)
