"""The room as a function of its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import InvalidChange, Refusal, Stale
from collab.log.entry import Entry, Point, first_mark, next_mark
from collab.log.rebase import MAX_BASE_DISTANCE
from collab.rooms.history import SLACK, History
from collab.rooms.room import Copied, Room
from collab.text import Change, Text

if TYPE_CHECKING:
    from collab.log.entry import Ordered

START = first_mark("a document")


def new_room() -> Room:
    return Room(Text.empty(), History(Point(0, START, 0)))


def entry(client: str, seq: int, base: int | None, *updates: Any) -> Entry:
    changes = tuple(Change.from_json(update) for update in updates)
    return Entry(client, seq, base, changes, author="somebody", at=1)


def take(room: Room, *entries: Entry) -> list[Ordered]:
    return [room.apply(each, next_mark(room.mark, each.encode())) for each in entries]


def outcome(made: Ordered) -> tuple[object, ...]:
    return made.first, made.last, made.mark, made.changes, str(made.text), str(made.refusal)


def test_the_same_log_makes_the_same_text_marks_and_messages() -> None:
    log = [
        entry("ada", 1, 0, [[0, "Hello"]]),
        entry("bob", 1, 0, [[0, "World"]]),
        entry("ada", 2, 1, [5, [0, ", "]]),
        entry("bob", 2, 0, [3]),  # no change of that text
        entry("eve", 1, None),  # a settling entry
        entry("bob", 3, 4, [[1], 11], [11, [0, "!"]]),
    ]
    one, other = new_room(), new_room()
    assert [outcome(made) for made in take(one, *log)] == [
        outcome(made) for made in take(other, *log)
    ]
    assert str(one.text) == str(other.text) == "elloWorld, !"
    assert one.mark == other.mark
    items = one.history.items(0, one.revision, 10**6)
    assert items == other.history.items(0, other.revision, 10**6)


def test_a_void_entry_takes_its_revisions_with_empty_changes() -> None:
    """U3."""
    room = new_room()
    take(room, entry("ada", 1, 0, [[0, "abc"]]))
    (made,) = take(room, entry("bob", 1, 1, [3], [99]))
    assert isinstance(made.refusal, InvalidChange)
    assert (made.first, made.last) == (2, 3)
    assert str(room.text) == "abc"
    assert room.history.items(1, 3, 10**6)[0] == b'["",0,[3]],["",0,[3]]'


@pytest.mark.parametrize("first_is_void", [False, True])
def test_p4_a_copy_takes_no_effect(first_is_void: bool) -> None:
    """Any entry of a client and seq, void or not, makes a later one void."""
    room = new_room()
    take(room, entry("ada", 1, 0, [[0, "x"]]))
    push = entry("bob", 1, 0 if first_is_void else 1, [1, [0, "y"]])
    first, second = take(room, push, push)
    assert first.void == first_is_void
    assert isinstance(second.refusal, Refusal)
    assert str(room.text) == ("x" if first_is_void else "xy")


def test_h7_a_push_that_comes_after_its_settling_entry_is_void() -> None:
    room = new_room()
    settled, late = take(room, entry("ada", 1, None), entry("ada", 1, 0, [[0, "late"]]))
    assert settled.void
    assert isinstance(late.refusal, Copied)
    assert not room.history.took_effect("ada", 1)
    assert str(room.text) == ""


def test_h7_a_settling_entry_that_comes_after_its_push_changes_nothing() -> None:
    room = new_room()
    take(room, entry("ada", 1, 0, [[0, "kept"]]), entry("ada", 1, None))
    assert room.history.took_effect("ada", 1)
    assert str(room.text) == "kept"


def test_judging_changes_nothing() -> None:
    room = new_room()
    before = room.revision, room.mark, room.text
    assert str(room.judge(entry("ada", 1, 0, [[0, "abc"]]))) == "abc"
    with pytest.raises(InvalidChange):
        room.judge(entry("ada", 1, 1, [[0, "abc"]]))
    assert (room.revision, room.mark, room.text) == before


def test_what_was_judged_is_judged_again_when_another_entry_came_first() -> None:
    room = new_room()
    push = entry("ada", 1, 0, [[0, "abc"]])
    room.judge(push)
    take(room, entry("bob", 1, 0, [[0, "x"]]))
    take(room, push)
    assert str(room.text) == "xabc"


def test_p5_a_base_may_lie_10_000_revisions_back_and_no_further() -> None:
    room = new_room()
    take(room, *(entry("ada", seq, seq, [[0]]) for seq in range(MAX_BASE_DISTANCE)))
    assert room.judge(entry("bob", 1, 0, [[0, "x"]]))
    take(room, entry("ada", MAX_BASE_DISTANCE, MAX_BASE_DISTANCE, [[0]]))
    with pytest.raises(Stale):
        room.judge(entry("bob", 1, 0, [[0, "x"]]))


def test_p5_verdicts_do_not_depend_on_how_much_history_a_server_keeps() -> None:
    """One that has just opened the document and one that has long had it open agree."""
    long_open = new_room()
    marks = [START]
    for seq in range(MAX_BASE_DISTANCE + SLACK - 1):
        take(long_open, entry("ada", seq, seq, [[0]]))
        marks.append(long_open.mark)
    assert long_open.history.start == 0
    just_opened = Room(long_open.text, _tail_of(long_open, marks))
    for base in (SLACK - 2, SLACK - 1, SLACK):
        verdicts = []
        for room in (long_open, just_opened):
            try:
                verdicts.append(str(room.judge(entry("bob", 1, base, [[0, "x"]]))))
            except Refusal as refusal:
                verdicts.append(refusal.code)
        assert verdicts[0] == verdicts[1]
        assert (verdicts[0] == "stale") == (base < SLACK - 1)


def _tail_of(room: Room, marks: list[str]) -> History:
    start = room.revision - MAX_BASE_DISTANCE
    weight = start * room.history.end.weight // room.revision
    history = History(Point(start, marks[start], weight))
    replayed = Room(room.text, history)
    take(replayed, *(entry("ada", seq, seq, [[0]]) for seq in range(start, room.revision)))
    assert replayed.mark == room.mark
    return history


def test_p5_a_rebase_that_costs_too_much_is_stale_and_can_be_pushed_again_later() -> None:
    room = new_room()
    take(room, entry("ada", 1, 0, [[0, "x" * 4_000]]))
    wide: list[Any] = [[1, "y"], 1] * 2_000
    take(room, *(entry("ada", seq, seq - 1, wide) for seq in range(2, 102)))
    with pytest.raises(Stale):
        room.judge(entry("bob", 1, 1, [4_000]))
    assert room.judge(entry("bob", 1, 80, [4_000]))


@pytest.mark.parametrize(
    "push",
    [
        entry("bob", 1, 2, [1]),
        entry("bob", 1, 1),
        entry("bob", 1, 1, [2]),
        entry("bob", 1, 0, [1]),
        entry("bob", 1, 1, [1], [2]),
    ],
)
def test_p5_what_is_no_change_of_the_text_is_invalid(push: Entry) -> None:
    room = new_room()
    take(room, entry("ada", 1, 0, [[0, "x"]]))
    with pytest.raises(InvalidChange):
        room.judge(push)


@given(st.data())
def test_a_push_whose_update_cuts_a_pair_is_void_as_a_whole(data: st.DataObject) -> None:
    """T5, P1: all of a push or nothing."""
    room = new_room()
    take(room, entry("ada", 1, 0, [[0, "a😀b"]]))
    cut = data.draw(st.sampled_from([[2, [0, "x"], 2], [[2], 2], [2, [2]], [1, [1, "y"], 2]]))
    good: list[Any] = [[4]] * data.draw(st.integers(0, 2))
    (made,) = take(room, entry("bob", 1, 1, *good, cut))
    assert made.void
    assert str(room.text) == "a😀b"
