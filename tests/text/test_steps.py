"""Where splices come to over many others, by one look."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import InvalidChange
from collab.text import Change
from collab.text.steps import Steps


@st.composite
def splices(draw: st.DrawFn, length: int) -> Change:
    start = draw(st.integers(0, length))
    end = draw(st.integers(start, min(start + 4, length)))
    return Change.replace(length, start, end, draw(st.sampled_from(["", "x", "xyz"])))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Change, list[Change]]:
    """A splice, and others of the same text, which follow one another."""
    length = draw(st.integers(0, 12))
    one = draw(splices(length))
    others = []
    for _ in range(draw(st.integers(1, 8))):
        others.append(draw(splices(length)))
        length = others[-1].new_length
    return one, others


@given(pairs())
def test_the_short_ways_lead_where_mapping_over_one_after_the_other_leads(
    pair: tuple[Change, list[Change]],
) -> None:
    one, others = pair
    mapped = reduce(Change.map, others, one)
    by_steps = one.map_by(Steps(others))
    assert one.map_over(others) in (mapped, None)
    assert by_steps in (mapped, None)
    if by_steps is None:
        assert one.splice is not None
        assert one.splice[1], "only a deletion is too much for steps"


def test_steps_tell_where_a_deletion_comes_to_that_nobody_touches() -> None:
    steps = Steps([Change.replace(10, 2, 3, "abc"), Change.replace(12, 11, 12, "")])
    assert Change.replace(10, 5, 7, "x").map_by(steps) == Change.replace(11, 7, 9, "x")
    assert Change.replace(10, 2, 4, "x").map_by(steps) is None


def test_only_splices_of_a_text_make_its_steps() -> None:
    with pytest.raises(ValueError, match="splice"):
        Steps([Change.empty(3)])
    with pytest.raises(InvalidChange):
        Change.replace(4, 0, 0, "x").map_by(Steps([Change.replace(3, 0, 0, "x")]))
