"""The command export, and what is done with its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from simplecell import artefact
from simplecell import settings as typed
from simplecell.cli import main
from simplecell.commands.opening import open_net
from simplecell.commands.train import carry_on, new_run
from simplecell.data.sources import read_source
from simplecell.run import Run
from simplecell.tasks.classify import Classify

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = new_run(Classify.tiny(), tmp_path_factory.mktemp("run") / "tiny")
    assert carry_on(run, quiet=True)
    return run


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "net.onnx"
    assert status("export", str(finished.path), "-o", str(file)) == 0
    return file


@pytest.fixture(scope="module")
def picture(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of another size than the net's."""
    table = read_source(Path(Classify.tiny().data)).tables["all"]
    file = tmp_path_factory.mktemp("picture") / "bar.png"
    Image.fromarray(table.pictures.read(0).squeeze()).resize((90, 70)).save(file)
    return file


def status(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert status(*words) == 0
    return json.loads(capsys.readouterr().out)


def test_the_file_alone_answers_as_the_run_does_and_loads_no_torch(
    finished: Run, exported: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(exported.read_bytes())
    script = (
        "import sys, json; from simplecell.cli import main\n"
        "try: main(json.loads(sys.argv[1]))\n"
        "finally: print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    words = json.dumps(["predict", str(alone), str(picture), "--json", "--top", "2"])
    ran = subprocess.run([sys.executable, "-c", script, words], capture_output=True, text=True, check=True)
    ours = json.loads(ran.stdout)
    loaded = set(json.loads(ran.stderr.splitlines()[-1]))
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "torchvision", "matplotlib", "onnx", "simplecell.tasks.task"}
    theirs = told(capsys, "predict", str(finished.path), str(picture), "--json", "--top", "2")
    assert ours["class"] == theirs["class"]
    assert len(ours["top"]) == 2
    assert ours["score"] == pytest.approx(theirs["score"], abs=0.02)  # a level of a pixel


def test_evaluate_gives_the_figures_of_the_run(
    finished: Run, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Classify.tiny().data
    ours = told(capsys, "evaluate", str(exported), data, "--json")
    theirs = told(capsys, "evaluate", str(finished.path), data, "--json")
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name]["value"] == pytest.approx(theirs[name]["value"], rel=1e-3)


def test_other_programs_need_its_metadata_and_onnx_runtime_alone(
    finished: Run, exported: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(exported)
    metadata = session.get_modelmeta().custom_metadata_map
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    (scores,) = session.run(None, {"picture": pixels[None]})
    best = json.loads(metadata["classes"])[int(scores[0].argmax())]
    assert best == told(capsys, "predict", str(finished.path), str(picture), "--json")["class"]
    assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_the_example_answers_as_predict_does_without_simplecell(
    exported: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "onnx_python.py"
    words = [sys.executable, str(example), str(exported), str(picture)]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ran.stderr == ""  # nor does ONNX Runtime complain of the file
    said = [line.split("  ") for line in ran.stdout.splitlines()]
    answer = told(capsys, "predict", str(exported), str(picture), "--json")
    assert [name for _, name in said] == [each["class"] for each in answer["top"]]
    assert "simplecell" not in [
        line.split()[1] for line in example.read_text().splitlines() if "import" in line
    ]


def test_batches_and_sizes_are_free(exported: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(exported)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 60, 41, 3), np.uint8)
    (together,) = session.run(None, {"picture": pictures})
    apart = np.concatenate([session.run(None, {"picture": each[None]})[0] for each in pictures])
    assert np.abs(together - apart).max() < 1e-5


def _broken(kind: str, real: Any) -> Any:
    """An exporter that gets one thing wrong."""

    def core(exportable: Any) -> Any:
        net = real(exportable)
        weights = max(net.graph.initializer, key=lambda each: len(each.raw_data))
        values = onnx.numpy_helper.to_array(weights).copy()
        values.flat[0] += 0.1 if kind == "weight" else np.nan
        weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
        return net

    def whole(net: Any, exportable: Any, description: Any) -> Any:
        from dataclasses import replace

        shifted = replace(exportable.geometry, how="crop", margin=0.8)
        return real(net, replace(exportable, geometry=shifted), description)

    return core if kind in ("weight", "nan") else whole


@pytest.mark.parametrize("kind", ["weight", "nan", "margin"])
def test_an_exporter_that_gets_something_wrong_is_refused_and_leaves_nothing(
    finished: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    from simplecell.export import writing

    name = "core" if kind in ("weight", "nan") else "whole"
    monkeypatch.setattr(writing, name, _broken(kind, getattr(writing, name)))
    assert status("export", str(finished.path), "-o", str(tmp_path / "made" / "net.onnx")) == 2
    assert list((tmp_path / "made").iterdir()) == []
    told = capsys.readouterr().err
    assert "does not answer as the net does" in told
    assert len(told.strip().splitlines()) == 1


def test_a_refused_export_leaves_the_file_that_was_there(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simplecell.export import writing

    monkeypatch.setattr(writing, "core", _broken("weight", writing.core))
    file = tmp_path / "net.onnx"
    file.write_bytes(b"older")
    assert status("export", str(finished.path), "-o", str(file)) == 2
    assert file.read_bytes() == b"older"


def test_in_whole_numbers_it_is_smaller_and_says_what_that_costs(
    finished: Run, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "int8.onnx"
    found = told(capsys, "export", str(finished.path), "-o", str(file), "--int8", "--json", "--max-loss", "5")
    assert file.stat().st_size < 0.6 * exported.stat().st_size
    assert found["int8"]["points_lost"] <= 5
    measured = told(capsys, "evaluate", str(file), Classify.tiny().data, "--json")
    assert measured["accuracy"]["value"] > 0.8
    kinds = {node.op_type for node in onnx.load(str(file)).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds


def test_whole_numbers_that_cost_too_much_are_refused(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from simplecell.export import quantising

    real = quantising.quantise
    # Calibrated on darkness it knows no ranges.
    monkeypatch.setattr(quantising, "quantise", lambda net, fitted: real(net, np.zeros_like(fitted)))
    file = tmp_path / "int8.onnx"
    assert status("export", str(finished.path), "-o", str(file), "--int8") == 2
    assert "points where 0.5 are allowed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_its_weights_load_into_the_library_of_the_paper(tmp_path: Path) -> None:
    from torchvision import models

    task = typed.replace(
        Classify.tiny(), {"net": "resnet18", "epochs": 0.2, "size": 32, "batch_size": 8, "channels": 3}
    )
    run = new_run(task, tmp_path / "run")
    assert carry_on(run, quiet=True)
    file = tmp_path / "weights.safetensors"
    assert status("export", str(run.path), "--to", "safetensors", "-o", str(file)) == 0
    opened = open_net(run.path)
    net = models.resnet18(num_classes=len(opened.meaning["classes"]))
    net.load_state_dict(load_file(file))
    pictures = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    whole: Any = opened.net
    with torch.inference_mode():
        expected = whole(pictures) * whole.temperature
        assert (net.eval()(whole.normalise(pictures)) - expected).abs().max() < 1e-4


def test_a_training_begins_with_exported_weights(
    finished: Run, tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "weights.safetensors"
    assert status("export", str(finished.path), "--to", "safetensors", "-o", str(file)) == 0
    settings = {"net": "small", "weights": str(file), "epochs": 0.2, "learning_rate": 1e-6}
    again = new_run(typed.replace(Classify.tiny(), settings), tmp_path / "again")
    assert carry_on(again, quiet=True)
    first, second = (open_net(run.path).net.get_submodule("body") for run in (finished, again))
    for theirs, ours in zip(first.parameters(), second.parameters(), strict=True):
        assert (theirs - ours).abs().max() < 1e-3
    capsys.readouterr()
    assert status("predict", str(file), str(picture)) == 2
    assert "weights of a net alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--to", "tflite"], "no format tflite"),
        (["--to", "safetensors", "--int8"], "only ONNX files are quantised"),
        (["-o", "."], "this is a folder"),
    ],
)
def test_wrong_words_are_told(
    finished: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    out = [] if "-o" in words else ["-o", "net.onnx"]
    assert status("export", str(finished.path), *out, *words) == 2
    assert sentence in capsys.readouterr().err


def test_a_model_alone_asks_for_pictures(
    finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "model.safetensors"
    alone.write_bytes(finished.artefact.read_bytes())
    assert status("export", str(alone), "-o", str(tmp_path / "net.onnx")) == 2
    assert "name some by --data" in capsys.readouterr().err
    data = Classify.tiny().data
    assert status("export", str(alone), "-o", str(tmp_path / "net.onnx"), "--data", data) == 0


def test_a_model_whose_meaning_was_tampered_with_is_told(
    finished: Run, tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = open_net(finished.path)
    for key, value in (("classes", 7), ("geometry", None), ("mean", "dark")):
        file = tmp_path / f"{key}.safetensors"
        header = artefact.read_header(finished.artefact)
        artefact.write(file, opened.net, replace(header, meaning={**header.meaning, key: value}))
        assert status("predict", str(file), str(picture)) == 2
        told = capsys.readouterr().err
        assert str(file) in told
        assert "restore it from a copy" in told


def test_a_damaged_file_is_told(
    exported: Path, tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(exported.read_bytes()[:20_000])
    assert status("predict", str(damaged), str(picture)) == 2
    told = capsys.readouterr().err
    assert str(damaged) in told
    assert len(told.strip().splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names of other bytes than UTF-8 are Linux's")
def test_a_picture_whose_name_is_not_utf_8_is_answered(exported: Path, picture: Path, tmp_path: Path) -> None:
    odd = bytes(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(odd)).write_bytes(picture.read_bytes())
    words = [sys.executable, "-m", "simplecell", "predict", str(exported), odd, "--json"]
    ran = subprocess.run(words, capture_output=True, check=True)
    assert os.fsencode(json.loads(ran.stdout)["path"]) == odd
