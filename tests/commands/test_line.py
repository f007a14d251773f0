"""The command line as a person uses it: answers on stdout, words on stderr, exit status 0, 1 or 2."""

from __future__ import annotations

import csv
import inspect
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simplecell import artefact
from simplecell.cli import COMMANDS, main
from simplecell.run import Run
from simplecell.tasks.classify import Classify

QUICK = ["--epochs", "2", "--batch-size", "16", "--threads", "1", "--device", "cpu", "--precision", "float32"]


class Told:
    """What a command printed, and its status."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object) -> Told:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return Told(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture(scope="module")
def bars() -> Path:
    return Path(Classify.tiny().data)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, bars: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    with pytest.raises(SystemExit) as ended:
        main(["train", "classify", str(bars), *QUICK, "--out", str(folder), "--json"])
    assert ended.value.code == 0
    return folder


def sentence(told: Told) -> str:
    """The one line on stderr that bad input gets."""
    assert told.status == 2
    assert told.out == ""
    assert "Traceback" not in told.err
    text = " ".join(told.err.split())
    assert text.endswith((".", "?"))
    return text


# ---- help


def test_the_top_help_lists_every_command(say: Any) -> None:
    told = say("--help")
    assert told.status == 0
    assert all(name in told.out for name in COMMANDS)


def test_help_loads_nothing_heavy() -> None:
    check = (
        "import sys\nfrom simplecell.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'torch', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules)))"
    )
    for words in (["--help"], ["train", "--help"], ["train", "classify", "--help"], ["predict", "--help"]):
        done = subprocess.run([sys.executable, "-c", check, *words], capture_output=True, check=False)
        assert done.returncode == 0, words


def test_help_without_the_heavy_modules_is_the_real_one() -> None:
    from simplecell.commands.flags import parameters_of
    from simplecell.commands.line import train_command

    light = inspect.signature(train_command("classify", helping=True)).parameters
    real = {p.name: p for p in parameters_of(Classify)}
    assert real.keys() <= light.keys()
    for name, parameter in real.items():
        assert parameter.default == light[name].default
        assert str(parameter.annotation) == str(light[name].annotation)


# ---- mistakes on the line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trian"], 'Did you mean "train"?'),
        (["train", "clasify", "x"], 'Did you mean "classify"?'),
        (["train", "classify", "x", "--batchsize", "3"], "Did you mean --batch-size?"),
        (["train", "classify", "x", "--epochs", "many"], "many"),
        (["train", "classify", "x", "--epochs", "0"], "epochs cannot be 0"),
        (["train", "classify"], "DATA is missing"),
        (["train", "classify", "/nowhere"], "/nowhere: there is no such file or folder"),
        (["train", "/nowhere.py:Birds", "x"], "/nowhere.py: there is no such file"),
        (["resume", "/nowhere"], "/nowhere: there is no such run"),
        (["evaluate", "/nowhere"], "/nowhere: there is no such file"),
        (["predict", "/nowhere", "x.jpg"], "/nowhere: there is no such file"),
        (["predict", "/nowhere"], "no picture is named"),
        (["runs", "/nowhere"], "/nowhere: there is no such run or folder"),
        (["data", "get", "mnits"], "mnist"),
    ],
)
def test_a_mistake_gets_one_sentence_and_status_2(say: Any, words: list[str], expected: str) -> None:
    assert expected in sentence(say(*words))


def test_no_run_folder_is_left_behind_by_bad_settings(
    say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bars: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    say("train", "classify", bars, "--epochs", "0")
    say("train", "classify", bars, "--net", "smal", "--out", "run")
    say("train", "classify", bars, "--net", "smal")
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(say: Any) -> None:
    told = say("--debug", "resume", "/nowhere")
    assert told.status == 2
    assert "Traceback" in told.err


def test_a_config_file_is_overruled_by_flags_and_its_faults_are_named(
    say: Any, tmp_path: Path, bars: Path
) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("[training]\nepochs = 1.0\nbatch_size = 16\n[machine]\nthreads = 1\nseed = 5\n")
    told = say(
        "train", "classify", bars, "--config", config, "--seed", "6", "--out", tmp_path / "run", "--json"
    )
    assert told.status == 0
    settings = Run(tmp_path / "run").settings()["settings"]
    assert settings["machine"]["seed"] == 6
    assert settings["training"]["epochs"] == 1.0
    config.write_text("[training]\nepoch = 1\n")
    assert "epoch" in sentence(say("train", "classify", bars, "--config", config))
    config.write_text("[training\n")
    assert "line 1" in sentence(say("train", "classify", bars, "--config", config))


# ---- a finished run


def test_train_in_json_is_one_document(finished: Path, say: Any, tmp_path: Path, bars: Path) -> None:
    told = say("train", "classify", bars, *QUICK, "--out", tmp_path / "run", "--json")
    document = json.loads(told.out)
    assert document["state"] == "finished"
    assert set(document["accuracy"]) == {"value", "low", "high"}
    assert list(document)[:3] == ["run", "state", "accuracy"]


def test_evaluate_gives_the_figures_of_the_run_and_of_other_data(
    finished: Path, say: Any, bars: Path
) -> None:
    own = json.loads(say("evaluate", finished, "--json").out)
    assert own == artefact.read_header(finished / "model.safetensors").figures
    everything = json.loads(say("evaluate", finished, bars, "--json").out)
    assert (
        0
        <= everything["accuracy"]["low"]
        <= everything["accuracy"]["value"]
        <= everything["accuracy"]["high"]
        <= 1
    )
    assert own != everything


def test_the_artefact_alone_answers_but_does_not_know_its_data(
    finished: Path, say: Any, bars: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "net.safetensors"
    shutil.copy(finished / "model.safetensors", alone)
    picture = bars / "flat" / "00.png"
    assert say("predict", alone, picture, "--json").out == say("predict", finished, picture, "--json").out
    assert "does not know its data" in sentence(say("evaluate", alone))


def test_evaluating_on_classes_the_net_does_not_know_is_refused(
    finished: Path, say: Any, bars: Path, tmp_path: Path
) -> None:
    shutil.copytree(bars / "flat", tmp_path / "data" / "slanted")
    shutil.copytree(bars / "cross", tmp_path / "data" / "cross")
    assert "does not know the class slanted" in sentence(say("evaluate", finished, tmp_path / "data"))


def test_predict_takes_files_folders_globs_and_stdin(
    finished: Path, say: Any, bars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = bars / "flat" / "00.png", bars / "flat" / "01.png"
    assert len(say("predict", finished, one, two, "--json").out.splitlines()) == 2
    assert len(say("predict", finished, bars / "cross", "--json").out.splitlines()) == 48
    assert len(say("predict", finished, f"{bars}/*/0[0-3].png", "--json").out.splitlines()) == 12
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{one}\n\n{two}\n"))
    lines = [json.loads(line) for line in say("predict", finished, "-", "--json").out.splitlines()]
    assert [line["path"] for line in lines] == [str(one), str(two)]


def test_predict_writes_json_lines_csv_and_a_table(finished: Path, say: Any, bars: Path) -> None:
    picture = bars / "flat" / "00.png"
    answer = json.loads(say("predict", finished, picture, "--json", "--top", "2").out)
    assert list(answer) == ["path", "class", "score", "top"]
    assert answer["class"] == answer["top"][0]["class"]
    assert len(answer["top"]) == 2
    [row] = csv.DictReader(io.StringIO(say("predict", finished, picture, "--format", "csv").out))
    assert row["class"] == answer["class"]
    table = say("predict", finished, picture).out
    assert "class" in table
    assert answer["class"] in table


def test_predict_rejects_what_scores_too_low(finished: Path, say: Any, bars: Path) -> None:
    told = say("predict", finished, bars / "flat" / "00.png", "--json", "--reject-below", "1")
    assert json.loads(told.out)["class"] is None


def test_a_broken_picture_is_named_and_the_others_are_answered(
    finished: Path, say: Any, bars: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes((bars / "flat" / "00.png").read_bytes()[:100])
    shutil.copy(bars / "flat" / "01.png", tmp_path / "b.png")
    told = say("predict", finished, tmp_path, tmp_path / "gone.png", "--json")
    assert told.status == 2
    assert [json.loads(line)["path"] for line in told.out.splitlines()] == [str(tmp_path / "b.png")]
    assert "a.png" in told.err
    assert "gone.png" in told.err


def test_runs_lists_compares_and_prunes(finished: Path, say: Any, bars: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "a")
    assert say("repeat", finished, "--out", tmp_path / "b", "--json").status == 0
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (
        tmp_path / "b" / "model.safetensors"
    ).read_bytes()
    say("train", "classify", bars, *QUICK, "--seed", "9", "--out", tmp_path / "c", "--json")
    Run.create(tmp_path / "d", "classify", {})
    listed = {Path(r["run"]).name: r["state"] for r in json.loads(say("runs", tmp_path, "--json").out)}
    assert listed == {"a": "finished", "b": "finished", "c": "finished", "d": "begun"}
    compared = json.loads(say("runs", tmp_path / "a", tmp_path / "c", "--json").out)
    assert compared["settings"] == {"seed": [0, 9]}
    assert len(compared["curves"][str(tmp_path / "a")]["accuracy"]) == 2
    shown = say("runs", tmp_path / "a", tmp_path / "c").out
    assert "seed" in shown
    assert "accuracy" in shown
    assert say("runs", tmp_path, "--prune").status == 0
    assert not (tmp_path / "a" / "checkpoints").exists()
    assert not (tmp_path / "d").exists()
    assert (tmp_path / "a" / "model.safetensors").is_file()


def test_a_folder_that_holds_something_is_not_trained_into(finished: Path, say: Any, bars: Path) -> None:
    before = sorted(p.name for p in finished.iterdir())
    assert "exists already" in sentence(say("train", "classify", bars, *QUICK, "--out", finished))
    assert sorted(p.name for p in finished.iterdir()) == before


def test_resuming_a_finished_run_exits_0(finished: Path, say: Any) -> None:
    assert say("resume", finished, "--json").status == 0


def test_a_dry_run_leaves_nothing(
    say: Any, bars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = say("train", "classify", bars, "--dry-run", *QUICK)
    assert told.status == 0
    assert "passed" in told.err
    assert list(tmp_path.iterdir()) == []


# ---- data that are not right


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.Generator(np.random.PCG64(seed)).integers(0, 255, (32, 32), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def test_a_truncated_picture_stops_the_training_unless_skipped(say: Any, tmp_path: Path) -> None:
    for k in range(24):
        picture(tmp_path / "data" / "ab"[k % 2] / f"{k}.png", k)
    broken = tmp_path / "data" / "a" / "0.png"
    broken.write_bytes(broken.read_bytes()[:60])
    run = tmp_path / "run"
    text = sentence(say("train", "classify", tmp_path / "data", *QUICK, "--out", run))
    assert "0.png" in text
    assert "--skip-broken" in text
    assert not run.exists()
    assert (
        say(
            "train", "classify", tmp_path / "data", *QUICK, "--skip-broken", "--out", tmp_path / "2", "--json"
        ).status
        == 0
    )


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ({"a": 5}, "class"),
        ({"a": 5, "b": 0}, "b"),
        ({}, "no pictures"),
        ({"train/a": 3, "train/b": 3, "test/c": 3}, "c"),
    ],
)
def test_data_that_cannot_be_learnt_from_get_a_sentence(
    say: Any, tmp_path: Path, layout: dict[str, int], expected: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for place, count in layout.items():
        (data / place).mkdir(parents=True)
        for k in range(count):
            picture(data / place / f"{k}.png", hash(place) % 1000 + k)
    assert expected in sentence(say("train", "classify", data, *QUICK, "--out", tmp_path / "run"))
