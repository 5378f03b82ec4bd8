"""The difference between two texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.text import Text
from collab.text.difference import difference

TEXTS = st.text(st.sampled_from("ab \n😀😁"), max_size=30)


def over(old: str, new: str) -> str:
    """The difference in short: what is kept as it is, `[-deleted+inserted]`."""
    written, at = "", 0
    units = Text.of(old)
    for count, insert in difference(old, new).sections:
        piece = str(Text.of_units(units.slice(at, at + count)))
        at += count
        written += piece if insert is None else f"[-{piece}+{Text.of_units(insert)}]"
    return written


@given(TEXTS, TEXTS)
def test_the_difference_makes_the_one_text_of_the_other(old: str, new: str) -> None:
    assert str(difference(old, new).apply(Text.of(old))) == new


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", ""),
        ("same", "same", "same"),
        ("", "new", "[-+new]"),
        ("old", "", "[-old+]"),
        ("a cat sat", "a dog sat", "a [-cat+dog] sat"),
        ("😀", "😁", "[-😀+😁]"),
        ("aa", "aaa", "aa[-+a]"),
        ("one\ntwo\n", "zero\none\ntwo\nthree\n", "[-+zero\n]one\ntwo[-+\nthree]\n"),
        ("x one y two z", "X one Y two Z", "[-x+X] one [-y+Y] two [-z+Z]"),
        ("a\nb\nc\n", "c\na\nb\n", "[-+c\n]a\nb[-\nc+]\n"),
    ],
)
def test_what_both_texts_have_is_kept(old: str, new: str, expected: str) -> None:
    """H6."""
    assert over(old, new) == expected


def test_long_texts_that_differ_everywhere_take_no_long_time() -> None:
    old = "".join(f"line {n} of the old text\n" for n in range(20_000))
    new = "".join(f"line {n} of the new text\n" for n in range(20_000, 0, -1))
    assert str(difference(old, new).apply(Text.of(old))) == new


@given(TEXTS, TEXTS, st.integers(1, 9))
def test_a_limit_of_sections_is_kept(old: str, new: str, most: int) -> None:
    change = difference(old, new, most)
    assert len(change.sections) <= most
    assert str(change.apply(Text.of(old))) == new


def test_where_sections_are_limited_the_longest_that_both_have_is_kept() -> None:
    old = "one two\nlonger line\nthree\n"
    new = "One two\nlonger line\nThree\n"
    assert len(difference(old, new).sections) == 4
    assert difference(old, new, 3).sections == ((1, "O"), (19, None), (6, "Three\n"))
