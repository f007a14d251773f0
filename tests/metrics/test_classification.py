"""Figures of a classifier against brute force, closed forms and, where installed, scikit-learn."""

from __future__ import annotations

from itertools import pairwise
from math import log

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
    negative_log_likelihood,
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


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        accuracy([0, 1], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="no example"):
        accuracy([], np.zeros((0, 3)))
    with pytest.raises(ValueError, match="outside 0 … 1"):
        confusion([2], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="1 class names"):
        by_class(np.zeros((2, 2), np.int64), ["a"])


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
