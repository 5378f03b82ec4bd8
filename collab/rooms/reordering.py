"""A server that was adrift orders again what only it has, before it welcomes anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from collab.errors import Unavailable
from collab.rooms.chain import Heard, Reorder, heard_since
from collab.storage import history
from collab.text import Change

if TYPE_CHECKING:
    from collab.log.contract import Feed
    from collab.rooms.history import History
    from collab.rooms.open_room import OpenRoom
    from collab.storage.database import Database

log = structlog.get_logger(__name__)

SLICE = 5
"""How many steps are made before others have their turn."""

PAGE = 1_000
PAUSE_S = 0.2


class Lost(NamedTuple):
    """What a room that was adrift had heard; up to `saved` the order has it as well."""

    history: History
    saved: int


async def reorder(database: Database, room: OpenRoom, feed: Feed, lost: Lost) -> None:
    """Return when everything that was lost is in the order.

    Raises `Unavailable` if the room is closed before, `SQLAlchemyError`.
    """
    common = lost.history.common(room.history)
    start = lost.saved if common is None else common
    saved: list[Heard] = []
    while start + len(saved) < room.history.start:  # which moves on
        saved += await _saved(database, room.document_id, start + len(saved), room.history.start)
    # No await from here on until it hears what is ordered.
    work = Reorder(lost.history, start, [*saved, *heard_since(room.history, start + len(saved))])
    room.on_ordered = work.ordered
    try:
        while not work.done:
            await _work_off(work)
            room.check_open()
            entry = work.next()
            try:
                if entry is not None:
                    await feed.place(entry)
                    room.counts.repairs["ordered_again"] += 1
                else:
                    await asyncio.sleep(PAUSE_S)  # it is on its way
            except Unavailable as error:
                assert entry is not None
                work.unknown(entry)
                log.info("waiting to order again", document=room.document_id, error=error.message)
                await asyncio.sleep(PAUSE_S)
    finally:
        room.on_ordered = None
    log.warning("what was lost is ordered again", document=room.document_id)


async def _work_off(work: Reorder) -> None:
    """In slices: it may be long, and others use this server too."""
    while True:
        for _ in range(SLICE):
            if not work.step():
                return
        await asyncio.sleep(0)


async def _saved(database: Database, document_id: str, after: int, upto: int) -> list[Heard]:
    """Updates after a revision that lies before what a room keeps of the past: a page of them."""
    page = await history.updates(database, document_id, after, min(PAGE, upto - after))
    return [
        Heard(each.client, each.seq, Change.from_json(msgspec.json.decode(each.change)), each.void)
        for each in page
    ]
