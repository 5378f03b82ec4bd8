"""The difference between two texts, and the cutting of large changes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collab.client.cut import cut
from collab.client.difference import difference
from collab.errors import TooLarge
from collab.text import Change, Text, to_units

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


@UNHURRIED
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


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, Change]:
    pieces = draw(st.lists(st.tuples(TEXTS, st.none() | TEXTS), max_size=8))
    sections = tuple(
        (len(to_units(text)), insert if insert is None else to_units(insert))
        for text, insert in pieces
        if text or insert is not None
    )
    return "".join(text for text, _ in pieces), Change(sections)


@UNHURRIED
@given(changes(), st.integers(3, 8), st.integers(120, 400))
def test_the_pieces_of_a_cut_change_do_what_it_does_within_the_limits(
    text_and_change: tuple[str, Change], max_sections: int, max_bytes: int
) -> None:
    """L2, T5."""
    text, change = text_and_change
    now = Text.of(text)
    for piece in cut(change, max_sections, max_bytes):
        assert len(piece.sections) <= max_sections
        assert len(msgspec.json.encode(piece.to_json())) <= max_bytes
        now = piece.apply(now)
    assert now == change.apply(Text.of(text))


def test_a_limit_without_room_for_a_character_is_told() -> None:
    with pytest.raises(TooLarge):
        cut(Change.replace(0, 0, 0, "a"), 2, 1_000)
    with pytest.raises(TooLarge):
        cut(Change.replace(0, 0, 0, "a"), 3, 50)
