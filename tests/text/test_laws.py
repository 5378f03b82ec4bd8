"""The laws that the algebra keeps, over random changes."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from collab.errors import InvalidChange
from collab.text import Change, Text, to_units
from collab.text.algebra import map_sections

ALPHABET = st.sampled_from("ab\n😀")
TEXTS = st.text(ALPHABET, max_size=12)
INSERTS = st.text(ALPHABET, max_size=3)


PIECES = st.lists(st.tuples(st.integers(0, 4), st.none() | INSERTS), max_size=8)


@st.composite
def changes(draw: st.DrawFn, text: str) -> Change:
    """Any change of the text that cuts no pair."""
    sections: list[Any] = []
    for size, insert in [*draw(PIECES), (len(text), None)]:
        units = len(to_units(text[:size]))
        text = text[size:]
        sections.append(units if insert is None else [units, *insert.split("\n")])
    return Change.from_json(sections)


@st.composite
def splices(draw: st.DrawFn, text: str) -> Change:
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, len(text)))
    before, middle, after = (
        len(to_units(part)) for part in (text[:start], text[start:end], text[end:])
    )
    return Change.from_json([before, [middle, *draw(INSERTS).split("\n")], after])


@st.composite
def chains(draw: st.DrawFn, text: str, count: int) -> list[Change]:
    """Changes, each of the text that the one before it makes."""
    chain: list[Change] = []
    for _ in range(count):
        chain.append(draw(changes(text)))
        text = after(text, chain[-1])
    return chain


def after(text: str, *chain: Change) -> str:
    for change in chain:
        text = str(change.apply(Text.of(text)))
    return text


@given(st.data(), TEXTS)
def test_apply_does_what_the_sections_say(data: st.DataObject, text: str) -> None:
    change = data.draw(changes(text))
    units, made, pos = to_units(text), "", 0
    for length, insert in change.sections:
        made += units[pos : pos + length] if insert is None else insert
        pos += length
    assert to_units(after(text, change)) == made
    assert change.length == len(units)
    assert change.new_length == len(made)


@given(st.data(), TEXTS)
def test_two_concurrent_changes_meet(data: st.DataObject, text: str) -> None:
    a, b = data.draw(changes(text)), data.draw(changes(text))
    assert after(text, a, b.map(a)) == after(text, b, a.map(b, before=True))
    assert after(text, a.compose(b.map(a))) == after(text, b.compose(a.map(b, before=True)))


@given(st.data(), TEXTS)
def test_a_composition_does_what_its_parts_do(data: st.DataObject, text: str) -> None:
    a, b, c = data.draw(chains(text, 3))
    made = after(text, a, b, c)
    assert after(text, a.compose(b), c) == made
    assert after(text, a.compose(b).compose(c)) == made
    assert after(text, a.compose(b.compose(c))) == made


@given(st.data(), TEXTS)
def test_the_inverse_leads_back(data: st.DataObject, text: str) -> None:
    change = data.draw(changes(text))
    back = change.invert(Text.of(text))
    assert after(text, change, back) == text
    assert after(text, change.compose(back)) == text
    assert back.invert(change.apply(Text.of(text))) == change


@given(st.data(), TEXTS)
def test_the_inverse_of_a_composition_runs_backwards(data: st.DataObject, text: str) -> None:
    a, b = data.draw(chains(text, 2))
    made = after(text, a, b)
    back = b.invert(a.apply(Text.of(text))).compose(a.invert(Text.of(text)))
    assert after(made, back) == text


@given(st.data(), TEXTS)
def test_a_kept_unit_is_where_map_position_says(data: st.DataObject, text: str) -> None:
    change = data.draw(changes(text))
    old, new, pos = to_units(text), to_units(after(text, change)), 0
    for length, insert in change.sections:
        for kept in range(pos, pos + length) if insert is None else ():
            assert new[change.map_position(kept, 1)] == old[kept]
        pos += length
    for assoc in (-1, 1):
        mapped = [change.map_position(pos, assoc) for pos in range(len(old) + 1)]
        assert mapped == sorted(mapped)
        assert 0 <= mapped[0] <= mapped[-1] <= len(new)


@given(st.data(), TEXTS, st.booleans())
def test_the_short_way_of_two_splices_is_the_law(
    data: st.DataObject, text: str, before: bool
) -> None:
    a, b = data.draw(splices(text)), data.draw(splices(text))
    assert a.map(b, before).sections == map_sections(a.sections, b.sections, before=before)


def test_the_short_way_is_the_law_for_every_pair_of_small_splices() -> None:
    for length in range(5):
        all_splices = [
            Change.replace(length, start, end, insert)
            for start in range(length + 1)
            for end in range(start, length + 1)
            for insert in ("", "x", "yz")
        ]
        for a in all_splices:
            for b in all_splices:
                for before in (False, True):
                    law = map_sections(a.sections, b.sections, before=before)
                    mapped = a.map(b, before)
                    assert mapped.sections == law, (a, b, before)
                    assert (mapped.length, mapped.new_length) == (
                        Change(law).length,
                        Change(law).new_length,
                    )


@given(st.data(), TEXTS)
def test_json_and_back(data: st.DataObject, text: str) -> None:
    a, b = data.draw(changes(text)), data.draw(changes(text))
    for change in (a, b, a.map(b), b.map(a, before=True), a.invert(Text.of(text))):
        assert Change.from_json(change.to_json()) == change


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@example([[0, "\ud83d\ude00"]])
def test_t5_any_json_is_a_change_or_refused(value: object) -> None:
    try:
        change = Change.from_json(value)
    except InvalidChange:
        return
    assert Change.from_json(change.to_json()) == change


# -- T8: rebasing, one update at a time ---------------------------------------------------------


@given(st.data(), TEXTS)
def test_t8_two_histories_meet_one_update_at_a_time(data: st.DataObject, text: str) -> None:
    pushed, ordered = data.draw(chains(text, 3)), data.draw(chains(text, 3))
    rebased, remaining = rebase(pushed, ordered)
    assert after(text, *ordered, *rebased) == after(text, *pushed, *remaining)


def rebase(pushed: list[Change], ordered: list[Change]) -> tuple[list[Change], list[Change]]:
    rebased: list[Change] = []
    for update in pushed:
        remaining: list[Change] = []
        for concurrent in ordered:
            remaining.append(concurrent.map(update, before=True))
            update = update.map(concurrent)
        rebased.append(update)
        ordered = remaining
    return rebased, ordered
