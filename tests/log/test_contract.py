"""What every log promises (`collab.log.contract`), whichever engine keeps it.

An engine takes part by an `Engine`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import pytest

from collab.errors import Refusal, Unavailable
from collab.log.entry import Entry, first_mark, next_mark
from collab.log.local import LocalFeed, LocalLog
from collab.log.redis.log import RedisLog
from collab.storage.runs import Row
from collab.text import Change
from tests.redis import links_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.redis import RedisServer
    from collab.log.contract import Feed, Log
    from collab.log.redis.links import RedisLinks

DOCUMENT = "a document"
PATIENCE_S = 10


class Follower:
    """A subscriber that writes down what it hears."""

    def __init__(self) -> None:
        self.revision = 0
        self.mark = first_mark(DOCUMENT)
        self.entries: list[Entry] = []
        self.marks: list[str] = []
        self.marks_at: dict[int, str] = {}
        self.messages: list[bytes] = []
        self.saved_revision = 0
        self.is_adrift = self.is_deleted = False
        self.changes_of_access = 0
        self.durable_revision = 0
        self.refusals: list[tuple[Entry, Refusal]] = []

    def ordered(self, entry: Entry, mark: str) -> None:
        self.revision += entry.revisions
        self.mark = mark
        self.entries.append(entry)
        self.marks.append(mark)
        self.marks_at[self.revision] = mark

    def durable(self, revision: int) -> None:
        assert self.durable_revision <= revision <= self.revision
        self.durable_revision = revision

    def refused(self, entry: Entry, refusal: Refusal) -> None:
        self.refusals.append((entry, refusal))

    def mark_at(self, revision: int) -> str | None:
        return {0: first_mark(DOCUMENT), **self.marks_at}.get(revision)

    def knows(self, client: str, seq: int) -> bool:
        return (client, seq) in [(entry.client, entry.seq) for entry in self.entries]

    def saved_elsewhere(self, revision: int) -> None:
        self.saved_revision = max(self.saved_revision, revision)

    def leads(self) -> None: ...

    def heard(self, message: bytes) -> None:
        self.messages.append(message)

    def resubscribed(self) -> None: ...

    def adrift(self) -> None:
        self.is_adrift = True

    def deleted(self) -> None:
        self.is_deleted = True

    def access_changed(self) -> None:
        self.changes_of_access += 1


class Engine(Protocol):
    def log(self) -> Log: ...

    async def save(self, feed: Feed, follower: Follower) -> None:
        """Play the writer: all that was ordered is in the database now."""


class LocalEngine:
    def log(self) -> Log:
        return LocalLog()

    async def save(self, feed: Feed, follower: Follower) -> None:
        feed.committed(follower.revision)
        feed.saved(follower.revision)


class RedisEngine:
    """One of many servers, with a database that has nothing but a row."""

    def __init__(self, links: RedisLinks) -> None:
        self._runs = OneRow()
        self._log = RedisLog(links, self._runs, "a server")

    def log(self) -> Log:
        return self._log

    async def save(self, feed: Feed, follower: Follower) -> None:
        await feed.catch_up()
        self._runs.row = Row(str(feed.run), follower.revision, follower.mark)
        feed.committed(follower.revision)
        feed.saved(follower.revision)

    async def close(self) -> None:
        await self._log.close()


class OneRow:
    def __init__(self) -> None:
        self.row = Row("", 0, first_mark(DOCUMENT))

    async def look(self, _document_id: str) -> Row:
        return self.row

    async def claim(self, _document_id: str, run: str, _former: str) -> Row:
        self.row = self.row._replace(run=run)
        return self.row


@pytest.fixture(params=["local", "redis"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    if request.param == "local":
        yield LocalEngine()
        return
    redis: RedisServer = request.getfixturevalue("redis")
    async with links_to(redis.url) as links:
        engine = RedisEngine(links)
        yield engine
        await engine.close()


async def follow(engine: Engine) -> tuple[Follower, Feed]:
    async def read() -> Follower:
        return Follower()

    return await engine.log().open(DOCUMENT, read)


def push(seq: int, updates: int = 1, client: str = "ada") -> Entry:
    return Entry(client, seq, 0, (Change.empty(0),) * updates, author="somebody", at=1)


async def test_entries_are_heard_once_in_order_with_their_marks(engine: Engine) -> None:
    follower, feed = await follow(engine)
    entries = [push(seq, updates=1 + seq % 3) for seq in range(1, 50)]
    for entry in entries:
        feed.append(entry)
    await engine.save(feed, follower)
    await feed.settle("ada", 49)
    assert follower.entries == entries
    mark = first_mark(DOCUMENT)
    for entry, heard in zip(entries, follower.marks, strict=True):
        mark = next_mark(mark, entry.encode())
        assert heard == mark


async def test_what_is_ordered_is_durable_after_it_is_settled(engine: Engine) -> None:
    """H7, promise 2."""
    follower, feed = await follow(engine)
    feed.append(push(1))
    settling = asyncio.create_task(feed.settle("ada", 1))
    await asyncio.sleep(0)
    await engine.save(feed, follower)
    async with asyncio.timeout(PATIENCE_S):
        await settling
    assert follower.durable_revision == follower.revision >= 1


async def test_settling_waits_for_all_that_came_before(engine: Engine) -> None:
    follower, feed = await follow(engine)
    feed.append(push(1))
    feed.append(push(2, client="bob"))
    settling = asyncio.create_task(feed.settle("ada", 1))
    await asyncio.sleep(0)
    await engine.save(feed, follower)
    async with asyncio.timeout(PATIENCE_S):
        await settling
    assert [entry.client for entry in follower.entries[:2]] == ["ada", "bob"]


async def test_settling_may_be_repeated(engine: Engine) -> None:
    follower, feed = await follow(engine)
    for _ in range(3):
        async with asyncio.timeout(PATIENCE_S):
            await feed.settle("ada", 1)
    assert not [entry for entry in follower.entries if entry.base is not None]


async def test_a_closed_feed_refuses_and_orders_nothing(engine: Engine) -> None:
    """P5: the push is not in the history, and its author learns it."""
    follower, feed = await follow(engine)
    feed.close()
    entry = push(1)
    feed.append(entry)
    assert follower.entries == []
    ((refused, refusal),) = follower.refusals
    assert refused is entry
    assert isinstance(refusal, Unavailable)
    with pytest.raises(Unavailable):
        await feed.settle("ada", 1)


async def test_who_waits_for_a_settlement_is_told_when_the_feed_closes(engine: Engine) -> None:
    _, feed = await follow(engine)
    feed.append(push(1))
    settling = asyncio.create_task(feed.settle("ada", 1))
    await asyncio.sleep(0)
    feed.close(Unavailable("the database is gone"))
    with pytest.raises(Unavailable):
        await settling


async def test_the_local_log_shows_nothing_before_it_is_committed() -> None:
    """Promise 2: with one server, the database is all that outlives it."""
    follower = Follower()
    feed = LocalFeed(follower)
    for seq in range(1, 5):
        feed.append(push(seq))
        assert (follower.revision, follower.durable_revision) == (seq, 0)
    settling = asyncio.create_task(feed.settle("ada", 4))
    await asyncio.sleep(0)
    feed.committed(3)
    await asyncio.sleep(0)
    assert (follower.durable_revision, settling.done()) == (3, False)
    feed.committed(4)
    await settling
