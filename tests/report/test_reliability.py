"""Reliability on the page: what it says of nets that are too sure, not sure enough, and never asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simplecell.metrics.classification import calibration_error, coverage, tempered
from simplecell.report.answers import Answers
from simplecell.report.reliability import section
from tests.report.answered import on_page, pictures


def honest(seed: int, count: int, classes: int = 4) -> Answers:
    """Answers that are right as often as their scores say."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(count, classes))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    powers = np.exp(logits)
    ids = [str(k) for k in range(count)]
    return Answers(ids, labels, powers / powers.sum(axis=1, keepdims=True), pictures)


def test_an_honest_net_is_told_to_be_one_and_what_the_temperature_did() -> None:
    given = honest(0, 20_000)
    made = section(given, 3.0, fitted=True)  # its logits were three times as large before
    before = calibration_error(given.labels, tempered(given.probabilities, 1 / 3)).value
    after = calibration_error(given.labels, given.probabilities).value
    assert "as sure as it is right" in made.lead
    assert "A temperature of 3, fitted on the validation side," in made.lead
    assert made.lead.endswith(f"takes the calibration error from {before:.4f} to {after:.4f}.")
    assert before > 10 * after
    page = on_page(made)
    assert f"{before:.4f} (" in page.text
    assert f"{after:.4f} (" in page.text


@pytest.mark.parametrize(("temperature", "words"), [(0.3, "surer than it is right"), (4.0, "less sure than")])
def test_a_net_that_is_wrong_about_itself_is_told_to_be(temperature: float, words: str) -> None:
    given = honest(1, 5000)
    made = section(replace(given, probabilities=tempered(given.probabilities, temperature)), 1.0, fitted=True)
    assert words in made.lead


def test_without_a_validation_side_nothing_is_compared_and_the_page_says_why() -> None:
    made = section(honest(2, 500), 1.0, fitted=False)
    assert made.lead.endswith("No temperature was fitted, for there was no validation side.")
    assert "at temperature 1" not in on_page(made).text


def test_what_holding_back_gains_stands_there() -> None:
    given = honest(3, 2000)
    page = on_page(section(given, 1.0, fitted=True))
    ((answered, accuracy),) = coverage(given.labels, given.probabilities, [0.9])
    assert f"{100 * answered.value:.2f} %" in page.text
    assert f"{100 * accuracy.value:.2f} % (" in page.text


def test_one_answer_is_enough_for_a_page() -> None:
    on_page(section(honest(4, 1), 1.0, fitted=True))
