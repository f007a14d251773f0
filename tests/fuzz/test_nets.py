"""Nets as JSON, spoilt: a net that answers, or a sentence; never more memory than it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

from judging import judged
from mutation import EXAMPLES, mutated

from simplecell.errors import UserError
from simplecell.nets import described
from simplecell.nets.described import FORMAT
from simplecell.nets.outside import from_text, to_text

SIZES = {"channels": 1, "classes": 3, "height": 8, "width": 8}


def net() -> nn.Sequential:
    body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(body, nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 3))


NETS = [
    to_text(net()).encode(),
    to_text(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4, 3))).encode(),
]
SIGNS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e9",
    b"99999",
    b"9" * 9,
    b"9" * 5000,
]
SIGNS += [
    b'"LSTM"',
    b'"Linear"',
    b'"Upsample"',
    b'"Module"',
    b'"ModuleList"',
    b'"arguments":{}',
    b'"padding"',
    b"[" * 3000,
]


@pytest.fixture(autouse=True)
def small_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described, "MOST_VALUES", 2**26)


@settings(max_examples=2 * EXAMPLES)
@given(content=mutated(NETS, SIGNS, most=3))
def test_a_spoilt_net_answers_or_is_refused(content: bytes) -> None:
    made = judged(lambda: from_text(content.decode("utf-8", errors="replace"), **SIZES), "net")
    if not isinstance(made, UserError):
        assert made.eval()(torch.zeros(1, 1, 8, 8)).shape == (1, 3)


# ---- lies, one by one


def layer(kind: str, **arguments: Any) -> dict[str, Any]:
    return {"class": kind, "arguments": arguments}


def chain(*layers: dict[str, Any]) -> str:
    numbered = [[str(number), each] for number, each in enumerate(layers)]
    return json.dumps({"format": FORMAT, "frozen": [], "net": {"class": "Sequential", "layers": numbered}})


def nested(depth: int) -> str:
    start = '{"class":"Sequential","layers":[["0",'
    inner = start * depth + '{"class":"Flatten","arguments":{}}' + "]]}" * depth
    return f'{{"format":{FORMAT},"frozen":[],"net":{inner}}}'


FLAT = layer("Flatten")
LIES: dict[str, str] = {
    "text": "small",
    "a list": "[]",
    "a number": "3",
    "null": "null",
    "no layers": json.dumps({"format": FORMAT, "frozen": [], "net": {"class": "Sequential"}}),
    "layers that are a number": json.dumps(
        {"format": FORMAT, "frozen": [], "net": {"class": "Sequential", "layers": 3}}
    ),
    "arguments that are a list": json.dumps(
        {"format": FORMAT, "frozen": [], "net": {"class": "Linear", "arguments": [3]}}
    ),
    "deep lists": "[" * 100_000,
    "deep layers": nested(400),
    "a layer of 40 GB": chain(
        FLAT,
        layer("Linear", in_features=64, out_features=150_000_000),
        layer("Linear", in_features=150_000_000, out_features=3),
    ),
    "ten layers of 100 MB": chain(FLAT, *[layer("Linear", in_features=5_000, out_features=5_000)] * 10),
    "a kernel of 40 GB": chain(layer("Conv2d", in_channels=1, out_channels=1, kernel_size=100_000)),
    "a picture grown to 40 GB": chain(
        layer("Upsample", scale_factor=12_500), layer("AdaptiveAvgPool2d", output_size=1)
    ),
    "padding of 40 GB": chain(layer("ZeroPad2d", padding=50_000), layer("AdaptiveAvgPool2d", output_size=1)),
    "a pool of 40 GB": chain(layer("AdaptiveAvgPool2d", output_size=70_000), FLAT),
    "a billion layers": chain(layer("LSTM", input_size=8, hidden_size=1, num_layers=10**9)),
    "a transformer of a billion layers": chain(
        layer("Transformer", d_model=8, nhead=1, num_encoder_layers=10**9)
    ),
    "a size below nothing": chain(FLAT, layer("Linear", in_features=-1, out_features=3)),
    "a size of 2**70": chain(FLAT, layer("Linear", in_features=2**70, out_features=3)),
    "a size of 5,000 digits": chain(FLAT, layer("Linear", in_features=64, out_features=0)).replace(
        "64", "9" * 5000
    ),
    "a size that is text": chain(FLAT, layer("Linear", in_features="64", out_features=3)),
    "a device": chain(FLAT, layer("Linear", in_features=64, out_features=3, device="cuda:99")),
    "the device that holds nothing": chain(
        FLAT, layer("Linear", in_features=64, out_features=3, device="meta")
    ),
    "a name that is a path": json.dumps(
        {"format": FORMAT, "frozen": [], "net": {"class": "Sequential", "layers": [["../a.b", FLAT]]}}
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_net_that_lies_gets_its_sentence(lie: str) -> None:
    error = judged(lambda: from_text(LIES[lie], **SIZES), "net")
    print(error)
    assert isinstance(error, UserError)
