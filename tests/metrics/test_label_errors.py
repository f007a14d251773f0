"""Suspected label errors on data whose errors were planted, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simplecell.metrics.label_errors import class_thresholds, suspects


def planted(seed: int, classes: int = 5, count: int = 3000, share: float = 0.05) -> tuple[NDArray[Any], ...]:
    """Points of Gaussian classes, the true posterior of each, and labels of which a share was changed."""
    generator = np.random.default_rng(seed)
    centres = 4 * np.eye(classes)
    truth = generator.integers(0, classes, count)
    points = centres[truth] + generator.normal(size=(count, classes))
    logits = -0.5 * ((points[:, None, :] - centres) ** 2).sum(axis=2)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    changed = generator.uniform(size=count) < share
    labels = np.where(changed, (truth + generator.integers(1, classes, count)) % classes, truth)
    return truth, labels, changed, powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_errors_are_found_and_little_else(seed: int) -> None:
    truth, labels, changed, probabilities = planted(seed)
    found = suspects(labels, probabilities)
    places = np.array([each.place for each in found])
    assert changed[places].sum() / changed.sum() > 0.95
    assert changed[places].mean() > 0.9
    assert changed[places[:100]].mean() == 1.0  # the most suspected are all errors
    right = [each for each in found if changed[each.place]]
    assert np.mean([each.suggested == truth[each.place] for each in right]) > 0.97


def test_the_most_doubtful_comes_first() -> None:
    _, labels, _, probabilities = planted(7)
    margins = [each.margin for each in suspects(labels, probabilities)]
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] > 0


def test_a_suspect_tells_both_probabilities() -> None:
    labels = [0, 0, 0, 1, 1]
    probabilities = [[0.9, 0.1], [0.8, 0.2], [0.05, 0.95], [0.3, 0.7], [0.2, 0.8]]
    (only,) = suspects(labels, probabilities)
    assert (only.place, only.label, only.suggested) == (2, 0, 1)
    assert (only.given, only.instead) == (pytest.approx(0.05), pytest.approx(0.95))


def test_a_class_the_net_is_rarely_sure_of_has_a_lower_threshold() -> None:
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.5, 0.5]])
    np.testing.assert_allclose(class_thresholds(labels, probabilities), [0.85, 0.45])
    # 0.6 for the first class is below its 0.85, so the third example is not doubted.
    assert suspects(labels, probabilities) == []


def test_a_class_without_examples_is_never_suggested() -> None:
    assert suspects([0, 0, 1], [[0.2, 0.1, 0.7], [0.9, 0.05, 0.05], [0.1, 0.8, 0.1]]) == []


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no example"):
        suspects([], np.zeros((0, 2)))
