"""The text of an open document as it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from collab.errors import NotFound, Stale
from collab.storage import history

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collab.rooms.open_room import OpenRoom
    from collab.storage.database import Database
    from collab.text import Change, Text


async def shown(room: OpenRoom, revision: int | None) -> int:
    """A revision that may be shown, the current one for None. Raises `NotFound` for another."""
    if revision is None:
        return room.visible_revision
    if revision > room.visible_revision:
        await room.feed.catch_up()
    if revision > room.visible_revision:
        raise _no_revision(revision)
    return revision


async def text_at(database: Database, room: OpenRoom, revision: int) -> Text:
    """The text at any revision that may be shown. Raises `NotFound` for another.

    The database has it up to the stored revision; what came after that, the room has.
    """
    if revision == room.visible_revision:
        return room.visible_text
    if revision > room.visible_revision:
        raise _no_revision(revision)
    stored = room.stored_revision
    if revision <= stored:
        return await history.text_at(database, room.document_id, revision)
    later = room.changes(stored)
    assert later is not None, "what is not stored yet is kept"
    text = await history.text_at(database, room.document_id, stored)
    return await asyncio.to_thread(_after, text, later[: revision - stored])


def length_at(room: OpenRoom, revision: int) -> int:
    """The units of the text at a revision that may be shown.

    Raises `Stale` for one that no push can be based on any more.
    """
    later = room.changes(revision)
    if later is None:
        raise Stale(f"revision {revision} lies too far back: read the text again")
    return later[0].length if later else len(room.visible_text)


def _after(text: Text, changes: Iterable[Change]) -> Text:
    for change in changes:
        text = change.apply(text)
    return text


def _no_revision(revision: int) -> NotFound:
    return NotFound(f"there is no revision {revision}")
