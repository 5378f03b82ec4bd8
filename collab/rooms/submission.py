"""A push that no session sends: an edit over REST, whose caller waits until it is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from collab.errors import Refusal
from collab.storage import history

if TYPE_CHECKING:
    from collab.log.entry import Entry
    from collab.rooms.open_room import OpenRoom
    from collab.storage.database import Database


class Placed(NamedTuple):
    """Where a push took effect: the last revision that it made, and the units of the text there."""

    revision: int
    length: int


async def submit(room: OpenRoom, entry: Entry) -> Placed:
    """Order a push and wait until it is kept: shown, and on the disk where no other server has it.

    Raises the `Refusal` that says why it is not in the history, or `Unavailable` where the room
    closed before that was known. Who stops waiting takes nothing back.
    """
    author = _Author(room)
    try:
        room.push(entry, author)
    except Refusal as refusal:
        room.counts.pushes[refusal.code] += 1
        raise
    placed = await author.fate
    await room.kept(placed.revision)
    return placed


class _Author:
    """Hears the fate of one push."""

    may_write = True
    """It was asked when the request came in: what changes meanwhile is as if it came later."""

    def __init__(self, room: OpenRoom) -> None:
        self.fate: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        self._room = room

    def ordered(self, seq: int, last: int) -> None:
        if not self.fate.done():
            # Nothing follows the push yet: later its length might not be known any more.
            self.fate.set_result(Placed(last, self._room.length))

    def refused(self, seq: int, refusal: Refusal) -> None:
        if not self.fate.done():
            self.fate.set_exception(refusal)


class Earlier(NamedTuple):
    """What is known of a client's pushes: the largest seq used, and whether it took effect."""

    seq: int
    took_effect: bool


async def earlier(database: Database, room: OpenRoom, client: str) -> Earlier:
    """What became of the pushes of a client that stopped when the first of them took effect.

    Whatever took effect is shown when this returns. Raises `Unavailable` while that cannot be said.
    """
    await room.feed.catch_up()
    since = room.saved_revision
    saved = await history.last_seq(database, room.document_id, client)
    if saved >= 0:
        await room.shown(room.revision)
        return Earlier(saved, took_effect=True)
    last = room.last_seq(client, since)
    return Earlier(last, took_effect=last >= 0 and await room.fate(client, last))
