"""What servers do with what they heard and the order has lost."""

from __future__ import annotations

import pytest

from collab.rooms.room import Copied, Settled
from tests.rooms.lost import BEFORE, Sets, World, told

SEEDS = range(150)


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
