"""Documents that are typed into and saved by a real writer on a real database."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy

from collab.access.tokens import User
from collab.log.entry import Entry, Point, first_mark, next_mark
from collab.rooms.history import History
from collab.rooms.room import Room
from collab.storage import documents, history
from collab.storage.database import Database, database_at
from collab.storage.upkeep import Upkeep
from collab.storage.writer import Writer
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy import Connection, Executable

    from collab.access.roles import Role
    from collab.log.entry import Ordered

PATIENCE_S = 10
ADA = User("ada", "Ada", guest=True)


class Document:
    """A document that is typed into; it hears of its pushes from the writer."""

    def __init__(self, document_id: str) -> None:
        self.id = document_id
        mark = first_mark(document_id)
        self.room = Room(Text.empty(), History(Point(0, mark, 0)))
        self.last: Ordered
        self.pushes: list[Ordered] = []
        self.committed_revision = self.saved_revision = 0
        self.failures: list[Exception] = []
        self._heard = asyncio.Event()

    def type(self, *texts: str, seq: int | None = None, client: str = "ada") -> Ordered:
        """A push that puts each of the texts, one after the other, at the beginning."""
        length, changes = len(self.room.text), list[Change]()
        for text in texts:
            changes.append(Change.replace(length, 0, 0, text))
            length = changes[-1].new_length
        seq = self.room.revision + 1 if seq is None else seq
        at = 1_000 + seq
        return self._take(Entry(client, seq, self.room.revision, tuple(changes), "ada", at))

    def settle(self, client: str, seq: int) -> Ordered:
        """A push that takes no effect."""
        return self._take(Entry(client, seq, None, (), "ada", 1))

    def _take(self, entry: Entry) -> Ordered:
        self.last = self.room.apply(entry, next_mark(self.room.mark, entry.encode()))
        self.pushes.append(self.last)
        return self.last

    def committed(self, revision: int) -> None:
        self.committed_revision = revision
        self._heard.set()

    async def holds(self, revision: int) -> None:
        """Wait until the writer reports that what was typed up to a revision is committed."""
        async with asyncio.timeout(PATIENCE_S):
            while self.committed_revision < revision:
                self._heard.clear()
                await self._heard.wait()

    def saved(self, revision: int) -> None:
        assert revision <= self.committed_revision
        self.saved_revision = revision
        self._heard.set()

    def not_saved(self, error: Exception) -> None:
        self.failures.append(error)
        self._heard.set()

    async def heard(self) -> None:
        """Wait until the writer reports all that was typed, or a failure."""
        async with asyncio.timeout(PATIENCE_S):
            while self.saved_revision < self.room.revision and not self.failures:
                self._heard.clear()
                await self._heard.wait()


class Bench:
    """`upkeep` hears of what is saved, but does nothing unless a test runs it."""

    def __init__(self, database: Database, writer: Writer, upkeep: Upkeep) -> None:
        self.database = database
        self.writer = writer
        self.upkeep = upkeep

    async def document(self, document_id: str, anyone: Role | None = None) -> Document:
        first = history.first_segment(document_id, "", "ada", 1)
        await self.database.write(
            lambda connection: documents.create(
                connection, document_id, "Notes", first, ADA, 1, anyone
            )
        )
        return Document(document_id)

    async def save(self, document: Document, *texts: str) -> None:
        for text in texts:
            self.writer.put(document.id, document.type(text), document)
        await document.heard()

    async def upkept(self, done: Callable[[], Awaitable[bool]]) -> None:
        """Run the upkeep until it has done something."""
        task = asyncio.create_task(self.upkeep.run(), name="upkeep")
        async with asyncio.timeout(PATIENCE_S):
            while not await done():
                await asyncio.wait([task], timeout=0.001)
        task.cancel()
        await asyncio.wait([task])

    async def rows(self, statement: str | Executable) -> list[Any]:
        """Execute a statement. Returns its rows, if it has any."""

        def execute(connection: Connection) -> list[Any]:
            asked = sqlalchemy.text(statement) if isinstance(statement, str) else statement
            result = connection.execute(asked)
            return [tuple(row) for row in result] if result.returns_rows else []

        return await self.database.write(execute)


@asynccontextmanager
async def running(
    url: str, patience_s: float = 0.2, *, shared: bool = False
) -> AsyncIterator[Bench]:
    database = database_at(url, shared=shared)
    await database.start()
    await database.migrate()
    upkeep = Upkeep(database)
    writer = Writer(database, upkeep, patience_s)
    task = asyncio.create_task(writer.run(), name="writer")
    try:
        yield Bench(database, writer, upkeep)
    finally:
        writer.stop()
        async with asyncio.timeout(PATIENCE_S):
            await task
        await database.close()
