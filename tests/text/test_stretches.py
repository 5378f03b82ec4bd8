"""A change in stretches does what the change does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import InvalidChange
from collab.text import Change, stretches
from collab.text.stretches import Stretches
from tests.text.test_laws import TEXTS, after, chains, changes


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "SIZE", 1)


LONG = st.lists(TEXTS, min_size=3, max_size=3).map("".join)


@given(st.data(), LONG)
def test_what_is_carried_over_it_makes_the_same_text_on_both_ways(
    data: st.DataObject, text: str
) -> None:
    mine = data.draw(chains(text, 4))
    other = data.draw(changes(text))
    cut = Stretches(other)
    over = after(text, other)
    for change in mine:
        text = after(text, change)
        over = after(over, cut.carry(change))
        assert over == after(text, cut.change)


@given(st.data(), LONG)
def test_what_is_added_is_done_after_it(data: st.DataObject, text: str) -> None:
    first, *later = data.draw(chains(text, 5))
    cut = Stretches(first)
    for change in later:
        cut.add(change)
    assert after(text, cut.change) == after(text, first, *later)


def test_one_of_another_text_is_refused() -> None:
    cut = Stretches(Change.replace(5, 2, 3, "x"))
    for length in (4, 6):
        with pytest.raises(InvalidChange):
            cut.carry(Change.replace(length, 1, 1, "y"))
