"""What everybody in a room may do is looked at again whenever it may have changed (X2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from collab.access.roles import Role, Standing
from collab.access.tokens import Identity
from collab.errors import NotFound, NotReady
from collab.rooms.containment import Containment
from collab.rooms.standings import PAUSE_S, REMEMBERED, RETRY_MAX_S, Seen, Standings
from tests.rooms.looking import Access
from tests.rooms.neighbouring import now, played

if TYPE_CHECKING:
    from collections.abc import Mapping

EDITOR = Standing(Role.EDITOR)


class Holder:
    """Writes down what it is told."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.claims = False
        self.told: list[Role | None] = []
        self.told_at = 0.0

    def role_changed(self, standing: Standing) -> None:
        self.told.append(standing.role)
        self.told_at = now()


def identity(user_id: str, roles: Mapping[str, Role] | None = None) -> Identity:
    return Identity(user_id, user_id, True, 2**40, "a sign-in", 0, roles or {})


class Room:
    def __init__(self) -> None:
        self.access = Access()
        self.gone: list[bool] = []
        self.failed: list[bool] = []
        contained = Containment(lambda: self.failed.append(True))
        self.standings = Standings("d", self.access, contained, lambda: self.gone.append(True))

    async def join(self, user_id: str) -> Holder:
        seen = await self.standings.of(identity(user_id))
        return self.admit(user_id, seen)

    def admit(self, user_id: str, seen: Seen) -> Holder:
        holder = Holder(user_id)
        self.standings.join(holder, seen)
        return holder


async def settled() -> None:
    """Long enough for a look, and whatever follows from it."""
    await asyncio.sleep(3 * PAUSE_S)


@played
async def test_x2_a_change_is_told_to_everybody_by_one_look() -> None:
    room = Room()
    ada, bob, tab = await room.join("ada"), await room.join("bob"), await room.join("bob")
    room.access.looks.clear()
    room.access.change("bob", Role.VIEWER)
    room.standings.look()
    await settled()
    assert room.access.looks == [{"ada", "bob"}]
    assert [ada.told, bob.told, tab.told] == [[Role.EDITOR], [Role.VIEWER], [Role.VIEWER]]


@played
async def test_x2_who_has_no_standing_is_not_let_in() -> None:
    room = Room()
    room.access.change("ada", None)
    with pytest.raises(NotFound):
        await room.standings.of(identity("ada"))
    room.access.error = OSError()
    with pytest.raises(NotReady):
        await room.standings.of(identity("ada"))


@played
async def test_x2_changes_that_come_during_a_look_lead_to_one_more() -> None:
    """And it finds the last of them."""
    room = Room()
    ada = await room.join("ada")
    room.access.looks.clear()
    room.access.answering.clear()
    for role in (Role.COMMENTER, Role.OWNER, Role.COMMENTER, Role.VIEWER):
        room.access.change("ada", role)
        room.standings.look()
        await asyncio.sleep(0)
    room.access.answering.set()
    await settled()
    assert len(room.access.looks) == 2
    assert ada.told == [Role.COMMENTER, Role.VIEWER]


@played
async def test_x2_a_flood_of_changes_is_looked_at_now_and_then() -> None:
    room = Room()
    ada = await room.join("ada")
    room.access.looks.clear()
    started = now()
    for number in range(1_000):
        room.access.change("ada", Role.VIEWER if number % 2 else Role.EDITOR)
        room.standings.look()
        await asyncio.sleep(0.001)
    await settled()
    assert len(room.access.looks) <= (now() - started) / PAUSE_S + 1
    assert ada.told[-1] == Role.VIEWER


@played
async def test_x2_a_handshake_that_overlaps_a_change_is_looked_at_again() -> None:
    """It was let in by what the database had before the change, and nobody else is there."""
    room = Room()
    seen = await room.standings.of(identity("ada"))
    room.access.change("ada", None)
    room.standings.look()
    await settled()
    ada = room.admit("ada", seen)
    await settled()
    assert ada.told == [None]


@played
async def test_x2_a_handshake_that_joins_during_a_look_is_looked_at_again() -> None:
    room = Room()
    seen = await room.standings.of(identity("ada"))
    room.access.change("ada", Role.VIEWER)
    room.access.answering.clear()
    room.standings.look()
    await settled()
    ada = room.admit("ada", seen)
    room.access.answering.set()
    await settled()
    assert ada.told == [Role.VIEWER]


@played
async def test_x2_who_comes_with_a_newer_version_makes_everybody_be_looked_at() -> None:
    """Nobody told of the change."""
    room = Room()
    ada = await room.join("ada")
    room.access.change("ada", Role.VIEWER)
    bob = await room.join("bob")
    await settled()
    assert (ada.told, bob.told) == ([Role.VIEWER], [Role.EDITOR])


@played
async def test_x2_another_version_in_the_database_is_looked_at_and_the_same_one_is_not() -> None:
    room = Room()
    ada = await room.join("ada")
    room.access.looks.clear()
    room.standings.compare(0)
    await settled()
    assert room.access.looks == []
    room.access.change("ada", Role.VIEWER)
    room.standings.compare(1)
    await settled()
    assert ada.told == [Role.VIEWER]
    room.access.version = 0  # the database was put back
    room.standings.compare(0)
    await settled()
    assert len(room.access.looks) == 2


@played
async def test_x2_what_was_known_holds_until_the_database_answers() -> None:
    room = Room()
    ada = await room.join("ada")
    room.access.change("ada", None)
    room.access.error = OSError("the database is away")
    room.standings.look()
    await asyncio.sleep(60)
    assert ada.told == []
    assert len(room.access.looks) < 60 / (RETRY_MAX_S / 4)
    room.access.error = None
    await asyncio.sleep(RETRY_MAX_S)
    assert ada.told == [None]


@played
async def test_x2_a_document_that_is_gone_is_deleted_here_too() -> None:
    room = Room()
    await room.join("ada")
    room.access.version = None
    room.standings.look()
    await settled()
    assert room.gone == [True]


@played
async def test_x2_a_standing_that_ends_is_looked_at_when_its_time_is_over() -> None:
    room = Room()

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.005)
            room.access.now += 5

    ticking = asyncio.create_task(tick())
    room.access.change("ada", Role.EDITOR, until=9_000)
    room.access.change("bob", Role.EDITOR, until=5_000)
    started = now()
    ada, bob = await room.join("ada"), await room.join("bob")
    await asyncio.sleep(7)
    assert (ada.told, bob.told) == ([Role.EDITOR], [None])
    assert 4.0 <= bob.told_at - started < 4.1
    room.standings.leave(bob)
    await asyncio.sleep(3)
    assert ada.told[-1] is None
    assert 8.0 <= ada.told_at - started < 8.1
    ticking.cancel()


@played
async def test_x2_a_standing_that_ended_unnoticed_is_found_by_the_comparison() -> None:
    """The clock was put forward."""
    room = Room()
    room.access.change("ada", Role.EDITOR, until=1_000_000)
    ada = await room.join("ada")
    room.access.now = 2_000_000
    room.standings.compare(1)
    await settled()
    assert ada.told == [None]


@played
async def test_x2_who_has_a_role_by_token_is_not_looked_at() -> None:
    room = Room()
    room.access.change("ada", None)
    ada = room.admit("ada", await room.standings.of(identity("ada", {"*": Role.VIEWER})))
    ada.claims = True
    room.standings.look()
    await settled()
    assert ada.told == []
    ada.claims = False  # its next token says nothing
    room.standings.look()
    await settled()
    assert ada.told == [None]


@played
async def test_x2_nothing_is_looked_at_in_a_room_that_is_closed() -> None:
    room = Room()
    ada = await room.join("ada")
    room.access.change("ada", Role.EDITOR, until=2_000)
    room.standings.look()
    await settled()
    room.standings.close()
    looks = len(room.access.looks)
    room.standings.look()
    room.admit("bob", Seen(EDITOR, 0))
    await asyncio.sleep(5)
    assert len(room.access.looks) == looks
    assert ada.told == [Role.EDITOR]


@played
async def test_what_somebody_may_do_who_has_left_is_known_until_it_may_have_changed() -> None:
    room = Room()
    ada = await room.join("ada")
    room.standings.leave(ada)
    seen = room.standings.recall(identity("ada"))
    assert seen == Seen(Standing(Role.EDITOR), 0)
    assert room.standings.recall(identity("bob")) is None
    room.access.error = OSError()
    room.access.change("ada", None)
    room.standings.look()
    assert room.standings.recall(identity("ada")) is None
    room.access.error = None
    await room.standings.looked()
    await settled()
    assert room.standings.recall(identity("ada")) is None


@played
async def test_whoever_is_here_can_be_recalled_as_they_were_seen_last() -> None:
    room = Room()
    await room.join("ada")
    room.access.change("ada", Role.VIEWER)
    room.standings.look()
    await settled()
    assert room.standings.recall(identity("ada")) == Seen(Standing(Role.VIEWER), 1)
    room.access.change("ada", None)
    room.standings.look()
    await settled()
    assert room.standings.recall(identity("ada")) is None


@played
async def test_nobody_is_recalled_whose_time_is_over() -> None:
    room = Room()
    room.access.standings["ada"] = Standing(Role.EDITOR, until=room.access.now + 10_000)
    room.standings.leave(await room.join("ada"))
    assert room.standings.recall(identity("ada")) is not None
    room.access.now += 10_000
    assert room.standings.recall(identity("ada")) is None


@played
async def test_who_has_a_role_by_token_is_recalled_by_their_present_token() -> None:
    room = Room()
    claims = {"*": Role.VIEWER}
    room.admit("ada", await room.standings.of(identity("ada", claims)))
    assert room.standings.recall(identity("ada", {"d": Role.EDITOR})) == Seen(
        Standing(Role.EDITOR), None
    )
    assert room.standings.recall(identity("ada")) is None
    assert room.standings.recall(identity("bob", claims)) is None


@played
async def test_a_room_remembers_so_many_people_and_no_more() -> None:
    room = Room()
    seen = Seen(Standing(Role.EDITOR), 0)
    for number in range(REMEMBERED + 1):
        room.standings.leave(room.admit(f"user {number}", seen))
    assert len(room.standings) == REMEMBERED
    assert room.standings.recall(identity("user 0")) is None
    assert room.standings.recall(identity("user 1")) == seen
