"""Nets of timm and torchvision by name, against those libraries themselves."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torchvision import models

from simplecell import nets
from simplecell.errors import UserError
from simplecell.nets.borrowed import is_borrowed

PICTURES = {"channels": 3, "classes": 7, "height": 64, "width": 64}


def equal(ours: Any, theirs: Any) -> bool:
    """Whether two nets have the same tensors under the same names."""
    a, b = ours.state_dict(), theirs.state_dict()
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_a_net_of_torchvision_is_torchvisions() -> None:
    torch.manual_seed(3)
    ours = nets.build("torchvision:shufflenet_v2_x0_5", **PICTURES)
    torch.manual_seed(3)
    assert equal(ours, models.get_model("shufflenet_v2_x0_5", weights=None, num_classes=7))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_net_of_timm_is_timms(channels: int) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(3)
    ours = nets.build("timm:test_resnet", **{**PICTURES, "channels": channels})
    torch.manual_seed(3)
    assert equal(ours, timm.create_model("test_resnet", num_classes=7, in_chans=channels))


@pytest.mark.parametrize("name", ["torchvision:googlenet", "torchvision:inception_v3"])
def test_auxiliary_heads_come_after_the_logits(name: str) -> None:
    net = nets.build(name, **{**PICTURES, "height": 299, "width": 299})
    pictures = torch.randn(2, 3, 299, 299)
    given = net.train()(pictures)
    assert isinstance(given, tuple)
    assert all(each.shape == (2, 7) for each in given)
    assert net.eval()(pictures).shape == (2, 7)


@pytest.mark.parametrize("name", ["torchvision:vit_b_32", "timm:test_vit"])
def test_a_transformer_is_built_for_the_size_of_the_pictures(name: str) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    net = nets.build(name, **{**PICTURES, "height": 96, "width": 96}).eval()
    assert net(torch.zeros(1, 3, 96, 96)).shape == (1, 7)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torchvision:resnet51", "torchvision has no net 'resnet51' for classes; did you mean resnet50"),
        ("torchvision:fcn_resnet50", "no net 'fcn_resnet50' for classes"),
        ("torchvision:inception_v3", r"cannot take pictures of 32 × 32 \(RuntimeError: .*; give --size 299"),
        ("timm:resnet51", "timm has no net 'resnet51'; did you mean resnet"),
        (
            "timm:resnet50.a9_in1k",
            "timm has no weights of resnet50 with the tag 'a9_in1k'; did you mean \\w*_in1k",
        ),
        ("timm:", "timm has no net ''"),
    ],
)
def test_what_a_library_has_not_is_told(name: str, sentence: str) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    with pytest.raises(UserError, match=sentence) as caught:
        nets.build(name, **{**PICTURES, "height": 32, "width": 32})
    assert caught.value.where == f"--net {name}"


def test_torchvisions_nets_are_told_to_want_colour() -> None:
    with pytest.raises(UserError, match=r"in colour; give --channels 3"):
        nets.build("torchvision:resnet18", **{**PICTURES, "channels": 1})


def test_what_is_not_installed_is_told_with_the_extra_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"timm is not installed; .*pip install simplecell\[timm\]"):
        nets.build("timm:resnet18", **PICTURES)


def test_settings_of_the_packages_nets_are_refused() -> None:
    with pytest.raises(UserError, match="has no setting 'depth'"):
        nets.build("torchvision:shufflenet_v2_x0_5", **PICTURES, depth=3)


def test_batch_normalisation_is_seen() -> None:
    assert nets.normalised("torchvision:shufflenet_v2_x0_5")
    assert not nets.normalised("torchvision:squeezenet1_1")


def test_a_file_that_is_named_like_a_library_is_a_file() -> None:
    assert not is_borrowed("timm.py:build")
    assert not is_borrowed('{"timm:": 1}')
    assert is_borrowed("torchvision:resnet18")
