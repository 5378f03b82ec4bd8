"""Rooms are opened once and closed when idle."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from collab.access.tokens import User
from collab.errors import NotFound, NotReady, TooMany
from collab.log.entry import Entry
from collab.log.local import LocalLog
from collab.rooms.registry import Registry
from collab.rooms.room import Room
from collab.settings import Settings
from collab.storage import documents, history
from collab.storage.database import Database, database_at
from collab.storage.upkeep import Upkeep
from collab.storage.writer import Writer
from collab.text import Change
from tests.migrated import begin_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection

    from collab.errors import Refusal

PATIENCE_S = 10


@asynccontextmanager
async def running(path: Path, units: int = 4, **settings: Any) -> AsyncIterator[Registry]:
    """A registry over a database that has the documents `d` and `e`, each of so many units."""
    chosen = Settings(data_dir=path, **settings)
    begin_in(path)
    database = database_at(chosen.sqlalchemy_url)
    await database.start()
    await database.write(partial(_create, units=units))
    writer = Writer(database, Upkeep(database), chosen.commit_patience_s)
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


def _create(connection: Connection, units: int) -> None:
    ada = User("ada", "Ada", guest=True)
    for document_id in "de":
        first = history.first_segment(document_id, "x" * units, "ada", 1)
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
        async with registry.room("d") as room:
            with pytest.raises(TooMany):
                await entered(registry, "e")
            assert await entered(registry, "d") is room
        await entered(registry, "e")  # what is idle makes way
        assert registry.peek("d") is None


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


async def test_documents_are_refused_while_memory_is_full_and_what_is_idle_makes_way(
    tmp_path: Path,
) -> None:
    """One of them takes more than all may."""
    async with running(tmp_path, units=300_000, max_memory_bytes=1_500_000) as registry:
        async with registry.room("d") as room:
            with pytest.raises(TooMany, match="memory") as caught:
                await entered(registry, "e")
            assert caught.value.retry_after_ms == 5_000
            assert await entered(registry, "d") is room
        await entered(registry, "e")
        assert registry.peek("d") is None


async def test_openings_at_the_same_time_do_not_share_the_last_of_the_memory(
    tmp_path: Path, loads: Loads
) -> None:
    """How much a document takes is known when it is read."""
    async with (
        running(tmp_path, units=300_000, max_memory_bytes=1_500_000) as registry,
        AsyncExitStack() as stack,
    ):
        joining = [
            asyncio.create_task(stack.enter_async_context(registry.room(each))) for each in "de"
        ]
        await asyncio.sleep(0)
        loads.let_through.set()
        _, refused = sorted(
            await asyncio.gather(*joining, return_exceptions=True),
            key=lambda each: isinstance(each, TooMany),
        )
        assert isinstance(refused, TooMany)


async def test_what_rooms_take_is_counted_from_their_opening_to_their_end(tmp_path: Path) -> None:
    async with running(tmp_path, units=1_000) as registry:
        before = registry.budget.memory
        async with registry.room("d") as room:
            opened = registry.budget.memory
            change = Change.replace(1_000, 0, 0, "x" * 1_000)
            room.push(Entry("ada", 1, 1, (change,), "ada", 1), Author())
            assert registry.budget.memory > opened + 1_000
            assert registry.budget.unsaved > 1_000
            await room.shown(2)
            await registry._writer.settle("d")
            assert registry.budget.unsaved == 0
        registry.forget("d")
        assert before == registry.budget.memory == 0 < opened


class Author:
    may_write = True

    def ordered(self, seq: int, last: int) -> None: ...

    def refused(self, seq: int, refusal: Refusal) -> None: ...


async def test_a_room_that_failed_is_read_anew_after_its_work_was_written(
    tmp_path: Path, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the writer would take two histories of the document for one."""
    loads.let_through.set()
    async with running(tmp_path) as registry:
        other = sqlite3.connect(tmp_path / "collab.db", isolation_level=None)
        async with registry.room("d") as broken:
            other.execute("begin immediate")
            change = Change.replace(4, 0, 0, "y")
            broken.push(Entry("ada", 1, 1, (change,), "ada", 1), Author())
            with monkeypatch.context() as patch:
                patch.setattr(Room, "apply", None)
                broken.push(Entry("bob", 1, 1, (change,), "bob", 1), Author())
        assert registry.peek("d") is None
        opening = asyncio.create_task(entered(registry, "d"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert loads.count == 1
        other.close()
        await opening
        async with registry.room("d") as fresh:
            assert fresh is not broken
            assert str(fresh.visible_text) == "yxxxx"
