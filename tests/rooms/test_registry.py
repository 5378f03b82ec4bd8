"""Rooms are opened once and closed when idle."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from collab.access.tokens import User
from collab.errors import NotFound, NotReady, TooMany
from collab.log.local import LocalLog
from collab.rooms.registry import Registry
from collab.settings import Settings
from collab.storage import documents, history
from collab.storage.database import Database
from collab.storage.migrations import migrate
from collab.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection

PATIENCE_S = 10


@asynccontextmanager
async def running(path: Path, **settings: Any) -> AsyncIterator[Registry]:
    """A registry over a database that has the documents `d` and `e`."""
    chosen = Settings(data_dir=path, **settings)
    database = Database(chosen.sqlalchemy_url)
    await database.start()
    await asyncio.to_thread(migrate, database.path)
    await database.write(_create)
    writer = Writer(database, chosen.commit_patience_s)
    registry = Registry(chosen, database, LocalLog(), writer)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run(), name="writer")
        beating = tasks.create_task(registry.run(), name="registry")
        try:
            yield registry
        finally:
            await registry.close()
            beating.cancel()
            writer.stop()
    await database.close()


def _create(connection: Connection) -> None:
    ada = User("ada", "Ada", guest=True)
    for document_id in "de":
        first = history.first_segment(document_id, "text", "ada", 1)
        documents.create(connection, document_id, "Notes", first, ada, 1)


class Loads:
    """Readings of the database, counted, and held back until they are let through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.let_through = asyncio.Event()
        self.error: Exception | None = None
        self._load = history.load
        monkeypatch.setattr(history, "load", self._held)

    async def _held(self, database: Database, document_id: str) -> history.Saved:
        self.count += 1
        await self.let_through.wait()
        if self.error is not None:
            raise self.error
        return await self._load(database, document_id)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(monkeypatch)


async def entered(registry: Registry, document_id: str) -> object:
    async with registry.room(document_id) as room:
        return room


async def test_concurrent_joins_share_one_reading(tmp_path: Path, loads: Loads) -> None:
    async with running(tmp_path) as registry:
        joining = [asyncio.create_task(entered(registry, "d")) for _ in range(50)]
        await asyncio.sleep(0)
        loads.let_through.set()
        rooms = await asyncio.gather(*joining)
        assert loads.count == 1
        assert len({id(room) for room in rooms}) == 1


async def test_a_room_that_nobody_is_in_is_not_opened_twice(tmp_path: Path, loads: Loads) -> None:
    """A push may still be on its way to the database when its session has gone."""
    loads.let_through.set()
    async with running(tmp_path) as registry:
        first = await entered(registry, "d")
        assert await entered(registry, "d") is first
        assert loads.count == 1


async def test_one_who_gives_up_does_not_spoil_the_opening_for_others(
    tmp_path: Path, loads: Loads
) -> None:
    async with running(tmp_path) as registry:
        first, second = (asyncio.create_task(entered(registry, "d")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        loads.let_through.set()
        assert await second is registry.peek("d")
        assert loads.count == 1


async def test_an_opening_that_takes_too_long_is_answered(tmp_path: Path, loads: Loads) -> None:
    async with running(tmp_path, open_timeout_s=0.05) as registry:
        with pytest.raises(NotReady):
            await entered(registry, "d")
        loads.let_through.set()


async def test_a_failed_opening_is_tried_anew_by_the_next(tmp_path: Path, loads: Loads) -> None:
    loads.let_through.set()
    loads.error = OperationalError("select", None, Exception("disk I/O error"))
    async with running(tmp_path) as registry:
        with pytest.raises(NotReady):
            await entered(registry, "d")
        loads.error = None
        assert await entered(registry, "d") is registry.peek("d")


async def test_a_document_that_is_not_there_is_not_opened(tmp_path: Path) -> None:
    async with running(tmp_path) as registry:
        with pytest.raises(NotFound):
            await entered(registry, "x")
        assert registry.peek("x") is None


async def test_no_more_rooms_are_open_than_the_limit(tmp_path: Path) -> None:
    async with running(tmp_path, max_rooms=1) as registry:
        await entered(registry, "d")
        with pytest.raises(TooMany):
            await entered(registry, "e")
        await entered(registry, "d")


async def test_a_room_in_use_is_not_closed(tmp_path: Path) -> None:
    async with (
        running(tmp_path, room_idle_s=0, heartbeat_s=0.08) as registry,
        registry.room("d") as used,
    ):
        idle = await entered(registry, "e")
        async with asyncio.timeout(PATIENCE_S):
            while registry.peek("e") is idle:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
        assert registry.peek("d") is used
