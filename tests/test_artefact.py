"""The artefact: equal nets give equal bytes, and whatever is not one is told in a sentence."""

from __future__ import annotations

import copy
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from torch import nn

from simplecell import artefact
from simplecell.artefact import Header, read_about, read_header, read_tensors, restore, state_of
from simplecell.errors import UserError
from simplecell.learn import checkpoints
from simplecell.learn.checkpoints import Checkpoint

HEADER = Header(
    "classify",
    {"training": {"epochs": 2.0}, "net": "small"},
    {"classes": ["naïve", "b"], "mean": [0.5]},
    {"nll": {"value": 1.0, "low": 0.5, "high": 1.5}, "accuracy": {"value": 0.5, "low": 0.1, "high": 0.9}},
)


def small_net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


class Tied(nn.Module):
    """Two layers with one weight, as an autoencoder or a language head has."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight


class Bank(nn.Module):
    """A buffer whose size the data decide."""

    rows: torch.Tensor | None

    def __init__(self, rows: torch.Tensor | None) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("rows", rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# ---- bytes


def test_equal_nets_give_equal_bytes_whatever_their_layout(path: Path) -> None:
    net = small_net()
    twin = copy.deepcopy(net).to(memory_format=torch.channels_last)
    shuffled = Header(
        HEADER.task,
        dict(reversed(HEADER.settings.items())),
        dict(reversed(HEADER.meaning.items())),
        HEADER.figures,
    )
    written = set()
    for one, header in ((net, HEADER), (twin, shuffled), (small_net(), HEADER)):
        artefact.write(path, one, header)
        written.add(path.read_bytes())
    assert len(written) == 1
    artefact.write(path, small_net(1), HEADER)
    assert path.read_bytes() not in written


def test_the_header_has_one_key_and_safetensors_reads_the_file(path: Path) -> None:
    net = small_net()
    artefact.write(path, net, HEADER)
    with safe_open(path, "pt") as file:
        assert list(file.metadata()) == ["simplecell"]
        assert set(file.keys()) == set(net.state_dict())
        assert all(torch.equal(file.get_tensor(name), t) for name, t in net.state_dict().items())


def test_a_header_comes_back_with_its_figures_in_their_order(path: Path) -> None:
    artefact.write(path, small_net(), HEADER)
    read = read_header(path)
    assert read == HEADER
    assert list(read.figures) == ["nll", "accuracy"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(meaning=st.dictionaries(st.text(), JSON, max_size=4))
def test_any_meaning_comes_back(tmp_path_factory: pytest.TempPathFactory, meaning: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("any") / "model.safetensors"
    artefact.write(path, nn.Linear(1, 1), Header("classify", {}, meaning))
    assert read_header(path).meaning == meaning


def test_a_number_that_json_does_not_know_is_not_written(path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        artefact.write(path, small_net(), Header("classify", {}, {"mean": float("nan")}))
    assert not path.exists()


# ---- into a net


def test_a_net_comes_back_bitwise(path: Path) -> None:
    net = small_net()
    artefact.write(path, net, HEADER)
    other = small_net(1)
    restore(other, read_tensors(path), path)
    assert all(torch.equal(a, other.state_dict()[name]) for name, a in net.state_dict().items())


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (8, 3, 1, 1), (8, 1, 3, 3), (1, 3, 3, 3), (1, 1, 1, 1)])
def test_restoring_keeps_strides_objects_and_values(shape: tuple[int, ...]) -> None:
    """A kernel of 1×1 or of one channel has strides that do not tell its layout; they stay as they are."""
    out, channels, height, width = shape
    source = nn.Conv2d(channels, out, (height, width))
    target = nn.Conv2d(channels, out, (height, width)).to(memory_format=torch.channels_last)
    stride, parameter = target.weight.stride(), target.weight
    restore(target, state_of(source), "here")
    assert target.weight is parameter
    assert target.weight.stride() == stride
    assert target.weight.requires_grad
    assert torch.equal(target.weight, source.weight)


def test_tied_weights_are_saved_apart_and_stay_tied(path: Path) -> None:
    net = Tied()
    state = state_of(net)
    assert state["first.weight"].data_ptr() != state["second.weight"].data_ptr()
    artefact.write(path, net, HEADER)
    other = Tied()
    restore(other, read_tensors(path), path)
    assert other.first.weight is other.second.weight
    assert torch.equal(other.first.weight, net.first.weight)


def test_what_is_saved_shares_no_memory_within_itself() -> None:
    net = nn.Module()
    whole = torch.arange(6.0)
    net.register_buffer("whole", whole)
    net.register_buffer("same", whole)
    net.register_buffer("part", whole[:3])
    net.register_buffer("none", torch.empty(0))
    state = state_of(net)
    assert len({t.data_ptr() for t in state.values() if t.numel()}) == 3
    assert {name: t.tolist() for name, t in state.items()}["part"] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "own", [None, torch.zeros(1, 2), torch.zeros(0), torch.zeros(3, 2, dtype=torch.int64)]
)
def test_a_buffer_takes_the_size_and_type_that_were_saved(path: Path, own: torch.Tensor | None) -> None:
    filled = Bank(torch.rand(3, 2))
    artefact.write(path, filled, HEADER)
    net = Bank(own)
    restore(net, read_tensors(path), path)
    assert net.rows is not None
    assert filled.rows is not None
    assert torch.equal(net.rows, filled.rows)
    assert net.rows.dtype == torch.float32
    assert "rows" in dict(net.named_buffers())


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(UserError, match=r"here: weight has the shape \(2, 4\) .* net's has \(2, 3\)"):
        restore(nn.Linear(3, 2), state_of(nn.Linear(4, 2)), "here")


def test_weights_of_another_type_are_refused_by_their_type() -> None:
    with pytest.raises(UserError, match=r"weight .*float16.*float32"):
        restore(nn.Linear(3, 2), state_of(nn.Linear(3, 2).half()), "here")


def test_missing_and_foreign_names_are_told() -> None:
    net = nn.Linear(3, 2)
    state = state_of(net)
    with pytest.raises(UserError, match="here: the weights do not fit the net: the file lacks bias"):
        restore(net, {"weight": state["weight"]}, "here")
    with pytest.raises(UserError, match="the file has extra, which the net has not"):
        restore(net, {**state, "extra": torch.zeros(1)}, "here")


def test_a_refused_state_leaves_the_net_as_it_was() -> None:
    net = small_net()
    before = copy.deepcopy(net.state_dict())
    state = state_of(small_net(1))
    state["3.weight"] = torch.zeros(2, 17)
    with pytest.raises(UserError, match=r"3.weight has the shape \(2, 17\)"):
        restore(net, state, "here")
    assert all(torch.equal(a, before[name]) for name, a in net.state_dict().items())


# ---- files that are none


def refused(path: Path, expected: str) -> None:
    """The header is not read, for a reason."""
    with pytest.raises(UserError, match=f"model.safetensors: {expected}"):
        read_header(path)


def test_no_file_and_an_empty_file(path: Path) -> None:
    refused(path, "there is no such file; check the path")
    with pytest.raises(UserError, match="there is no such file"):
        read_tensors(path)
    path.touch()
    refused(path, "this is not a model that simplecell wrote")
    with pytest.raises(UserError, match="this is not a whole safetensors file"):
        read_tensors(path)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" + b"x" * 100, b"\x80\x02}q\x00.", b"\xff" * 64, b"[" * 5000]
)
def test_a_file_of_another_kind(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path, "this is not a model that simplecell wrote; name a run folder or its model.safetensors")
    with pytest.raises(UserError, match="this is not a whole safetensors file"):
        read_tensors(path)


@pytest.mark.parametrize(
    "header", [b"[" * 50_000, b"null", b"[]", b'"a"', b"{}", b'{"__metadata__": 3}', b"{\xff}"]
)
def test_a_header_that_is_something_else(path: Path, header: bytes) -> None:
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    refused(path, "this is not a model that simplecell wrote")


def test_a_safetensors_file_of_others(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, path)
    refused(path, "this is not a model that simplecell wrote")
    save_file({"weight": torch.zeros(2)}, path, metadata={"simplecell": "{}"})
    refused(path, "this is not of format 1; use the version of simplecell that wrote it")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file(path: Path, share: float) -> None:
    artefact.write(path, small_net(), HEADER)
    content = path.read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for end in (int(share * header), header + int(share * (len(content) - header))):
        path.write_bytes(content[:end])
        if end < header:
            refused(path, "this is not a model that simplecell wrote")
        with pytest.raises(UserError, match="this is not a whole safetensors file"):
            read_tensors(path)


@pytest.mark.parametrize("length", [0, 1, 10**6, 10**8, 10**8 + 1, 2**63, 2**64 - 1])
def test_a_lying_header_length(path: Path, length: int) -> None:
    artefact.write(path, small_net(), HEADER)
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    refused(path, "this is not a model that simplecell wrote")
    with pytest.raises(UserError, match="this is not a whole safetensors file"):
        read_tensors(path)


def test_a_checkpoint_is_no_model(path: Path) -> None:
    checkpoints.save(path, Checkpoint(groups={"net": state_of(small_net())}))
    refused(path, "this is a checkpoint, not a model; name the run folder")


def test_another_format_number(path: Path) -> None:
    about = {"format": 2, "kind": "model"}
    path.write_bytes(artefact.serialise({"a": torch.zeros(1)}, about))
    refused(path, "this is not of format 1")


@pytest.mark.parametrize("lack", ["task", "settings", "meaning", "figures"])
def test_a_header_that_lacks_a_part(path: Path, lack: str) -> None:
    artefact.write(path, small_net(), HEADER)
    about = read_about(path)
    del about[lack]
    path.write_bytes(artefact.serialise({"a": torch.zeros(1)}, about))
    refused(path, f"its header lacks '{lack}'; restore it from a copy")


def test_the_header_is_read_without_the_tensors(path: Path) -> None:
    artefact.write(path, small_net(), HEADER)
    content = path.read_bytes()
    path.write_bytes(content[: 8 + struct.unpack("<Q", content[:8])[0]])
    assert read_header(path) == HEADER


def test_the_header_tells_no_time_path_or_machine(path: Path) -> None:
    artefact.write(path, small_net(), HEADER)
    assert json.loads(json.dumps(read_about(path))).keys() == {
        "format",
        "kind",
        "task",
        "settings",
        "meaning",
        "figures",
    }
