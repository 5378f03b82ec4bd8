"""What servers do with what they heard and the order has lost."""

from __future__ import annotations

import pytest

from collab.log.entry import Entry
from collab.log.rebase import MAX_BASE_DISTANCE
from collab.rooms import chain
from collab.rooms.chain import Reorder, heard_since
from collab.rooms.room import Copied, Room, Settled
from collab.text import Change, stretches
from tests.rooms.lost import BEFORE, Sets, World, new_room, take, told

SEEDS = range(100)


def check(world: World, *, every_deletion: bool) -> None:
    """Every update of a chain is in the text exactly once, unless its client was told otherwise."""
    end = world.run()
    text = str(end.text)
    assert len(set(text)) == len(text), "a character is there twice"
    for loser in world.losers:
        assert (str(loser.room.text), loser.room.mark) == (text, end.mark)

    sets = Sets()
    fate: dict[tuple[str, int], bool] = {}  # whether the first entry in the order took effect
    places: dict[tuple[str, int], int] = {}
    for made, before in told(world.log):
        name = made.client, made.seq
        if made.refusal is None:
            assert name not in places, "a push took effect twice"
            places[name] = made.first
            sets.note(made, before)
        else:
            assert isinstance(made.refusal, (Copied, Settled))
        fate.setdefault(name, made.refusal is None)

    lost, due, overtaken = Sets(), set(), False
    for loser in world.losers:
        for made, before in told(loser.log):
            lost.note(made, before)
        due |= {name for name in loser.due if fate[name]}
        assert all(fate[name] or name not in places for name in loser.due)
        order = [places[name] for name in loser.due if name in due]
        overtaken |= order != sorted(order)
    assert every_deletion is False or not overtaken
    taken = set().union(*sets.took.values(), *(lost.took[name] for name in lost.took))
    for name in due:
        missing = lost.put[name] - set(text)
        assert missing <= taken, f"{name} is not whole: {missing}"
        kept = lost.took[name] & set(text)
        if every_deletion:
            assert not kept, f"{name} did not delete {kept}"
        assert not kept & set(BEFORE), f"{name} did not delete {kept}"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_slept_is_in_the_text_exactly_once(seed: int) -> None:
    check(World(seed), every_deletion=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_deleted_stays_deleted_where_nothing_overtakes(seed: int) -> None:
    check(World(seed, copies=False, settled=False), every_deletion=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_so_it_is_where_much_was_ordered_meanwhile(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "MAX_BEHIND", 2)
    monkeypatch.setattr(stretches, "SIZE", 2)
    check(World(seed), every_deletion=False)


def entry(client: str, seq: int, base: int | None, *updates: object) -> Entry:
    changes = tuple(Change.from_json(update) for update in updates)
    return Entry(client, seq, base, changes, author=f"{client}'s author", at=seq)


START = entry("s", 1, 0, [[0, "abcdef"]])


def parted(lost: list[Entry], order: list[Entry]) -> tuple[Reorder, Room]:
    rooms = new_room(), new_room()
    for room, rest in zip(rooms, (lost, order), strict=True):
        for each in (START, *rest):
            take(room, each)
    common = rooms[0].history.common(rooms[1].history)
    assert common == 1
    heard = heard_since(rooms[1].history, common)
    return Reorder(rooms[0].history, common, heard), rooms[1]


def follow(reorder: Reorder, room: Room, *entries: Entry) -> None:
    for each in entries:
        reorder.ordered(take(room, each))


def drain(reorder: Reorder, room: Room) -> list[Entry]:
    asked = []
    while (each := reorder.next()) is not None:
        asked.append(each)
        follow(reorder, room, each)
    assert reorder.done
    return asked


def test_what_was_lost_is_ordered_again_with_its_client_seq_author_and_time() -> None:
    lost = [
        entry("ada", 7, 1, [6, [0, "!"]], [7, [0, "?"]]),
        entry("eve", 3, None),
        entry("bob", 2, 3, [[1, "A"], 7]),
    ]
    reorder, room = parted(lost, [entry("xia", 1, 1, [[0, ">"], 6])])
    asked = drain(reorder, room)
    assert str(room.text) == ">Abcdef!?"
    assert [(each.client, each.seq, each.base, each.author, each.at) for each in asked] == [
        ("ada", 7, 2, "ada's author", 7),
        ("bob", 2, 4, "bob's author", 2),
    ]


def test_one_entry_is_in_flight_at_a_time() -> None:
    reorder, room = parted(
        [entry("ada", 1, 1, [6, [0, "1"]]), entry("ada", 2, 2, [7, [0, "2"]])], []
    )
    first = reorder.next()
    assert first is not None
    assert reorder.next() is None
    follow(reorder, room, entry("xia", 1, 1, [[0, ">"], 6]))
    assert reorder.next() is None
    follow(reorder, room, first)
    second = reorder.next()
    assert second is not None
    assert (second.client, second.seq, second.base) == ("ada", 2, 3)


def test_what_was_settled_is_its_clients_and_what_others_typed_into_it_stays() -> None:
    lost = [entry("ada", 1, 1, [3, [0, "long"], 3]), entry("bob", 1, 2, [5, [0, "--"], 5])]
    reorder, room = parted(lost, [])
    assert str(room.text) == "abcdef"
    follow(reorder, room, entry("ada", 1, None))
    (asked,) = drain(reorder, room)
    assert (asked.client, asked.seq) == ("bob", 1)
    assert str(room.text) == "abc--def"


def test_what_another_server_ordered_again_is_not_ordered_twice() -> None:
    lost = [entry("ada", number, number, [5 + number, [0, str(number)]]) for number in (1, 2, 3)]
    reorder, room = parted(lost, [])
    other, _ = parted(lost, [])
    first = reorder.next()
    theirs = other.next()
    assert first is not None
    assert theirs is not None
    follow(reorder, room, theirs, first)
    assert [each.seq for each in drain(reorder, room)] == [2, 3]
    assert str(room.text) == "abcdef123"


def test_a_push_that_comes_too_late_is_kept_under_another_name_the_same_everywhere() -> None:
    lost = [entry("ada", 1, 1, [6, [0, "1"]], [7, [0, "2"]]), entry("bob", 1, 3, [8, [0, "3"]])]
    (one, room), (two, same) = parted(lost, []), parted(lost, [])
    late = one.next()
    assert late is not None
    many = [entry("xia", 2 + number, 1 + number, [6]) for number in range(MAX_BASE_DISTANCE + 1)]
    for reorder, followed in ((one, room), (two, same)):
        follow(reorder, followed, *many, late)
    again, theirs = one.next(), two.next()
    assert again is not None
    assert again == theirs
    assert again.client != "ada"
    assert again.author == "ada's author"
    follow(one, room, again, theirs)
    assert [each.client for each in drain(one, room)] == ["bob"]
    assert str(room.text) == "abcdef123"


def test_a_long_chain_over_a_long_order_is_done_in_small_steps() -> None:
    lost = [entry("ada", number, number, [5 + number, [0, "x"]]) for number in range(1, 1_001)]
    order = [entry("xia", number, number, [[0, "y"], 5 + number]) for number in range(1, 1_001)]
    reorder, room = parted(lost, order)
    steps = 0
    while reorder.step():
        steps += 1
    assert steps == 1_001  # an update that is heard each, and one to bring the first up to date
    drain(reorder, room)
    assert str(room.text) == "y" * 1_000 + "abcdef" + "x" * 1_000
