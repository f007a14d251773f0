"""The Python API, with nets of one's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import simplecell as sc
from simplecell.commands.train import carry_on, new_run, task_of
from simplecell.run import Run
from simplecell.tasks.classify import Classify

QUICK = {"epochs": 2.0, "batch_size": 16, "threads": 1, "device": "cpu", "precision": "float32"}


def test_importing_simplecell_loads_neither_torch_nor_numpy() -> None:
    check = "import simplecell, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_train_open_predict_and_evaluate(tmp_path: Path) -> None:
    data = Classify.tiny().data
    run = sc.train("classify", data, out=tmp_path / "run", **QUICK)
    opened = sc.open(tmp_path / "run")
    [answer] = opened.predict(Path(data) / "flat" / "00.png", top=2)
    assert len(answer.top) == 2
    assert answer.name in ("cross", "flat", "upright")
    assert opened.figures == run.figures
    # All pictures, most of them trained on: better than what the test side alone shows, or equal.
    assert opened.evaluate(data)["accuracy"]["value"] >= 1 / 3


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 12 * 12, 3))


def test_a_net_given_as_an_object_is_trained_from_its_own_weights(tmp_path: Path, net: nn.Sequential) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    run = sc.train(
        "classify", Classify.tiny().data, net=net, out=tmp_path / "run", **QUICK, learning_rate=1e-9
    )
    body = run.net.get_submodule("body")
    for name, value in body.state_dict().items():
        assert torch.allclose(
            value, before[name], atol=1e-4
        )  # a rate near nothing leaves them where they began
        assert torch.equal(net.state_dict()[name], before[name])


def test_a_net_given_as_an_object_resumes_and_opens_without_it(tmp_path: Path, net: nn.Sequential) -> None:
    whole = sc.train("classify", Classify.tiny().data, net=net, out=tmp_path / "whole", **QUICK)
    asked = Run.open(whole.path)
    task, measured = task_of(asked)
    cut = new_run(task, tmp_path / "cut", measured)
    cut.initial.write_bytes(asked.initial.read_bytes())
    steps = iter(range(1000))
    assert not carry_on(cut, quiet=True, stop=lambda: next(steps) == 3)
    sc.resume(cut.path)
    assert cut.artefact.read_bytes() == asked.artefact.read_bytes()


def test_a_net_in_a_file_is_built_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.py").write_text(
        "from torch import nn\n"
        "def build(channels, classes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(64 * channels, classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    run = sc.train("classify", Classify.tiny().data, net="my.py:build", out=tmp_path / "run", **QUICK)
    monkeypatch.chdir("/")
    assert isinstance(sc.open(run.path).net.get_submodule("body"), nn.Sequential)
    assert str(tmp_path).encode() not in (run.path / "model.safetensors").read_bytes()


def test_a_wrong_setting_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(sc.UserError, match="batch_size"):
        sc.train("classify", Classify.tiny().data, out=tmp_path / "run", batchsize=3)
    assert not (tmp_path / "run").exists()
