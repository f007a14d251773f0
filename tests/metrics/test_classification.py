"""Figures of a classifier against brute force, closed forms and, where installed, scikit-learn."""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simplecell.metrics.classification import (
    accuracy,
    balanced_accuracy,
    by_class,
    calibration_error,
    confusion,
    coverage,
    negative_log_likelihood,
    reliability,
    tempered,
    top_k,
)
from simplecell.metrics.intervals import wilson

Answers = tuple[NDArray[np.int64], NDArray[np.float64]]


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    """Labels and probabilities, with many ties among the probabilities."""
    classes, count = draw(st.integers(1, 6)), draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = generator.integers(1, draw(st.sampled_from([3, 1000])), size=(count, classes)).astype(float)
    return generator.integers(0, classes, size=count), scores / scores.sum(axis=1, keepdims=True)


def ranked(row: NDArray[np.float64]) -> list[int]:
    return sorted(range(len(row)), key=lambda k: (-row[k], k))


@given(answers(), st.integers(1, 8))
def test_top_k_is_what_sorting_says(answers: Answers, k: int) -> None:
    labels, probabilities = answers
    hits = sum(y in ranked(row)[:k] for y, row in zip(labels, probabilities, strict=True))
    assert top_k(labels, probabilities, k) == wilson(hits, len(labels))


@given(answers())
def test_accuracy_is_top_1_and_the_trace_of_the_confusion(answers: Answers) -> None:
    matrix = confusion(*answers)
    assert accuracy(*answers) == top_k(*answers, 1)
    assert accuracy(*answers).value == matrix.trace() / matrix.sum()


@given(answers())
def test_the_confusion_counts_each_example_once_at_its_place(answers: Answers) -> None:
    labels, probabilities = answers
    expected = np.zeros((probabilities.shape[1],) * 2, int)
    for y, row in zip(labels, probabilities, strict=True):
        expected[y, ranked(row)[0]] += 1
    np.testing.assert_array_equal(confusion(labels, probabilities), expected)


@given(answers())
def test_figures_by_class_are_what_counting_says(answers: Answers) -> None:
    labels, probabilities = answers
    guesses = np.array([ranked(row)[0] for row in probabilities])
    names = [f"class {k}" for k in range(probabilities.shape[1])]
    figures = by_class(confusion(labels, probabilities), names)
    assert list(figures) == names
    for k, name in enumerate(names):
        right = int(((guesses == k) & (labels == k)).sum())
        taken, there = int((guesses == k).sum()), int((labels == k).sum())
        got = figures[name]
        assert got["precision"].to_json() == wilson(right, taken).to_json()
        assert got["recall"].to_json() == wilson(right, there).to_json()
        if taken + there:
            assert got["F1"].value == pytest.approx(2 * right / (taken + there))
        else:
            assert got["F1"].to_json()["value"] is None
        if right:
            precision, recall = right / taken, right / there
            assert got["F1"].value == pytest.approx(2 / (1 / precision + 1 / recall))


def test_balanced_accuracy_weighs_classes_alike_and_skips_absent_ones() -> None:
    matrix = np.array([[90, 10, 0], [5, 5, 0], [0, 0, 0]])
    figure = balanced_accuracy(matrix)
    assert figure.value == pytest.approx((0.9 + 0.5) / 2)
    assert figure.low is not None
    assert figure.high is not None
    # By the delta method the deviation is about 0.5 · √(0.9·0.1/100 + 0.5·0.5/10) = 0.08.
    assert figure.low == pytest.approx(0.7 - 1.96 * 0.08, abs=0.04)
    assert figure.high == pytest.approx(0.7 + 1.96 * 0.08, abs=0.04)


@given(answers())
def test_the_likelihood_is_the_mean_surprise(answers: Answers) -> None:
    labels, probabilities = answers
    surprise = [-log(row[y]) for y, row in zip(labels, probabilities, strict=True)]
    assert negative_log_likelihood(labels, probabilities).value == pytest.approx(np.mean(surprise))


def test_a_certain_mistake_costs_no_infinity() -> None:
    figure = negative_log_likelihood([1], [[1.0, 0.0]])
    assert figure.value == pytest.approx(23 * log(2))


@given(answers(), st.integers(1, 20))
def test_calibration_error_is_the_papers_sum_over_bins(answers: Answers, bins: int) -> None:
    labels, probabilities = answers
    confidence, guesses = probabilities.max(1), np.array([ranked(row)[0] for row in probabilities])
    error = 0.0
    for low, high in pairwise(np.arange(bins + 1)):
        inside = (confidence * bins > low) & (confidence * bins <= high)
        if inside.any():
            right = (guesses == labels)[inside].mean()
            error += inside.mean() * abs(right - confidence[inside].mean())
    assert calibration_error(labels, probabilities, bins).value == pytest.approx(error, abs=1e-12)


def test_honest_confidence_has_little_calibration_error_and_bragging_has_much() -> None:
    generator = np.random.default_rng(4)
    chance = generator.uniform(0.5, 1, size=20_000)
    labels = (generator.uniform(size=20_000) > chance).astype(np.int64)
    honest = calibration_error(labels, np.column_stack([chance, 1 - chance]))
    bragging = calibration_error(labels, np.tile([1.0, 0.0], (20_000, 1)))
    assert honest.value < 0.015
    assert bragging.value == pytest.approx(0.25, abs=0.01)
    assert bragging.low is not None
    assert bragging.high is not None
    assert bragging.low < bragging.value < bragging.high


def test_a_thousand_classes_need_no_thousand_tables_of_a_million() -> None:
    """Resampling whole tables would take 8 GB here."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(1000), 5)
    guesses = np.where(generator.uniform(size=5000) < 0.8, labels, generator.integers(0, 1000, 5000))
    matrix = confusion(labels, np.eye(1000)[guesses])
    balanced = balanced_accuracy(matrix)
    assert balanced.value == pytest.approx((labels == guesses).mean())  # the classes are equally large
    assert balanced.low is not None and balanced.high is not None
    # Within classes of 5 the deviation of a recall is √(0.8·0.2/5); over 1000 classes 32 times less.
    assert balanced.high - balanced.low == pytest.approx(2 * 1.96 * 0.0057, rel=0.25)
    assert len(by_class(matrix, [str(k) for k in range(1000)])) == 1000


def test_the_interval_of_f1_is_that_of_resampled_examples() -> None:
    """Only four cells a class are resampled; whole examples drawn again must give the same interval."""
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 3, 400)
    guesses = np.where(generator.uniform(size=400) < 0.7, labels, generator.integers(0, 3, 400))
    figure = by_class(confusion(labels, np.eye(3)[guesses]), ["a", "b", "c"])["b"]["F1"]
    drawn = []
    for _ in range(2000):
        rows = generator.integers(0, 400, 400)
        y, g = labels[rows] == 1, guesses[rows] == 1
        drawn.append(2 * (y & g).sum() / (y.sum() + g.sum()))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (figure.low, figure.high) == (pytest.approx(low, abs=0.012), pytest.approx(high, abs=0.012))


# ---- reliability


@given(answers(), st.integers(1, 20), st.sampled_from(["width", "mass"]))
def test_the_ranges_of_a_reliability_diagram_hold_every_example_once(
    answers: Answers, bins: int, equal: Any
) -> None:
    labels, probabilities = answers
    confidence, guesses = probabilities.max(1), np.array([ranked(row)[0] for row in probabilities])
    found = reliability(labels, probabilities, bins, equal)
    assert sum(each.count for each in found) == len(labels)
    assert all(a.high <= b.low for a, b in pairwise(found))
    for each in found:
        if equal == "width":  # as the papers count: an edge such as 1/3 is no float
            inside = np.ceil(confidence * bins) == round(each.high * bins)
        else:  # the least confidence is the first edge, and belongs to the first range
            above = confidence >= each.low if each is found[0] else confidence > each.low
            inside = above & (confidence <= each.high)
        assert each.count == inside.sum()
        assert each.confidence == pytest.approx(confidence[inside].mean())
        right = int((guesses == labels)[inside].sum())
        assert each.accuracy == wilson(right, int(inside.sum()))


def test_ranges_of_equal_mass_have_nearly_one_number_of_examples() -> None:
    chance = np.random.default_rng(1).uniform(0.5, 1, size=1000)
    found = reliability(np.zeros(1000, int), np.column_stack([chance, 1 - chance]), 10, "mass")
    assert [each.count for each in found] == [pytest.approx(100, abs=2)] * 10


@given(answers(), st.integers(1, 20), st.sampled_from(["width", "mass"]))
def test_calibration_error_is_the_mean_gap_of_the_diagram(answers: Answers, bins: int, equal: Any) -> None:
    found = reliability(*answers, bins, equal)
    gap = sum(each.count * abs(each.accuracy.value - each.confidence) for each in found) / len(answers[0])
    assert calibration_error(*answers, bins, equal=equal).value == pytest.approx(gap, abs=1e-12)


def test_coverage_falls_and_accuracy_is_of_those_answered() -> None:
    labels = [0, 0, 1, 1]
    probabilities = [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]  # right, right, wrong, right
    found = coverage(labels, probabilities, [0.0, 0.65, 0.75, 0.95])
    assert [(a, b) for a, b in found[:3]] == [
        (wilson(4, 4), wilson(3, 4)),
        (wilson(3, 4), wilson(2, 3)),
        (wilson(2, 4), wilson(2, 2)),
    ]
    share, accuracy = found[3]
    assert share.value == 0
    assert accuracy.to_json()["value"] is None


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_a_temperature_is_that_of_the_logits_and_can_be_taken_back(seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).normal(size=(5, 4)) * 3

    def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
        powers = np.exp(values - values.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)  # type: ignore[no-any-return]

    plain = softmax(logits)
    np.testing.assert_allclose(tempered(plain, temperature), softmax(logits / temperature), atol=1e-12)
    np.testing.assert_allclose(tempered(tempered(plain, temperature), 1 / temperature), plain, atol=1e-9)


def test_a_probability_of_nothing_stays_so_at_any_temperature() -> None:
    np.testing.assert_array_equal(tempered([[1.0, 0.0]], 3.0), [[1.0, 0.0]])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        accuracy([0, 1], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="no example"):
        accuracy([], np.zeros((0, 3)))
    with pytest.raises(ValueError, match="outside 0 … 1"):
        confusion([2], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="1 class names"):
        by_class(np.zeros((2, 2), np.int64), ["a"])


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(answers())
def test_scikit_learn_agrees(answers: Answers) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    labels, probabilities = answers
    guesses, classes = probabilities.argmax(1), list(range(probabilities.shape[1]))
    matrix = confusion(labels, probabilities)
    np.testing.assert_array_equal(matrix, reference.confusion_matrix(labels, guesses, labels=classes))
    expected = reference.precision_recall_fscore_support(
        labels, guesses, labels=classes, zero_division=np.nan
    )
    figures = by_class(matrix, [str(k) for k in classes])
    for column, name in enumerate(("precision", "recall", "F1")):
        ours = [figures[str(k)][name].value for k in classes]
        np.testing.assert_allclose(ours, expected[column], equal_nan=True)
