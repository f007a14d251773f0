"""inspect: a picture as numbers, a net layer by layer, a run from inside."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from simplecell import artefact
from simplecell.cli import main
from simplecell.commands.opening import open_net
from simplecell.commands.train import run_training
from simplecell.run import Run
from simplecell.tasks.classify import Classify


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object, status: int = 0) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["inspect", *map(str, words)])
        told = capsys.readouterr()
        assert int(ended.value.code or 0) == status, told.err
        return told.out if status == 0 else told.err

    return run


@pytest.fixture
def picture(tmp_path: Path) -> tuple[Path, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    return tmp_path / "noise.png", pixels


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_training(Classify.tiny(), tmp_path_factory.mktemp("runs") / "bars")


def test_a_picture_is_its_numbers(say: Any, picture: tuple[Path, np.ndarray]) -> None:
    file, pixels = picture
    told = say(file, "--at", "7,11", "--zoom", "4")
    assert "50" in told
    assert "30" in told
    for row in pixels[11:15, 7:11]:
        for channel in range(3):
            assert re.search(r"\s+".join(map(str, row[:, channel])), told)
    assert all(len(line) <= 80 for line in told.splitlines())


def test_the_json_of_a_picture_has_its_values(say: Any, picture: tuple[Path, np.ndarray]) -> None:
    file, pixels = picture
    told = json.loads(say(file, "--json", "--at", "0,0", "--zoom", "2"))
    text = json.dumps(told)
    for value in pixels[:2, :2].ravel().tolist():
        assert str(value) in text


def test_a_net_is_told_layer_by_layer(say: Any) -> None:
    told = json.loads(say("resnet18", "--json"))
    assert told["parameters"] == 11_689_512
    assert told["macs"] == pytest.approx(1.814e9, rel=0.01)
    assert told["advice"] == []
    shown = say("torchvision:vgg16")
    assert "classifier.0 holds 102,764,544 of 138,357,544 parameters" in " ".join(shown.split())


def test_a_run_is_looked_into(say: Any, run: Run, tmp_path: Path) -> None:
    page = tmp_path / "inside.html"
    told = json.loads(say(run.path, "--json", "--out", page))
    assert 10_000 < page.stat().st_size < 8_000_000
    assert told["layers"]
    assert "<script src" not in page.read_text("utf-8")


def test_a_dead_unit_is_counted(say: Any, run: Run, tmp_path: Path) -> None:
    """Three filters of the first layer that can never be active."""
    before = json.loads(say(run.path, "--json", "--out", tmp_path / "a.html"))
    spoilt = tmp_path / "spoilt"
    shutil.copytree(run.path, spoilt)
    opened = open_net(run.path)
    norm = next(m for m in opened.net.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.no_grad():
        norm.weight[:3] = 0
        norm.bias[:3] = -1
    artefact.write(spoilt / "model.safetensors", opened.net, artefact.read_header(run.artefact))
    after = json.loads(say(spoilt, "--json", "--out", tmp_path / "b.html"))
    dead = [sum(len(layer.get("dead") or []) for layer in told["layers"]) for told in (before, after)]
    assert dead[1] >= dead[0] + 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["no-such-net"], "no-such-net"),
        (["resnet18", "--input", "3x0x0"], "no shape of a picture"),
        (["resnet18", "--at", "1,2"], "--at"),
    ],
)
def test_what_cannot_be_looked_into_is_told(say: Any, words: list[str], sentence: str) -> None:
    told = say(*words, status=2)
    assert sentence in told
    assert "Traceback" not in told
