"""Every task of the package, and three small ones that show how far the contract reaches."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from contract import TaskContract
from fixtures.bank import Bank
from fixtures.gan import Gan
from fixtures.two_streams import TwoStreams

from simplecell.data.sources import read_source
from simplecell.tasks import TASKS
from simplecell.tasks.classify import Classify
from simplecell.tasks.task import load_task


class TestClassify(TaskContract):
    task = Classify

    def inputs(self) -> list[tuple[str, Any]]:
        table = read_source(Path(Classify.tiny().data)).tables["all"]
        return [(table.ids[k], table.pictures.read(k)) for k in range(0, len(table), 9)]


class TestWhiteningAndViews(TestClassify):
    """A fit before learning, and answers from six views."""

    settings: ClassVar[dict[str, Any]] = {"net": "airbench", "width": 4, "views": 6}


class TestFirstWeightsAndPenalties(TestClassify):
    """First weights from a batch, terms beside the loss, and a limit on the weights."""

    settings: ClassVar[dict[str, Any]] = {
        "net": "second-cnn",
        "width": 8,
        "activation": "leaky",
        "order": "conv-act-bn",
        "init": "lsuv",
        "l1": 1e-5,
        "l2": 1e-4,
        "max_norm": 3.0,
    }


class TestAuxiliaryHeads(TestClassify):
    """A net that gives several logits while it learns."""

    settings: ClassVar[dict[str, Any]] = {"net": f"{Path(__file__).parent}/fixtures/two_heads.py:build"}


class TestGan(TaskContract):
    task = Gan


class TestTwoStreams(TaskContract):
    task = TwoStreams


class TestBank(TaskContract):
    task = Bank

    def test_the_bank_has_a_size_that_the_data_decided(self, finished: Any) -> None:
        from simplecell.commands.opening import open_net

        bank = open_net(finished.path).net.bank
        assert 0 < len(bank) < 96
        assert np.isfinite(bank.numpy()).all()


def test_every_task_of_the_package_is_under_contract() -> None:
    tested = {cls.task for cls in TaskContract.__subclasses__()}
    assert {load_task(name) for name in TASKS} <= tested
