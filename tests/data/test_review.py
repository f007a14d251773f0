"""The judgement on a data set, from findings made by hand."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Literal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simplecell.data.review import IMBALANCED, TINY, Pair, Review, Side, review

CLASSES = ("cat", "dog")


def side(labels: list[int], name: str, *, broken: dict[int, str] | None = None, channels: int = 3) -> Side:
    """Pictures of 30 × 40, 31 × 40, … pixels."""
    sizes = np.array([[30 + row, 40, channels] for row in range(len(labels))], np.int64).reshape(-1, 3)
    return Side(
        [f"{name}/{row}" for row in range(len(labels))], np.array(labels, np.int64), sizes, broken or {}
    )


def judge(sides: dict[str, Side], *pairs: Pair, classes: tuple[str, ...] = CLASSES, **more: Any) -> Review:
    return review("photos", "folder", classes, sides, pairs, **more)


def sentences(found: Review, grade: str) -> list[str]:
    return [verdict.sentence for verdict in found.verdicts if verdict.grade == grade]


def sound_side(name: str = "train") -> Side:
    return side([0] * TINY + [1] * TINY, name)


def test_sound_data_get_no_verdict() -> None:
    found = judge({"train": sound_side(), "test": side([0, 1], "test")})
    assert found.verdicts == ()
    assert found.sound
    assert found.counts == {"cat": {"train": TINY, "test": 1}, "dog": {"train": TINY, "test": 1}}
    assert found.imbalance == 1.0


def test_sizes_are_those_of_the_pictures_that_can_be_read() -> None:
    found = judge({"all": side([0, 0, 1, 1], "all", broken={3: "x"})})
    assert found.height is not None
    assert (found.height.least, found.height.median, found.height.greatest) == (30, 31.0, 32)
    assert found.channels == {"3": 3}
    assert (str(found.height), str(found.width)) == ("30–32 (median 31)", "40")
    nothing = judge({"all": side([0], "all", broken={0: "x"})})
    assert nothing.height is None
    assert nothing.channels == {}


def test_every_broken_picture_is_listed_and_the_sentence_names_three_and_the_way_on() -> None:
    broken = {row: f"fault {row}" for row in (1, 3, 5, 7)}
    found = judge({"train": side([0] * TINY + [1] * TINY, "train", broken=broken)})
    assert [(item.picture.id, item.fault) for item in found.broken] == [
        (f"train/{row}", f"fault {row}") for row in (1, 3, 5, 7)
    ]
    assert sentences(found, "fault") == [
        "4 of 40 pictures cannot be read (train/1, train/3, train/5, …); restore or remove them, or train "
        "with --skip-broken."
    ]
    assert not found.sound


def pair(a: str, i: int, b: str, j: int, kind: Literal["equal", "near"] = "equal") -> Pair:
    return Pair((a, i), (b, j), kind)


def test_each_kind_of_repeat_gets_its_own_verdict() -> None:
    sides = {name: sound_side(name) for name in ("train", "test", "ppm")}
    leak = judge(sides, pair("train", 0, "test", 1), pair("train", 2, "test", 2, "near"))
    assert sentences(leak, "warning") == [
        "Pictures on two sides, where they flatter the figures: 1 equal and 1 nearly equal pairs "
        "(train/0 and test/1, train/2 and test/2); train with --drop-leaks."
    ]
    other = judge(sides, pair("train", 0, "ppm", 0))
    assert other.sound
    assert "keep that side out of training" in sentences(other, "note")[0]
    twice = judge(sides, pair("train", 0, "train", 1))
    assert twice.sound
    assert sentences(twice, "note")[0].startswith("Pictures twice on one side: 1 equal pair (train/0 and")
    conflict = judge(sides, pair("train", 0, "train", TINY))
    assert [verdict.grade for verdict in conflict.verdicts] == ["fault"]
    assert "labels for one picture: 1 equal pair (train/0 and train/20)" in conflict.verdicts[0].sentence
    doubt = judge(sides, pair("train", 0, "train", TINY, "near"))
    assert [verdict.grade for verdict in doubt.verdicts] == ["warning"]
    both = judge(sides, pair("train", 0, "test", TINY))
    assert [verdict.grade for verdict in both.verdicts] == ["fault", "warning"]


def test_the_gravest_repeats_come_first() -> None:
    sides = {name: sound_side(name) for name in ("train", "test")}
    twice, near = pair("train", 0, "train", 1), pair("train", 2, "test", 2, "near")
    leak, conflict = pair("train", 3, "test", 3), pair("train", 4, "train", TINY, "near")
    found = judge(sides, twice, near, leak, conflict)
    assert [repeat.first.id for repeat in found.repeats] == ["train/4", "train/3", "train/2", "train/0"]


def test_data_without_a_training_side_are_for_evaluation() -> None:
    found = judge({"test": sound_side("test")})
    assert found.sound
    assert "no training side" in sentences(found, "note")[0]


def test_missing_tiny_and_lopsided_classes_are_named() -> None:
    found = judge({"train": side([0] * 100 + [1] * 10, "train"), "test": side([0], "test")})
    assert found.imbalance == 10
    assert sentences(found, "warning") == [
        "Class 'dog' has no picture in test; no figures can be had there: add pictures.",
        f"Class 'dog' has fewer than {TINY} pictures to train on; add pictures.",
        "'cat' has 100 training pictures, 10.0 times the 10 of 'dog'; judge by balanced accuracy, and weigh "
        "the classes or draw them evenly in training.",
    ]
    only_test = judge({"train": side([0] * TINY, "train"), "test": side([1], "test")})
    assert sentences(only_test, "fault") == [
        "Class 'dog' has no picture in train; add pictures or remove the class."
    ]
    # A side beyond the three need not have every class.
    assert judge({"train": sound_side(), "formats": side([0], "formats")}).sound


def test_one_class_and_no_picture_at_all_are_faults() -> None:
    one = judge({"all": side([0] * TINY, "all")}, classes=("cat",))
    assert "one class only" in sentences(one, "fault")[0]
    empty = judge({"all": side([], "all")})
    assert "2 classes ('cat', 'dog') have no picture" in sentences(empty, "fault")[0]


def test_grey_among_colour_and_the_notes_of_the_source_are_notes() -> None:
    sides = {"train": sound_side(), "test": side([0, 1], "test", channels=1)}
    found = judge(sides, notes=["7 files that are not pictures were left out."])
    assert found.sound
    assert [text[:30] for text in sentences(found, "note")] == [
        "Grey and colour are mixed, 2 a",
        "7 files that are not pictures ",
    ]


@given(
    st.dictionaries(
        st.sampled_from(["train", "validation", "test", "all", "more"]),
        st.lists(st.integers(min_value=0, max_value=3), max_size=30),
        min_size=1,
    ),
    st.data(),
)
def test_the_counts_are_right_and_all_of_it_is_json(
    labels: dict[str, list[int]], data: st.DataObject
) -> None:
    names = ("a", "b", "c", "d")
    sides = {name: side(rows, name) for name, rows in labels.items()}
    places = [(name, row) for name, rows in labels.items() for row in range(len(rows))]
    drawn = data.draw(st.lists(st.tuples(*[st.sampled_from(places)] * 2), max_size=5)) if places else []
    found = judge(sides, *(Pair(a, b, "near") for a, b in drawn), classes=names)
    for name, rows in labels.items():
        expected = Counter(rows)
        assert {label: found.counts[label][name] for label in names} == {
            label: expected[index] for index, label in enumerate(names)
        }
        assert found.total(name) == len(rows)
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert len(told["repeats"]) == len(drawn)
    training = Counter(labels.get("train", labels.get("all", [])))
    if len(training) > 1:
        assert found.imbalance == max(training.values()) / min(training.values())
        lopsided = any("times the" in text for text in sentences(found, "warning"))
        assert lopsided == (found.imbalance >= IMBALANCED)
