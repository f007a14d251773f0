"""The temperature against brute force, a closed form, and nets that are too sure or not sure enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from simplecell.learn.temperature import GREATEST, LEAST, best_temperature, temperature
from simplecell.metrics.classification import accuracy, calibration_error
from simplecell.nets.normalising import Normalised

Answers = tuple[NDArray[np.float64], NDArray[np.int64]]


def drawn(seed: int, count: int, classes: int, factor: float) -> Answers:
    """Logits of a net that is ``factor`` times as sure as it should be, and labels."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(size=(count, classes)) * 2
    labels = (honest + generator.gumbel(size=honest.shape)).argmax(axis=1)  # distributed as softmax says
    return factor * honest, labels


def likelihood(logits: NDArray[np.float64], labels: NDArray[np.int64], divisor: float) -> float:
    """The negative one, with Platt's targets, by torch."""
    count, classes = logits.shape
    targets = np.full(logits.shape, 1 / (count + 2) / (classes - 1))
    targets[np.arange(count), labels] = 1 - 1 / (count + 2)
    scaled = torch.from_numpy(logits) / divisor
    return float(nn.functional.cross_entropy(scaled, torch.from_numpy(targets)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 8), st.floats(0.1, 30))
def test_no_other_temperature_makes_the_labels_more_likely(
    seed: int, count: int, classes: int, factor: float
) -> None:
    logits, labels = drawn(seed, count, classes, factor)
    best = best_temperature(logits, labels)
    assert LEAST <= best <= GREATEST
    least = likelihood(logits, labels, best)
    for other in np.geomspace(LEAST, GREATEST, 41):
        assert least <= likelihood(logits, labels, float(other)) + 1e-9


@pytest.mark.parametrize("factor", [0.25, 1.0, 4.0])
def test_a_net_that_is_too_sure_by_a_factor_gets_that_temperature(factor: float) -> None:
    logits, labels = drawn(0, 40_000, 5, factor)
    assert best_temperature(logits, labels) == pytest.approx(factor, rel=0.03)


def test_two_classes_have_a_closed_form() -> None:
    """Of N answers with the logits ±a, k are right: the best probability is the smoothed share of k."""
    count, right, a = 20, 15, 3.0
    logits = np.tile([a, -a], (count, 1))
    labels = np.array([0] * right + [1] * (count - right))
    doubt = 1 / (count + 2)
    share = (right * (1 - doubt) + (count - right) * doubt) / count
    assert best_temperature(logits, labels) == pytest.approx(2 * a / np.log(share / (1 - share)))


def test_a_few_pictures_told_rightly_do_not_make_the_net_certain() -> None:
    logits = 2 * np.eye(3)[[0, 1, 2, 0, 1, 2]]
    divisor = best_temperature(logits, np.array([0, 1, 2, 0, 1, 2]))
    score = torch.from_numpy(logits[:1] / divisor).softmax(1).max().item()
    assert score == pytest.approx(1 - 1 / 8)


def test_wrong_answers_throughout_give_the_greatest_temperature() -> None:
    logits = 5 * np.eye(4)[[0, 1, 2, 3] * 10]
    assert best_temperature(logits, np.array([1, 2, 3, 0] * 10)) == pytest.approx(GREATEST)


# ---- the stage


@dataclass
class Points:
    """Examples whose "pictures" are one row of numbers."""

    values: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @property
    def ids(self) -> list[str]:
        return [str(k) for k in range(len(self.labels))]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Any, address: Any = None) -> dict[str, Any]:
        picture = torch.from_numpy(self.values[indices])[:, None, None, :]
        return {
            "id": [str(k) for k in indices],
            "picture": picture,
            "label": torch.from_numpy(self.labels[indices]),
        }


def sure_net(factor: float) -> Normalised:
    """Logits are ``factor`` times the picture's four values, 0 … 1."""
    body = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        body[1].weight.copy_(factor * torch.eye(4))
    return Normalised(body, [0.0], [1.0]).eval()


def points(seed: int, count: int) -> Points:
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 256, size=(count, 4), dtype=np.uint8)
    return Points(values, (values / 255 * 5 + generator.gumbel(size=values.shape)).argmax(axis=1))


def chances(net: nn.Module, examples: Points) -> NDArray[np.float32]:
    with torch.inference_mode():
        picture = examples.batch(np.arange(len(examples)))["picture"]
        return net(picture).softmax(1).numpy()  # type: ignore[no-any-return]


def test_the_stage_lowers_the_calibration_error_and_leaves_the_accuracy() -> None:
    net, fresh = sure_net(20.0), points(1, 4000)
    stage = temperature()
    assert (stage.name, stage.reads) == ("temperature", "validation")
    before = chances(net, fresh)
    stage.fit(net, points(2, 4000))
    after = chances(net, fresh)
    assert net.temperature.item() == pytest.approx(4.0, rel=0.1)
    assert accuracy(fresh.labels, after) == accuracy(fresh.labels, before)
    assert calibration_error(fresh.labels, before).value > 0.1
    assert calibration_error(fresh.labels, after).value < 0.03


def test_fitting_twice_is_fitting_once() -> None:
    net, examples = sure_net(20.0), points(3, 500)
    temperature().fit(net, examples)
    first = net.temperature.item()
    temperature().fit(net, examples)
    assert net.temperature.item() == first


def test_without_validation_pictures_it_stays_one() -> None:
    net = sure_net(20.0)
    temperature().fit(net, points(0, 0))
    assert net.temperature.item() == 1.0


def test_training_never_sees_it() -> None:
    net, examples = sure_net(20.0), points(5, 50)
    picture = examples.batch(np.arange(50))["picture"]
    before = net.train()(picture)
    temperature().fit(net.eval(), examples)
    assert torch.equal(net.train()(picture), before)
