"""Whatever a file's name or content brings into a sentence, it stays one line of bounded length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from judging import check_sentence

from simplecell.errors import UserError

#: With lone surrogates, of which names that are not UTF-8 are made.
TEXT = st.text(st.characters(exclude_categories=()), min_size=1) | st.text("ab", min_size=5000, max_size=9000)


@given(what=TEXT, where=TEXT, remedy=TEXT)
def test_any_text_makes_one_line(what: str, where: str, remedy: str) -> None:
    check_sentence(UserError(f"it has {what} in it", where=f"x.png{where}", remedy=remedy), "x.png")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb.png", r"a\nb.png"),
        ("a\x1b[2Jb.png", r"a\x1b[2Jb.png"),
        ("a\u2028b.png", r"a\u2028b.png"),
        ("a\u202egnp.b", r"a\u202egnp.b"),
        ("a\udcffb.png", r"a\udcffb.png"),
        ("ä b\u202fç 数.png", "ä b\u202fç 数.png"),
    ],
)
def test_a_name_is_shown_as_it_is_but_for_what_would_not_print(name: str, shown: str) -> None:
    assert str(UserError("is odd", where=name, remedy="rename it")) == f"{shown}: is odd; rename it."


def test_of_a_long_text_both_ends_are_shown() -> None:
    sentence = str(UserError("a" * 400 + "b" * 9000 + "c" * 400, where="x"))
    assert sentence.startswith("x: aaa")
    assert " … " in sentence
    assert sentence.endswith("ccc.")
