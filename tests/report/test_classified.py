"""All that the page of a classifier shows, from real runs."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simplecell import mnist, nets
from simplecell.commands.opening import open_net
from simplecell.commands.report import evidence_of
from simplecell.commands.train import carry_on, new_run
from simplecell.data.settings import PictureSettings
from simplecell.learn.evaluate import collect
from simplecell.metrics.classification import accuracy, calibration_error, tempered
from simplecell.nets.normalising import Normalised
from simplecell.report.classified import one_view, sections
from simplecell.report.evidence import Evidence
from simplecell.report.saliency import grad_cam
from simplecell.run import Run
from simplecell.settings import replace as settings_with
from simplecell.tasks.classify import Classify
from tests.report.answered import on_page

ALL = ["confusion", "classes", "reliability", "mistakes", "suspects", "equals", "filters"]


def finished(path: Path, task: Any) -> Evidence:
    run = new_run(task, path)
    assert carry_on(run, quiet=True)
    return evidence(run)


def evidence(run: Run) -> Evidence:
    opened = open_net(run.path, device="cpu")
    return evidence_of(run, opened.task, opened.net, opened.task.load(), opened.device, {})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return finished(tmp_path_factory.mktemp("run") / "tiny", Classify.tiny())


def test_a_run_has_every_section_and_all_are_well_made(tiny: Evidence) -> None:
    made = sections(tiny)
    assert [section.anchor for section in made] == ALL
    assert all(section.lead for section in made)
    on_page(*made)


def test_the_same_run_gives_the_same_page(tiny: Evidence) -> None:
    assert sections(tiny) == sections(tiny)


def test_a_side_is_answered_once(tiny: Evidence) -> None:
    asked: list[str] = []

    def rows(side: str) -> Any:
        asked.append(side)
        return tiny.rows(side)

    sections(replace(tiny, rows=rows))
    assert set(asked) == {"test", "validation", "train"}


def test_without_a_test_side_the_validation_side_is_shown(tiny: Evidence) -> None:
    class Nothing:
        ids: tuple[str, ...] = ()

        def __len__(self) -> int:
            return 0

        def batch(self, indices: Any, address: Any = None) -> Any:
            raise AssertionError("there is nothing to ask for")

    none: Any = Nothing()
    without = replace(tiny, splits=replace(tiny.splits, test=none))
    made = {section.anchor: section for section in sections(without)}
    assert f"of {len(tiny.splits.validation)} pictures" in made["confusion"].lead.replace("All ", "of ")
    neither = replace(tiny, splits=replace(tiny.splits, test=none, validation=none), data={})
    assert [section.anchor for section in sections(neither)] == ["filters"]


def test_without_a_validation_side_there_is_no_temperature_and_the_page_says_so(tmp_path: Path) -> None:
    task = replace(Classify.tiny(), pictures=PictureSettings(validation=0.0))
    given = finished(tmp_path / "run", task)
    assert given.net.get_buffer("temperature").item() == 1.0
    (told,) = [section.lead for section in sections(given) if section.anchor == "reliability"]
    assert "there was no validation side" in told


def some_of_mnist(folder: Path) -> Path:
    """The first 3,000 training and 2,000 test digits, in MNIST's own files."""
    folder.mkdir()
    for side, count in (("train", 3000), ("t10k", 2000)):
        for kind, head, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            whole = gzip.decompress((mnist.path() / f"{side}-{kind}-ubyte.gz").read_bytes())
            begun = whole[:4] + count.to_bytes(4, "big") + whole[8 : head + count * size]
            (folder / f"{side}-{kind}-ubyte").write_bytes(begun)
    return folder


def test_the_temperature_lowers_the_calibration_error_on_mnist_and_moves_no_answer(tmp_path: Path) -> None:
    """Label smoothing leaves a net less sure than it is right."""
    asked = {"data": str(some_of_mnist(tmp_path / "mnist")), "epochs": 3.0, "batch_size": 64}
    machine = {"device": "cpu", "precision": "float32", "threads": 1}
    given = finished(tmp_path / "run", settings_with(Classify(), {**asked, **machine}))
    temperature = given.net.get_buffer("temperature").item()
    rows = given.rows("test")
    labels, after = rows["label"], rows["probabilities"]
    before = tempered(after, 1 / temperature)
    assert temperature < 0.9
    assert accuracy(labels, after) == accuracy(labels, before)
    assert calibration_error(labels, before).value > 0.05
    assert calibration_error(labels, after).value < 0.02
    # What the page says the net gave before is what it gives with the temperature taken away.
    given.net.get_buffer("temperature").fill_(1.0)
    measure: Any = open_net(tmp_path / "run").task.measure
    plain = collect(measure, given.net, given.splits.test, given.device)["probabilities"]
    np.testing.assert_allclose(before, plain, atol=1e-5)


def test_heat_maps_are_of_the_picture_itself_where_answers_are_of_several_views() -> None:
    torch.manual_seed(0)
    body = nets.build("small", channels=1, classes=3, height=28, width=28)
    one, six = (Normalised(body, [0.5], [0.5], views).eval() for views in (1, 6))
    picture = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    expected = grad_cam(one, picture, [0, 1])
    np.testing.assert_array_equal(grad_cam(one_view(six), picture, [0, 1]), expected)
    assert six.views == 6
    assert one_view(one) is one
