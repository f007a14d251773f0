"""Options out of a query: the same checks as on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simplecell.errors import UserError
from simplecell.serve import options
from simplecell.settings import check, flatten, setting


@dataclass(frozen=True)
class Ask:
    """One field of each kind."""

    top: int = setting(5, "classes to tell", at_least=1)
    below: float = setting(0.0, "score", at_least=0, at_most=1)
    ink: bool = setting(False, "ink on paper")
    way: Literal["fast", "good"] = setting("fast", "how")
    beam: Literal["auto"] | int = setting("auto", "width of the beam", above=0)
    words: str = setting("", "said before")


asks = st.builds(
    Ask,
    st.integers(1, 10**6),
    st.floats(0, 1),
    st.booleans(),
    st.sampled_from(["fast", "good"]),
    st.one_of(st.just("auto"), st.integers(1, 99)),
    st.text(),
)


@given(asks)
def test_what_was_meant_reads_back(ask: Ask) -> None:
    assert options.ask_of(Ask, {name: str(value) for name, value in flatten(ask).items()}) == ask


@given(st.dictionaries(st.sampled_from(["top", "below", "ink", "way", "beam"]), st.text(max_size=8)))
def test_any_text_is_a_sound_ask_or_a_sentence(given_texts: dict[str, str]) -> None:
    try:
        ask = options.ask_of(Ask, given_texts)
    except UserError as error:
        told = str(error)
    else:
        check(ask)
        return
    assert any(name in told for name in given_texts)


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "-0.1", "1.1", "", "0,5"])
def test_a_number_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="below"):
        options.ask_of(Ask, {"below": text})


def test_a_long_name_or_value_is_not_repeated_whole() -> None:
    for given_texts in ({"x" * 5000: "1"}, {"top": "x" * 5000}, {"way": "x" * 5000}):
        with pytest.raises(UserError) as caught:
            options.ask_of(Ask, given_texts)
        assert len(str(caught.value)) < 200


def test_options_are_told_as_they_are() -> None:
    told = options.describe(Ask)
    assert told["top"] == {"type": "int", "default": 5, "help": "classes to tell", "at_least": 1}
    assert told["way"] == {"type": "choice", "default": "fast", "help": "how", "choices": ["fast", "good"]}
    assert told["beam"]["type"] == "int"
    assert told["beam"]["choices"] == ["auto"]
    schema = options.schema(Ask)
    assert schema["below"] == {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0.0,
        "description": "score",
    }
    assert schema["beam"]["anyOf"] == [{"enum": ["auto"]}, {"type": "integer"}]
    assert schema["beam"]["exclusiveMinimum"] == 0
