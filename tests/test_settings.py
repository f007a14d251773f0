"""Settings as typed Python, as flat names and as TOML: what goes in comes out, and what cannot is told."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simplecell import settings as typed
from simplecell.errors import UserError
from simplecell.settings import setting
from simplecell.tasks.classify import Classify


@dataclass(frozen=True)
class Oven:
    heat: float = setting(180.0, "degrees", at_least=0, at_most=300)
    fan: bool = setting(False, "blow")
    rack: int | Literal["auto"] = setting("auto", "from below", at_least=1)


@dataclass(frozen=True)
class Cake:
    name: str = setting("", "what it is called", place=True)
    kind: Literal["sponge", "tart", 3] = setting("sponge", "what it is")
    sugar: float | Literal["auto"] = setting("auto", "grams", above=0)
    oven: Oven = Oven()


# ---- fields


def test_the_tasks_own_fields_come_first_then_group_by_group() -> None:
    fields = typed.fields_of(Cake)
    assert list(fields) == ["name", "kind", "sugar", "heat", "fan", "rack"]
    assert [f.group for f in fields.values()] == ["", "", "", "oven", "oven", "oven"]
    assert fields["heat"].limits == {"at_least": 0, "at_most": 300, "above": None}
    assert fields["name"].place
    assert not fields["fan"].place


def test_a_flag_is_the_name_with_hyphens() -> None:
    assert typed.fields_of(Classify)["batch_size"].flag == "--batch-size"


def test_a_name_that_stands_in_two_groups_is_a_fault_of_the_class() -> None:
    @dataclass(frozen=True)
    class Other:
        heat: float = 1.0

    @dataclass(frozen=True)
    class Twice:
        oven: Oven = Oven()
        other: Other = Other()

    # Annotations that are strings are looked up in the module.
    Twice.__annotations__ = {"oven": Oven, "other": Other}
    with pytest.raises(TypeError, match="two settings of Twice are named heat"):
        typed.fields_of(Twice)


def test_every_setting_of_classify_has_a_line_of_help_and_a_default_that_it_takes() -> None:
    typed.check(Classify())
    assert all(f.help for f in typed.fields_of(Classify).values())


# ---- changing


def test_flatten_and_replace_are_each_others_inverse() -> None:
    cake = Cake("lemon", "tart", 80.0, Oven(200.0, True, 2))
    flat = typed.flatten(cake)
    assert flat == {"name": "lemon", "kind": "tart", "sugar": 80.0, "heat": 200.0, "fan": True, "rack": 2}
    assert typed.replace(Cake(), flat) == cake
    assert typed.replace(cake, {}) == cake


def test_replace_changes_what_is_named_and_nothing_else() -> None:
    cake = Cake("lemon", oven=Oven(fan=True))
    changed = typed.replace(cake, {"heat": 90, "kind": 3})
    assert changed == Cake("lemon", 3, oven=Oven(90.0, True))
    assert type(changed.oven.heat) is float
    assert cake.oven.heat == 180.0


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("heat", -1, "heat cannot be -1.0; give 0 or more"),
        ("heat", 300.5, "heat cannot be 300.5; give 300 or less"),
        ("heat", float("nan"), "heat cannot be nan; it takes a number"),
        ("heat", float("-inf"), "heat cannot be -inf; it takes a number"),
        pytest.param(
            "heat",
            10**400,
            "heat cannot be a number of more than 64 bits; it takes a number",
            id="beyond floats",
        ),
        ("sugar", 0, "sugar cannot be 0.0; give more than 0"),
        ("sugar", float("inf"), "sugar cannot be inf; it takes a number or auto"),
        ("rack", 0, "rack cannot be 0; give 1 or more"),
        ("rack", 1.0, "rack cannot be 1.0; it takes a whole number or auto"),
        ("rack", True, "rack cannot be True; it takes a whole number or auto"),
        ("rack", "Auto", "rack cannot be 'Auto'; it takes a whole number or auto"),
        ("heat", True, "heat cannot be True; it takes a number"),
        ("heat", "hot", "heat cannot be 'hot'; it takes a number"),
        ("fan", 1, "fan cannot be 1; it takes true or false"),
        ("fan", None, "fan cannot be None; it takes true or false"),
        ("name", 3, "name cannot be 3; it takes text"),
        ("name", None, "name cannot be None; it takes text"),
        ("kind", "cookie", "kind cannot be 'cookie'; it takes sponge|tart|3"),
        ("kind", "3", "kind cannot be '3'; it takes sponge|tart|3"),
        ("kind", 3.0, "kind cannot be 3.0; it takes sponge|tart|3"),
        ("kind", ["tart"], "kind cannot be ['tart']; it takes sponge|tart|3"),
    ],
)
def test_a_value_that_a_setting_cannot_take_is_refused(name: str, value: Any, expected: str) -> None:
    with pytest.raises(UserError) as told:
        typed.replace(Cake(), {name: value}, "cake.toml")
    assert str(told.value) == f"cake.toml: {expected}."


@pytest.mark.parametrize(("name", "value"), [("heat", 0), ("heat", 300), ("rack", 1), ("sugar", 1e-300)])
def test_a_bound_itself_is_allowed(name: str, value: Any) -> None:
    assert typed.flatten(typed.replace(Cake(), {name: value}))[name] == value


@pytest.mark.parametrize(
    ("name", "expected"),
    [("heet", "did you mean heat"), ("racks", "did you mean rack"), ("zzz", "see the task's --help")],
)
def test_an_unknown_name_gets_the_nearest_or_the_help(name: str, expected: str) -> None:
    with pytest.raises(UserError, match=f"there is no setting named {name}; {expected}"):
        typed.replace(Cake(), {name: 1})


# ---- tables


def test_a_table_may_be_nested_or_flat_and_need_not_be_whole() -> None:
    expected = Cake("lemon", oven=Oven(rack=2))
    assert typed.from_table(Cake, {"name": "lemon", "oven": {"rack": 2}}) == expected
    assert typed.from_table(Cake, {"name": "lemon", "rack": 2}) == expected
    assert typed.from_table(Cake, {}) == Cake()


def test_an_unknown_table_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="there is no setting named ovens; did you mean oven"):
        typed.from_table(Cake, {"ovens": {"rack": 2}})


def test_a_value_where_a_group_belongs_is_refused() -> None:
    with pytest.raises(UserError, match="oven"):
        typed.from_table(Cake, {"oven": 3})
    with pytest.raises(UserError, match="heat"):
        typed.from_table(Cake, {"heat": {"upper": 3}})


def test_places_stay_out_of_a_table_on_request() -> None:
    assert "name" in typed.to_table(Cake())
    assert "name" not in typed.to_table(Cake(), places=False)
    assert "checkpoint_every" not in typed.to_table(Classify(), places=False)["machine"]


@given(
    st.builds(
        Cake,
        st.text(),
        st.sampled_from(["sponge", "tart", 3]),
        st.just("auto") | st.floats(0, 1e300, exclude_min=True),
        st.builds(Oven, st.floats(0, 300), st.booleans(), st.just("auto") | st.integers(1)),
    )
)
def test_settings_go_through_toml_unchanged(cake: Cake) -> None:
    text = typed.to_toml(typed.to_table(cake))
    back = typed.from_table(Cake, tomllib.loads(text))
    assert back == cake
    assert list(map(type, typed.flatten(back).values())) == list(map(type, typed.flatten(cake).values()))


# ---- TOML

STRINGS = st.text() | st.sampled_from(
    ["", '"', "\\", "\\u0041", "\x00", "\x7f", "\x85", "\u2028", "\r\n", "😀", "[a]", "# no", "a = 1", "'''"]
)
VALUES = st.booleans() | st.integers() | st.floats(allow_nan=False) | STRINGS
LISTS = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
TABLES = st.recursive(
    st.dictionaries(STRINGS, LISTS, max_size=4),
    lambda inner: st.dictionaries(STRINGS, inner | LISTS, max_size=4),
    max_leaves=8,
)


@given(TABLES)
def test_any_table_is_the_same_after_toml(table: dict[str, Any]) -> None:
    read = tomllib.loads(typed.to_toml(table))
    assert read == table
    assert str(sorted_types(read)) == str(sorted_types(table))  # 1, 1.0 and True are equal


def sorted_types(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, sorted_types(value[key])) for key in sorted(value)]
    if isinstance(value, list):
        return [sorted_types(item) for item in value]
    return type(value)


def test_a_number_that_is_none_is_written_as_such() -> None:
    value = tomllib.loads(typed.to_toml({"x": float("nan")}))["x"]
    assert value != value


@pytest.mark.parametrize("table", [{"x": "a\udcff"}, {"a\udcff": 1}])
def test_text_that_is_not_unicode_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="is not UTF-8"):
        typed.to_toml(table)


@pytest.mark.parametrize("value", [None, b"x", {1}, [None]])
def test_what_toml_cannot_hold_has_no_place_in_settings(value: Any) -> None:
    with pytest.raises(TypeError, match="has no place in settings"):
        typed.to_toml({"x": value})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a = 1\nb = = 2\n", "this is not TOML .*line 2"),
        (b"a = 1\na = 2\n", "this is not TOML"),
        (b"a = '\xff'\n", "this is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "cake.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"cake.toml: {expected}"):
        typed.read_toml(path)


def test_an_absent_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        typed.read_toml(tmp_path / "cake.toml")
    with pytest.raises(UserError, match="this is a folder"):
        typed.read_toml(tmp_path)
