"""Splits: nothing leaks, each class gets its share, and the answer hangs on the pictures alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from simplecell.data.pictures import ArrayPictures
from simplecell.data.sources import Source, Table, read_source
from simplecell.data.splits import digests, divide, folds
from simplecell.errors import UserError

SIDES = ("train", "validation", "test")


def table(
    labels: Sequence[int], contents: Sequence[int] | None = None, groups: Sequence[str] | None = None
) -> Table:
    """One 1 x 2 picture a label; equal numbers in ``contents`` are equal pictures."""
    numbers = np.array(range(len(labels)) if contents is None else contents, dtype=np.uint16)
    return Table(
        tuple(f"{row:04d}.png" for row in range(len(labels))),
        np.array(labels, dtype=np.int64),
        ArrayPictures(numbers.view(np.uint8).reshape(-1, 1, 2, 1)),
        {} if groups is None else {"group": tuple(groups)},
    )


def source(**tables: Table) -> Source:
    count = 1 + max(int(one.labels.max()) for one in tables.values())
    return Source(Path("data"), "folder", tuple(f"class{label}" for label in range(count)), tables)


def sides(tables: dict[str, Table]) -> dict[str, str]:
    """The side of every id."""
    return {name: side for side, one in tables.items() for name in one.ids}


shares = st.sampled_from([(0.1, 0.15), (0.1, 0.0), (0.0, 0.2), (0.3, 0.3), (0.05, 0.01)])
many_labels = st.lists(st.integers(0, 3), min_size=1, max_size=120)


@given(many_labels, shares)
def test_sides_are_disjoint_and_cover_everything(labels: list[int], share: tuple[float, float]) -> None:
    whole = table(labels)
    tables, facts = divide(source(all=whole), validation=share[0], test=share[1])
    assert sorted(name for one in tables.values() for name in one.ids) == sorted(whole.ids)
    assert facts["counts"] == {side: len(tables[side]) for side in SIDES}
    label_of = dict(zip(whole.ids, labels, strict=True))
    for one in tables.values():  # rows stay whole
        assert one.labels.tolist() == [label_of[name] for name in one.ids]


@given(many_labels, shares)
def test_each_class_gets_its_share_and_always_trains(labels: list[int], share: tuple[float, float]) -> None:
    tables, _ = divide(source(all=table(labels)), validation=share[0], test=share[1])
    for label, count in Counter(labels).items():
        got = {side: int((tables[side].labels == label).sum()) for side in SIDES}
        assert got["train"] >= 1
        for side, part in zip(("validation", "test"), share, strict=True):
            assert abs(got[side] - part * count) <= 1 + (count < 30)  # least counts push a neighbour by one
            if count >= 3:
                assert (got[side] >= 1) == (part > 0)


@given(many_labels, st.randoms(use_true_random=False))
def test_the_order_and_names_of_files_make_no_difference(labels: list[int], random: object) -> None:
    order = list(range(len(labels)))
    random.shuffle(order)  # type: ignore[attr-defined]
    contents = list(range(len(labels)))
    first, _ = divide(source(all=table(labels, contents)))
    second, _ = divide(source(all=table([labels[row] for row in order], order)))
    for side in SIDES:
        assert set(digests(first[side].pictures)) == set(digests(second[side].pictures))


@given(many_labels, st.integers(0, 3), st.integers(1000, 60000))
def test_an_added_picture_moves_few_others(labels: list[int], label: int, content: int) -> None:
    before = sides(divide(source(all=table(labels)))[0])
    contents = [*range(len(labels)), content]
    after = sides(divide(source(all=table([*labels, label], contents)))[0])
    moved = [name for name in before if before[name] != after[name]]
    assert len(moved) <= 4
    of_class = {f"{row:04d}.png" for row, other in enumerate(labels) if other == label}
    assert set(moved) <= of_class


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 30), st.sampled_from(["", *"abcdefghij"])), min_size=1
    ),
    st.booleans(),
)
def test_what_belongs_together_stays_together(rows: list[tuple[int, int, str]], grouped: bool) -> None:
    labels, contents, groups = (list(column) for column in zip(*rows, strict=True))
    whole = table(labels, contents, groups)
    try:
        tables, _ = divide(source(all=whole), validation=0.2, test=0.2, group="group" if grouped else "")
    except UserError:  # groups took the last training picture of a class
        reject()
    side = sides(tables)
    for keys in [contents, groups] if grouped else [contents]:
        stands: dict[object, str] = {}
        for name, key in zip(whole.ids, keys, strict=True):
            if key != "":
                assert stands.setdefault(key, side[name]) == side[name]


def test_pictures_joined_through_others_stand_on_one_side() -> None:
    # 0 and 1 share bytes, 1 and 2 a group, 2 and 3 bytes: all four are one unit.
    contents = [7, 7, 8, 8, *range(100, 140)]
    groups = ["", "x", "x", "", *[""] * 40]
    tables, _ = divide(source(all=table([0] * 44, contents, groups)), group="group")
    assert len({sides(tables)[f"{row:04d}.png"] for row in range(4)}) == 1


def test_a_group_that_grows_stays_where_it_is() -> None:
    groups = [f"patient {row // 5}" for row in range(200)]
    before = sides(divide(source(all=table([0] * 200, None, groups)), group="group")[0])
    after = sides(divide(source(all=table([0] * 201, None, [*groups, "patient 3"])), group="group")[0])
    moved = [name for name in before if before[name] != after[name]]
    assert len(moved) <= 5  # one group over a border at most


def test_an_empty_group_is_no_group() -> None:
    tables, _ = divide(source(all=table([0] * 40, None, [""] * 40)), group="group")
    assert len(tables["test"]) == 6


def test_a_given_split_is_kept_and_the_rest_is_made_from_training() -> None:
    given_sides = {"train": table([0, 1] * 20), "test": table([0, 1] * 5), "night": table([1])}
    tables, facts = divide(source(**given_sides), validation=0.25)
    assert tables["test"] is given_sides["test"]
    assert tables["night"] is given_sides["night"]
    assert (len(tables["train"]), len(tables["validation"])) == (30, 10)
    assert list(tables) == ["train", "validation", "test", "night"]
    assert (facts["given"], facts["made"]) == (["train", "test", "night"], ["validation"])
    assert facts["counts"] == {"train": 30, "validation": 10, "test": 10, "night": 1}


def test_a_complete_split_is_left_alone() -> None:
    given_sides = {side: table([0, 1]) for side in SIDES}
    tables, facts = divide(source(**given_sides))
    assert all(tables[side].ids == given_sides[side].ids for side in SIDES)
    assert facts["made"] == []


def test_the_last_by_name_can_be_the_test_side() -> None:
    names = [f"{kind}/{kind}.{number}.jpg" for kind in ("cat", "dog") for number in (8, 9, 10, 11, 100)]
    whole = Table(tuple(names), np.repeat([0, 1], 5), table([0] * 10).pictures)
    tables, facts = divide(source(all=whole), validation=0.0, test_last=2)
    assert tables["test"].ids == ("cat/cat.11.jpg", "cat/cat.100.jpg", "dog/dog.11.jpg", "dog/dog.100.jpg")
    assert len(tables["train"]) == 6
    assert "last 2" in facts["by"]


def refusal(data: Source, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        divide(data, **options)  # type: ignore[arg-type]
    assert caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validation": 1.0}, "--validation: 1.0 is not a share"),
        ({"test": -0.1}, "--test: -0.1 is not a share"),
        ({"validation": float("nan")}, "nan is not a share"),
        ({"validation": 0.5, "test": 0.5}, "leave nothing to train on"),
        ({"group": "grup"}, "--group: there is no column 'grup'; did you mean group"),
        ({"group": "xyz"}, "the data have group"),
        ({"test_last": 20}, "class 'class0' has 20 pictures, so none would be left"),
        ({"test_last": -1}, "--test-last: -1 is not a number of pictures"),
        ({"test_last": 3, "group": "group"}, "--group: --test-last would tear 1 group(s) apart, 'g'"),
    ],
)
def test_what_cannot_be_divided_is_told(options: dict[str, object], words: str) -> None:
    assert words in refusal(source(all=table([0, 1] * 20, None, ["g"] * 40)), **options)


def test_a_class_that_groups_keep_from_training_is_told() -> None:
    labels = [0] * 40 + [1]
    for number in range(60):  # the groups' names decide which side they stand on
        groups = [f"{number} {row % 8}" for row in range(40)] + [f"{number} 0"]
        side = sides(divide(source(all=table([0] * 41, None, groups)), test=0.3, group="group")[0])
        if side["0040.png"] == "test":
            break
    sentence = refusal(source(all=table(labels, None, groups)), test=0.3, group="group")
    assert "class 'class1' would be left without training pictures" in sentence


def test_test_last_beside_a_given_test_side_is_told() -> None:
    data = source(train=table([0, 1] * 9), test=table([0, 1]))
    assert "the data bring their own test side" in refusal(data, test_last=1)


def test_data_without_training_side_are_told() -> None:
    assert "no training side, only test" in refusal(source(test=table([0, 1])))


@given(many_labels, st.integers(2, 6))
def test_folds_hold_every_picture_out_once_and_spread_each_class(labels: list[int], k: int) -> None:
    whole = table(labels)
    if len(labels) < k:
        with pytest.raises(UserError, match="cannot be held out"):
            folds(whole, k)
        return
    parts = folds(whole, k)
    assert sorted(name for _, held in parts for name in held.ids) == sorted(whole.ids)
    for rest, held in parts:
        assert sorted(rest.ids + held.ids) == sorted(whole.ids)
    for label, count in Counter(labels).items():
        held_counts = [int((held.labels == label).sum()) for _, held in parts]
        assert max(held_counts) - min(held_counts) <= 1
        assert min(held_counts) >= count // k


def test_folds_keep_groups_together() -> None:
    groups = [f"{row % 12}" for row in range(60)]
    for rest, held in folds(table([0, 1] * 30, None, groups), 4, group="group"):
        assert len(held) == 15
        assert not {groups[int(name[:4])] for name in rest.ids} & {groups[int(name[:4])] for name in held.ids}


def test_real_photographs_are_divided_by_class(shared: Callable[[str], Path]) -> None:
    tables, facts = divide(read_source(shared("dogs-vs-cats")))
    assert facts["counts"] == {"train": 630, "validation": 70, "test": 260}
    assert np.bincount(tables["validation"].labels).tolist() == [35, 35]
