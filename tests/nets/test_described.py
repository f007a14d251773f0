"""Nets of torch.nn's layers as text, and back."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from simplecell.errors import UserError
from simplecell.nets.described import describe, rebuild


def through_text(net: nn.Module) -> nn.Module:
    """Described, written, read and built again."""
    return rebuild(json.loads(json.dumps(describe(net), allow_nan=False)))


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    assert repr(one) == repr(other)
    shapes = [{k: (v.shape, v.dtype) for k, v in net.state_dict().items()} for net in (one, other)]
    assert shapes[0] == shapes[1]


# What a constructor is given, or else tried with, in this order, until one fits.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "AdaptiveLogSoftmaxWithLoss": (4, 8, (2, 5)),
    "GroupNorm": (2, 4),
    "Transformer": (8, 2, 1, 1, 8),
    "TransformerEncoderLayer": (8, 2),
    "TransformerDecoderLayer": (8, 2),
    "Unflatten": (1, (2, 3)),
}
TRIED: list[tuple[Any, ...]] = [(), (2,), (4, 6), (3, 4, 2), (2, (3,)), (1, 0.5)]
NOT_LAYERS = {
    *("Module", "Container", "DataParallel", "RNNBase", "RNNCellBase", "ParameterDict", "ParameterList"),
    *("TransformerDecoder", "TransformerEncoder"),  # made from another layer
    "NLLLoss2d",  # warns that it is going away
}
REFUSED = {
    *("GRU", "LSTM", "RNN"),  # they give two things, so a Sequential cannot hold them
    *("Transformer", "TransformerEncoderLayer", "TransformerDecoderLayer"),
    *("AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss", "TripletMarginWithDistanceLoss"),
}


def layers() -> list[str]:
    """Every class of torch.nn that is a layer."""
    kinds = {name: getattr(nn, name) for name in dir(nn)}
    found = [name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, nn.Module)]
    return sorted(name for name in found if name not in NOT_LAYERS)


def made(name: str) -> nn.Module:
    for arguments in [ARGUMENTS[name]] if name in ARGUMENTS else TRIED:
        try:
            layer: nn.Module = getattr(nn, name)(*arguments)
            return layer
        except (TypeError, ValueError, AssertionError):
            continue
    raise AssertionError(f"none of the arguments tried makes a {name}")


@pytest.mark.parametrize("name", layers())
@pytest.mark.filterwarnings("ignore")
def test_a_layer_survives_text_or_is_refused(name: str) -> None:
    layer = made(name)
    if name in REFUSED or name.startswith("Lazy"):
        with pytest.raises(UserError):
            describe(layer)
    else:
        assert_equal(layer, through_text(layer))


def test_the_test_above_is_about_all_of_torch() -> None:
    assert len(layers()) > 120
    assert {"Conv2d", "ConvTranspose3d", "BatchNorm1d", "MultiheadAttention", "PixelShuffle"} <= set(layers())


sizes = st.integers(1, 4)
pairs = st.one_of(sizes, st.tuples(sizes, sizes))
convolutions = st.builds(
    lambda groups, into, out, **rest: nn.Conv2d(groups * into, groups * out, groups=groups, **rest),
    *(sizes, sizes, sizes),
    kernel_size=pairs,
    stride=st.just(1),
    padding=st.one_of(st.sampled_from(["same", "valid"]), st.integers(0, 2), st.tuples(sizes, sizes)),
    dilation=pairs,
    bias=st.booleans(),
    padding_mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
)
norms = st.one_of(
    st.builds(
        nn.BatchNorm2d,
        sizes,
        eps=st.floats(1e-6, 1e-2),
        momentum=st.none() | st.floats(0, 1),
        affine=st.booleans(),
        track_running_stats=st.booleans(),
    ),
    st.builds(lambda groups, each: nn.GroupNorm(groups, groups * each), sizes, sizes),
    st.builds(
        nn.LayerNorm,
        st.lists(sizes, min_size=1, max_size=3),
        elementwise_affine=st.booleans(),
        bias=st.booleans(),
    ),
)
rest = st.one_of(
    st.builds(nn.Linear, sizes, sizes, bias=st.booleans()),
    st.builds(nn.ConvTranspose2d, sizes, sizes, pairs, stride=st.just(2), output_padding=st.integers(0, 1)),
    st.builds(nn.MaxPool2d, pairs, stride=st.none() | pairs, ceil_mode=st.booleans()),
    st.builds(nn.AvgPool2d, pairs, count_include_pad=st.booleans(), divisor_override=st.none() | sizes),
    st.builds(nn.AdaptiveAvgPool2d, st.one_of(sizes, st.tuples(sizes, st.none()))),
    st.builds(nn.Dropout2d, st.floats(0, 1), inplace=st.booleans()),
    st.builds(nn.LeakyReLU, st.floats(0, 1), inplace=st.booleans()),
    st.builds(nn.Hardtanh, st.floats(-2, -1), st.floats(1, 2)),
    st.builds(nn.GELU, approximate=st.sampled_from(["none", "tanh"])),
    st.builds(nn.Upsample, scale_factor=st.floats(0.5, 3), mode=st.sampled_from(["nearest", "area"])),
    st.builds(nn.ZeroPad2d, st.tuples(sizes, sizes, sizes, sizes)),
    st.builds(nn.Flatten, st.integers(0, 1), st.integers(2, 3)),
)
nested = st.recursive(
    st.one_of(convolutions, norms, rest),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda layers: nn.Sequential(*layers)),
        st.dictionaries(st.sampled_from(["stem", "body", "head"]), inner).map(
            lambda layers: nn.Sequential(OrderedDict(layers))
        ),
        st.lists(inner, max_size=3).map(nn.ModuleList),
        st.dictionaries(st.sampled_from(["a", "b"]), inner).map(nn.ModuleDict),
    ),
    max_leaves=8,
)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@given(nested, st.data())
def test_any_nest_of_layers_survives_text(net: nn.Module, data: st.DataObject) -> None:
    for parameter in net.parameters():
        parameter.requires_grad_(data.draw(st.booleans()))
    again = through_text(net)
    assert_equal(net, again)
    flags = [[parameter.requires_grad for parameter in of.parameters()] for of in (net, again)]
    assert flags[0] == flags[1]


def test_the_rebuilt_net_answers_alike_with_the_same_weights() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same", padding_mode="reflect"),
        nn.BatchNorm2d(4),
        nn.Sequential(nn.PReLU(), nn.AvgPool2d(2)),
        nn.Flatten(),
        nn.Linear(64, 3, bias=False),
    )
    again = through_text(net)
    again.load_state_dict(net.state_dict())
    pictures = torch.randn(5, 1, 8, 8)
    assert torch.equal(net.eval()(pictures), again.eval()(pictures))


def test_a_rectifier_that_stands_twice_is_written_twice() -> None:
    rectifier = nn.ReLU()
    net = nn.Sequential(nn.Linear(2, 2), rectifier, nn.Linear(2, 2), rectifier)
    assert_equal(net, through_text(net))


def test_a_lazy_layer_can_be_written_once_it_knows_its_size() -> None:
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(UserError, match=r"layer '1' \(LazyLinear\) does not know its sizes yet; run a batch"):
        describe(net)
    net(torch.zeros(1, 1, 2, 2))
    assert_equal(net, through_text(net))


class Own(nn.Linear):
    """A layer of someone's own, with the arguments of torch's."""


def with_hook() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda *_: None)
    return layer


def with_changed_setting() -> nn.Module:
    layer = nn.MultiheadAttention(4, 2)
    layer.head_dim = 3
    return layer


def with_shared_weight() -> nn.Module:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    other.weight = one.weight
    return nn.Sequential(one, other)


def with_spectral_norm() -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))


def with_new_buffer() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.register_buffer("mean", torch.zeros(2))
    return layer


@pytest.mark.parametrize(
    ("layer", "fault"),
    [
        (Own(2, 2), r"its layer '0\.1' \(Own\) is not a layer of torch\.nn"),
        (with_spectral_norm(), r"its layer '0\.1' \(ParametrizedLinear\) is not a layer of torch\.nn"),
        (with_hook(), r"its layer '0\.1' \(Linear\) has hooks"),
        (with_changed_setting(), r"its layer '0\.1' \(MultiheadAttention\) cannot be written as text"),
        (with_new_buffer(), r"its layer '0\.1' \(Linear\) cannot be written as text"),
        (nn.Linear(2, 2).double(), r"its layer '0\.1' \(Linear\) cannot be written as text"),
        (with_shared_weight(), r"two of its layers share a parameter"),
        (
            nn.Hardtanh(-float("inf"), 1.0),
            r"its layer '0\.1' \(Hardtanh\) has an argument 'min_val' that is no",
        ),
        (nn.TransformerEncoderLayer(4, 2, batch_first=True), r"does not tell its argument 'd_model'"),
        (nn.LSTM(2, 3), r"cannot be written as text"),
    ],
)
def test_what_text_cannot_say_is_refused_with_the_way_out(layer: nn.Module, fault: str) -> None:
    with pytest.raises(UserError, match=f'^net: .*{fault}.*; put a function.*net="my_net.py:build"'):
        describe(nn.Sequential(nn.Sequential(nn.Identity(), layer)))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": 2}, "has format 2, not 1"),
        ({"net": {"class": "system", "arguments": {}}}, "'system' is not a layer of torch.nn"),
        ({"net": {"class": "Module", "layers": []}}, "does not fit torch"),
        ({"net": {"class": "Parameter", "arguments": {}}}, "'Parameter' is not a layer of torch.nn"),
        ({"net": {"class": "Linear", "arguments": {"size": 3}}}, "does not fit torch"),
        ({"net": {"class": "Linear"}}, "does not fit torch"),
        ({"frozen": ["nowhere"]}, "does not fit torch"),
    ],
)
def test_a_description_that_was_tampered_with_is_refused(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        rebuild({**describe(nn.Linear(2, 2)), **change})
