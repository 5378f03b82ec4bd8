"""Rebasing (T8): one update at a time, on both sides."""

from __future__ import annotations

import random
from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import InvalidChange, Stale
from collab.log.blocks import SIZE, WORTH_STEPS, Block, Blocks
from collab.log.entry import encode_json
from collab.log.rebase import (
    REPLACEMENT_WEIGHT,
    rebase,
    rebase_one_by_one,
    weigh,
    weigh_written,
)
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import Sequence


def change(sections: list[Any]) -> Change:
    return Change.from_json(sections)


def over(updates: Sequence[Change], concurrent: Sequence[Change]) -> tuple[Change, ...]:
    return rebase(updates, [Block(concurrent)] if concurrent else [])


# Found by trying: where a server maps over the composition, the editors, who receive one update at
# a time, end with the other text.
CASES = [
    # text, ordered before, the push, its text one at a time, its text over the composition
    ("ab", [[[2]], [[0, "Y"]]], [[[2, "u"]]], "Yu", "uY"),
    ("a", [[[1]], [[0, "Y"]]], [[[0, "u"], 1]], "Yu", "uY"),
    ("abcd", [[2, [2]], [2, [0, "Y"]]], [[2, [0, "u"], 2]], "abYu", "abuY"),
]


@pytest.mark.parametrize(("text", "ordered", "push", "right", "composed"), CASES)
def test_t8_a_push_goes_over_the_history_one_update_at_a_time(
    text: str, ordered: list[Any], push: list[Any], right: str, composed: str
) -> None:
    concurrent = [change(sections) for sections in ordered]
    updates = [change(sections) for sections in push]
    before = reduce(lambda made, update: update.apply(made), concurrent, Text.of(text))

    rebased = over(updates, concurrent)
    assert str(reduce(lambda made, update: update.apply(made), rebased, before)) == right

    whole = reduce(Change.compose, concurrent)
    over_composition = over(updates, [whole])
    made = reduce(lambda made, update: update.apply(made), over_composition, before)
    assert str(made) == composed, "this case would not notice a server that composes"


def test_a_push_on_the_last_revision_stays_as_it_came() -> None:
    updates = (change([1, 1, [0, "x"]]), change([[0], 3]))
    assert over(updates, []) == updates


@pytest.mark.parametrize(
    ("push", "ordered"),
    [([[3]], [[2]]), ([[2], [3]], [[2]]), ([[2], [1]], [[1, [1]]])],
)
def test_t4_lengths_that_do_not_fit_are_invalid(push: list[Any], ordered: list[Any]) -> None:
    with pytest.raises(InvalidChange):
        over([change(each) for each in push], [change(each) for each in ordered])


def test_p5_a_rebase_that_costs_too_much_is_stale_however_it_comes_to_cost_it() -> None:
    """Many updates; wide updates; and a deletion that insertions inside it cut to pieces."""
    splices = [Change.replace(10, 5, 6, "x")] * 10_000
    assert len(over(splices[:4], splices)) == 4
    with pytest.raises(Stale):
        over(splices[:5], splices)
    wide = change([1, [1, "x"]] * 1_000)
    with pytest.raises(Stale):
        over([wide] * 3, [change([2_000])] * 50 + [wide] * 50)
    length, scattered = 4_000, []
    for place in range(1_000):
        scattered.append(Change.replace(length, place * 3 + 1, place * 3 + 1, "x"))
        length += 1
    assert len(over([Change.replace(4_000, 0, 4_000, "")], scattered[:200])) == 1
    with pytest.raises(Stale):
        over([Change.replace(4_000, 0, 4_000, "")], scattered)


@st.composite
def chains(draw: st.DrawFn) -> tuple[str, list[Change], list[Change]]:
    """A text, and two chains of changes that both begin on it."""
    text = draw(st.text("ab\n", max_size=6))
    return text, draw(_chain(len(text))), draw(_chain(len(text)))


@st.composite
def _chain(draw: st.DrawFn, length: int) -> list[Change]:
    made = []
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, length))
        end = draw(st.integers(start, length))
        made.append(Change.replace(length, start, end, draw(st.text("xyz", max_size=3))))
        length = made[-1].new_length
    return made


@given(chains())
def test_t8_both_sides_of_a_rebase_make_the_same_text(
    given_chains: tuple[str, list[Change], list[Change]],
) -> None:
    """Whoever typed the push takes the ordered updates over it, and sees what the server makes."""
    text, concurrent, updates = given_chains
    server = Text.of(text)
    for update in (*concurrent, *over(updates, concurrent)):
        server = update.apply(server)

    editor, pending = Text.of(text), list(updates)
    for update in pending:
        editor = update.apply(editor)
    for ordered in concurrent:
        foreign = ordered
        for place, own in enumerate(pending):
            pending[place], foreign = own.map(foreign), foreign.map(own, before=True)
        editor = foreign.apply(editor)
    assert str(editor) == str(server)


def some_change(rng: random.Random, length: int, *, inserts: bool) -> Change:
    """Nearly always a splice; one that deletes nothing if it `inserts`."""
    start = rng.randint(0, length)
    end = start if inserts else min(start + rng.choice([0, 0, 1, 3]), length)
    if not inserts and start and rng.random() < 0.01:
        return change([[start], [0, "m"], [length - start, "n"]])
    return Change.replace(length, start, end, "xyz"[: rng.randint(inserts, 3)])


def some_chain(rng: random.Random, length: int, count: int, *, inserts: bool) -> list[Change]:
    chain: list[Change] = []
    for _ in range(count):
        chain.append(some_change(rng, length, inserts=inserts))
        length = chain[-1].new_length
    return chain


@pytest.mark.parametrize("seed", range(8))
def test_every_short_way_leads_where_one_by_one_leads(seed: int) -> None:
    """A history as it grows, and pushes from anywhere in it: their sections are the same."""
    rng = random.Random(seed)
    history, blocks = some_chain(rng, rng.randint(0, 30), 3 * SIZE, inserts=seed % 2 == 0), Blocks()
    for _ in range(8 * WORTH_STEPS):
        end = rng.randint(1, len(history))
        base = rng.randint(0, end - 1)
        concurrent, inserts = history[base:end], rng.random() < 0.5
        count = rng.choice([1, 1, 2, 4])
        updates = some_chain(rng, concurrent[0].length, count, inserts=inserts)
        rebased = rebase(updates, blocks.of(base, concurrent))
        one_by_one = rebase_one_by_one(updates, concurrent)
        assert [each.to_json() for each in rebased] == [each.to_json() for each in one_by_one]


sections = st.one_of(
    st.integers(0, 9),
    st.tuples(st.integers(0, 9)).map(list),
    st.builds(
        lambda units, lines: [units, *lines],
        st.integers(0, 9),
        st.lists(st.text(st.sampled_from('a[]",\\é😀\t\x01')), min_size=1, max_size=3),
    ),
)


@given(st.lists(sections, max_size=6))
def test_a_change_weighs_the_same_whether_it_is_read_or_written(value: list[Any]) -> None:
    made = change(value)
    written = encode_json(made.to_json())
    assert weigh(made, written) == weigh_written(written)


def test_a_text_of_brackets_weighs_what_any_text_weighs() -> None:
    for text in ("[" * 1_000, "x" * 1_000):
        made = Change.replace(0, 0, 0, text)
        assert weigh(made, encode_json(made.to_json())) < 1_000 + 3 * REPLACEMENT_WEIGHT
