"""The contract that every task fulfils: a test class inherits this and names its task."""

from __future__ import annotations

import hashlib
import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from simplecell import artefact
from simplecell import settings as typed
from simplecell.commands.export import export
from simplecell.commands.opening import answers_of, open_net
from simplecell.commands.train import built, carry_on, new_run, task_of
from simplecell.errors import UserError
from simplecell.export.described import read_description
from simplecell.learn.evaluate import collect, evaluating
from simplecell.learn.journal import Journal
from simplecell.learn.loop import StageRun, Surroundings
from simplecell.learn.stages import Learn
from simplecell.predictions import ANSWERS
from simplecell.run import Run

CPU = torch.device("cpu")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TaskContract:
    """Inherit, set ``task`` to a class with ``tiny()``; ``inputs`` gives what predict is asked.

    settings: of the tiny task, changed: another net or method of the task, tested as the task is.
    augments: whether training examples are augmented.
    """

    task: ClassVar[Any]
    settings: ClassVar[dict[str, Any]] = {}
    augments: ClassVar[bool] = True

    @classmethod
    def tiny(cls) -> Any:
        return typed.replace(cls.task.tiny(), cls.settings)

    def inputs(self) -> list[tuple[str, Any]]:
        return []

    @pytest.fixture(scope="class")
    @classmethod
    def finished(cls, tmp_path_factory: pytest.TempPathFactory) -> Run:
        run = new_run(cls.tiny(), tmp_path_factory.mktemp("run") / "whole")
        assert carry_on(run, quiet=True)
        return run

    def answers(self, named: Path) -> list[dict[str, Any]]:
        opened = open_net(named, device="cpu")
        with evaluating(opened.net):
            asked = opened.task.predict(opened.net, opened.meaning, self.inputs(), opened.task.Ask())
            return [answer.to_json() for answer in asked]

    # 1. trains

    def test_training_improves_the_headline_figure(self, finished: Run) -> None:
        task, measured = task_of(finished)
        task = typed.replace(task, measured or {})
        splits = task.load()
        begun = built(task, splits.meaning, CPU)
        name, direction = task.headline
        before = task.figures(collect(task.measure, begun, splits.test, CPU), splits.meaning)[name].value
        after = artefact.read_header(finished.artefact).figures[name]["value"]
        assert after > before if direction == "max" else after < before

    def test_every_loss_is_finite(self, finished: Run) -> None:
        losses = [v for line in finished.metrics() for v in line.get("train", {}).values()]
        assert losses
        assert np.isfinite(losses).all()

    def test_each_update_changes_its_own_parameters_and_no_other(self, tmp_path: Path) -> None:
        task = self.tiny()
        splits = task.load()
        task = task.settle(splits)
        net = built(task, splits.meaning, CPU)
        for stage in task.stages(net, splits):
            if not isinstance(stage, Learn):
                stage.fit(net.eval(), splits[stage.reads])
                continue
            for update in stage.updates:
                with Journal(tmp_path / "m.jsonl", quiet=True) as journal:
                    world = Surroundings(0, CPU, splits, tmp_path / "c", journal, lambda n: {}, task.headline)
                    alone = StageRun(net, replace(stage, updates=[update]), 0, world)
                    alone.begin()
                    before = {name: p.detach().clone() for name, p in net.named_parameters()}
                    for step, batch in enumerate(alone.batches(0, 2)):
                        # A schedule may begin at rate 0, so the moment lies in the middle.
                        alone.step(batch, replace(alone.at(step), step=step * update.every, steps=4))
                changed = {n for n, p in net.named_parameters() if not torch.equal(p, before[n])}
                assert changed, f"{update.name} changes nothing"
                assert changed <= {name for name, _ in update.parameters}

    # 2. exact resume

    @pytest.mark.parametrize("steps", [1, 4, 7])
    def test_a_run_stopped_anywhere_and_resumed_gives_the_same_bytes(
        self, finished: Run, tmp_path: Path, steps: int
    ) -> None:
        run = new_run(self.tiny(), tmp_path / "cut")
        left = iter(range(10_000))
        while not carry_on(run, quiet=True, stop=lambda: next(left) % steps == steps - 1):
            assert not run.finished
        assert sha256(run.artefact) == sha256(finished.artefact)
        assert (run.path / "metrics.jsonl").read_bytes() == (finished.path / "metrics.jsonl").read_bytes()

    # 3. round trip

    def test_a_fresh_process_gives_the_same_answers(self, finished: Run) -> None:
        script = (
            "import json, sys; sys.path[:0] = json.loads(sys.argv[1]);"
            "from importlib import import_module;"
            "cls = getattr(import_module(sys.argv[2]), sys.argv[3]);"
            "from pathlib import Path;"
            "print(json.dumps(cls().answers(Path(sys.argv[4]))))"
        )
        words = [json.dumps(sys.path), type(self).__module__, type(self).__qualname__, str(finished.path)]
        told = subprocess.run(
            [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        for ours, theirs in zip(self.answers(finished.path), json.loads(told.stdout), strict=True):
            assert ours["path"] == theirs["path"]
            assert numbers_in(ours) == pytest.approx(numbers_in(theirs), abs=1e-5)

    # 4. settings

    def test_settings_to_toml_and_back_are_the_same(self, tmp_path: Path) -> None:
        task = self.tiny()
        path = tmp_path / "settings.toml"
        path.write_text(typed.to_toml(typed.to_table(task)))
        assert typed.from_table(self.task, typed.read_toml(path)) == task

    def test_repeating_a_run_gives_the_same_bytes(self, finished: Run, tmp_path: Path) -> None:
        asked, measured = task_of(finished)
        again = new_run(asked, tmp_path / "again", measured)
        assert carry_on(again, quiet=True)
        assert sha256(again.artefact) == sha256(finished.artefact)

    def test_resuming_a_finished_run_changes_nothing(self, finished: Run) -> None:
        before = {p: p.stat().st_mtime_ns for p in finished.path.rglob("*") if p.is_file()}
        assert carry_on(finished, quiet=True)
        assert before == {p: p.stat().st_mtime_ns for p in finished.path.rglob("*") if p.is_file()}

    # 5. what is trained on

    def test_only_training_data_are_augmented_and_test_data_are_read_last(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, bool]] = []
        load = self.task.load

        def spied(task: Any) -> Any:
            splits = load(task)
            sides = {side: _Spy(splits[side], side, asked) for side in ("train", "validation", "test")}
            return replace(splits, **sides)

        monkeypatch.setattr(self.task, "load", spied)
        # A task in a file is imported anew for each run; here it must be the spied one.
        monkeypatch.setattr("simplecell.tasks.task.load_task", lambda name: self.task)
        # The page is made once all is learnt, and may show any side.
        monkeypatch.setattr("simplecell.commands.report.write_report", lambda *_, **__: None)
        # TensorBoard's examples of augmentation are shown, not learnt from.
        monkeypatch.setattr("simplecell.learn.journal.Journal.show_beginning", lambda *_, **__: None)
        assert carry_on(new_run(self.tiny(), tmp_path / "run"), quiet=True)
        assert (("train", True) in asked) == self.augments
        assert ("validation", True) not in asked
        assert ("test", True) not in asked
        first_test = asked.index(("test", False))
        assert all(side == "test" for side, _ in asked[first_test:])

    # 6. export

    def test_an_exported_net_answers_as_the_net_does_and_has_its_figures(
        self, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not hasattr(self.task, "export"):
            pytest.skip("this task has no export")
        # A file remembers the name of a task of one's own, not where it lies.
        monkeypatch.chdir(Path(inspect.getfile(self.task)).parent)
        for library in ("onnx", "onnxruntime", "onnxscript"):
            pytest.importorskip(library)
        file = tmp_path / "net.onnx"
        options: dict[str, Any] = {"data": "", "int8": False, "max_loss": 0.5, "weights": "auto"}
        # It compares the two on real pictures, and refuses where they differ.
        assert export(str(finished.path), "onnx", file, json=True, **options) == 0
        ask = ANSWERS[read_description(file).answer].ask()
        with answers_of(str(file), self.inputs(), ask, weights="auto", device="cpu", threads=1) as answers:
            assert [answer.to_json()["path"] for answer in answers] == [path for path, _ in self.inputs()]
        examples = self.tiny().load().test
        theirs, ours = (open_net(path, device="cpu").figures_on(examples) for path in (finished.path, file))
        assert numbers_in(ours) == pytest.approx(numbers_in(theirs), rel=1e-3)

    # 7. bad input

    def test_an_unknown_setting_names_the_nearest(self) -> None:
        with pytest.raises(UserError, match="batch_size"):
            typed.from_table(self.task, {"batch_sise": 3})


class _Spy:
    """Examples that note how they are asked for batches."""

    def __init__(self, examples: Any, side: str, asked: list[tuple[str, bool]]) -> None:
        self._examples, self._side, self._asked = examples, side, asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._examples, name)

    def __len__(self) -> int:
        return len(self._examples)

    def batch(self, indices: Any, address: Any = None) -> Any:
        self._asked.append((self._side, address is not None))
        return self._examples.batch(indices, address)


def numbers_in(value: Any) -> list[float]:
    """Every number in a JSON value, in order."""
    if isinstance(value, dict):
        return [n for key in sorted(value) for n in numbers_in(value[key])]
    if isinstance(value, list):
        return [n for item in value for n in numbers_in(item)]
    return [float(value)] if isinstance(value, int | float) else []
