"""Documents with a long history, made fast: the updates of somebody who types, one a push.

They take the way of every push but for the socket, through a server's own services in this process:
ordered, committed and looked after as they would be, a few to a commit.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from collab.access.tokens import User
from collab.api import services
from collab.log.entry import Entry, public_name
from collab.rooms.submission import submit
from collab.settings import Settings
from collab.storage import documents
from collab.storage.history import first_segment
from collab.storage.ids import new_id
from collab.text import Change

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from collab.api.services import Services
    from collab.errors import Refusal

AUTHOR = User("bench", "Bench", guest=True)
LINE = "The quick brown fox jumps over the lazy dog, again and again.\n"
UNITS = 50_000
"""The length of a text, from its beginning to its end about the same."""
PUSHES_PER_COMMIT = 20
PUSHES_PER_CLIENT = 1_000
KEY_EVERY_MS = 200

Replacement: TypeAlias = tuple[int, int, str]
"""Where, how many units are deleted there, and what is inserted instead."""

QUIET_S = 1.0
"""After so long without a write the upkeep is done."""
UPKEEP_S = 120.0


@dataclass(frozen=True)
class Long:
    """A document, and what it must show: its text now, and the one at a revision in the middle."""

    id: str
    revision: int
    text: str
    middle_revision: int
    middle_text: str


@dataclass(frozen=True)
class Data:
    """A data directory with a document of that many updates, and a short one beside."""

    token: str
    long: Long
    short: Long
    bytes: int


async def made(data_dir: Path, updates: int) -> Data:
    """Make them, and wait until the upkeep has nothing left to do."""
    settings, path = Settings(data_dir=data_dir), data_dir / "collab.db"
    async with services.running(settings, time.time) as serving:
        token, _ = serving.tokens.issue(AUTHOR)
        text = LINE * (UNITS // len(LINE))
        short = await typed(serving, LINE, [])
        long = await typed(serving, text, edits(len(text), updates - 1))
        async with asyncio.timeout(UPKEEP_S):
            await _quiet(path)
    return Data(token, long, short, _bytes_of(path))


async def typed(serving: Services, text: str, changes: Collection[Change]) -> Long:
    """A new document that begins with a text, and to which all this is done."""
    document_id, at = new_id(), serving.now_ms()
    first = first_segment(document_id, text, AUTHOR.id, at)
    await serving.database.write(
        lambda connection: documents.create(connection, document_id, "Long", first, AUTHOR, at)
    )
    async with serving.registry.room(document_id) as room:
        middle = room.visible_revision, text
        for number, change in enumerate(changes):
            client = public_name(f"{document_id} {number // PUSHES_PER_CLIENT}")
            at += KEY_EVERY_MS
            entry = Entry(client, number, room.revision, (change,), AUTHOR.id, at)
            if number % PUSHES_PER_COMMIT:
                room.push(entry, _Trusting())
                continue
            await submit(room, entry)
            if number <= len(changes) // 2:
                middle = room.visible_revision, str(room.visible_text)
        await room.shown(room.revision)
        return Long(document_id, room.visible_revision, str(room.visible_text), *middle)


def edits(length: int, count: int) -> list[Change]:
    """The keystrokes of somebody in a text of this length, as changes."""
    return changes(length, keystrokes(length, count))


def changes(length: int, replacements: Iterable[Replacement]) -> list[Change]:
    """Replacements as changes, the first of a text of this length."""
    made = []
    for at, cut, insert in replacements:
        made.append(Change.replace(length, at, at + cut, insert))
        length += len(insert) - cut
    return made


def keystrokes(length: int, count: int) -> Iterator[Replacement]:
    """What somebody does to a text of this length: type on, correct, go elsewhere, cut a piece."""
    chance = random.Random(count)
    cursor = length // 2
    for number in range(count):
        what = chance.random()
        start, end, insert = cursor, cursor, LINE[number % len(LINE)]
        if what < 0.01 and length > UNITS:
            start, end, insert = max(0, cursor - 150), cursor, ""
        elif what < 0.12 and cursor:
            start, insert = cursor - 1, ""
        elif what < 0.15:
            start = end = chance.randrange(length + 1)
        yield start, end - start, insert
        cursor = start + len(insert)
        length += len(insert) - (end - start)


class _Trusting:
    """The author of pushes that follow one another, each on the end of the history."""

    may_write = True

    def ordered(self, seq: int, last: int) -> None:
        """As it must be."""

    def refused(self, seq: int, refusal: Refusal) -> None:
        raise refusal


async def _quiet(path: Path) -> None:
    """Wait until nobody writes to the database any more."""
    watching = sqlite3.connect(path)
    try:
        seen = None
        while (now := watching.execute("PRAGMA data_version").fetchone()) != seen:
            seen = now
            await asyncio.sleep(QUIET_S)
    finally:
        watching.close()


def _bytes_of(database: Path) -> int:
    """The file, and what SQLite keeps beside it."""
    return sum(each.stat().st_size for each in database.parent.glob(f"{database.name}*"))
