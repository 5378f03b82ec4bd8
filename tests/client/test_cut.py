"""The cutting of large changes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.client.cut import cut
from collab.errors import TooLarge
from collab.text import Change, Text, to_units

TEXTS = st.text(st.sampled_from("ab \n😀😁"), max_size=30)


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, Change]:
    pieces = draw(st.lists(st.tuples(TEXTS, st.none() | TEXTS), max_size=8))
    sections = tuple(
        (len(to_units(text)), insert if insert is None else to_units(insert))
        for text, insert in pieces
        if text or insert is not None
    )
    return "".join(text for text, _ in pieces), Change(sections)


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
