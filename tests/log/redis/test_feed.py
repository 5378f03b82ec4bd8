"""How servers that follow one document's log find out what is saved, and what holds."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from collab.errors import NotReady
from collab.log.entry import first_mark, next_mark
from collab.log.redis.log import RedisLog
from tests.log.test_contract import DOCUMENT, Follower, OneRow, push
from tests.redis import links_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bench.redis import RedisServer
    from collab.errors import Refusal
    from collab.log.entry import Entry
    from collab.log.redis.feed import RedisFeed
    from collab.log.redis.link import Links, Listener

PATIENCE_S = 10


class Watched(Follower):
    """One that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._heard = asyncio.Event()

    def ordered(self, entry: Entry, mark: str) -> None:
        super().ordered(entry, mark)
        self._heard.set()

    def saved_elsewhere(self, revision: int) -> None:
        super().saved_elsewhere(revision)
        self._heard.set()

    def heard(self, message: bytes) -> None:
        super().heard(message)
        self._heard.set()

    def refused(self, entry: Entry, refusal: Refusal) -> None:
        super().refused(entry, refusal)
        self._heard.set()

    def adrift(self) -> None:
        super().adrift()
        self._heard.set()

    def access_changed(self) -> None:
        super().access_changed()
        self._heard.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not done():
                self._heard.clear()
                await self._heard.wait()


class World:
    """Servers that share a Redis, and a database that holds one document."""

    def __init__(self) -> None:
        self.row = OneRow()
        self.logs: list[RedisLog] = []
        self._saved: list[Entry] = []

    def save(self, *entries: Entry) -> int:
        for entry in entries:
            row = self.row.row
            self._saved.append(entry)
            self.row.row = row._replace(
                revision=row.revision + entry.revisions, mark=next_mark(row.mark, entry.encode())
            )
        return self.row.row.revision

    async def follow(self, server: int = 0) -> tuple[Watched, RedisFeed]:
        async def read() -> Watched:
            watched = Watched()
            for entry in self._saved:
                watched.ordered(entry, next_mark(watched.mark, entry.encode()))
            return watched

        return await self.logs[server].open(DOCUMENT, read)


@asynccontextmanager
async def servers(redis: RedisServer, count: int) -> AsyncIterator[World]:
    world = World()
    async with links_to(redis.url) as links:
        world.logs = [RedisLog(links, world.row, f"server {number}") for number in range(count)]
        yield world
        for log in world.logs:
            await log.close()


async def test_what_another_server_saved_is_told(redis: RedisServer) -> None:
    """S1."""
    async with servers(redis, 2) as world:
        _, feed = await world.follow(0)
        follower, _ = await world.follow(1)
        await feed.place(push(1))
        await follower.until(lambda: follower.revision == 1)
        feed.saved(world.save(push(1)))
        await follower.until(lambda: follower.saved_revision == 1)


async def test_a_change_of_access_is_told_to_all_that_have_the_document_open(
    redis: RedisServer,
) -> None:
    """X2: also by a server that does not have it open, and nothing of it stays."""
    async with servers(redis, 3) as world:
        one, _ = await world.follow(0)
        other, _ = await world.follow(1)
        before = redis.execute("KEYS", "*")
        await world.logs[2].access_changed(DOCUMENT)
        await world.logs[0].access_changed("another document")
        await one.until(lambda: one.changes_of_access == 1)
        await other.until(lambda: other.changes_of_access == 1)
        assert redis.execute("KEYS", "*") == before


async def test_a_change_of_access_is_told_to_nobody_while_redis_is_away(
    redis: RedisServer,
) -> None:
    """X2: it does not fail; who has the document open looks for itself."""
    async with servers(redis, 1) as world:
        redis.stop()
        await world.logs[0].access_changed(DOCUMENT)


async def test_what_is_saved_of_another_history_is_not_saved_of_this_one(
    redis: RedisServer,
) -> None:
    """S1: a server that slept through a loss hears what others save before it is healed itself."""
    async with servers(redis, 1) as world:
        follower, feed = await world.follow()
        await feed.place(push(1))
        redis.execute("SPUBLISH", f"collab:{{{DOCUMENT}}}", "s1 another")
        feed.tell(b"heard after that")
        await follower.until(lambda: bool(follower.messages))
        assert follower.saved_revision == 0


async def test_who_opens_a_document_tells_redis_what_is_saved(redis: RedisServer) -> None:
    """Who saved it was closed by then: all would look for a server to save it, again and again."""
    async with servers(redis, 2) as world:
        _, feed = await world.follow(0)
        follower, _ = await world.follow(1)
        await feed.place(push(1))
        await follower.until(lambda: follower.revision == 1)
        feed.close()
        world.save(push(1))
        await world.follow(0)
        await follower.until(lambda: follower.saved_revision == 1)


async def test_what_redis_was_not_told_is_told_at_the_next_beat(redis: RedisServer) -> None:
    """S1: or the editors of other servers would wait for the next push."""
    async with servers(redis, 2) as world:
        _, feed = await world.follow(0)
        follower, _ = await world.follow(1)
        await feed.place(push(1))
        await follower.until(lambda: follower.revision == 1)
        redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        feed.saved(world.save(push(1)))
        feed.beat()
        await follower.until(lambda: follower.saved_revision == 1)


async def test_who_opens_a_document_waits_for_what_others_have(redis: RedisServer) -> None:
    """Redis lost it: what was ordered before is put back before anything else is ordered."""
    async with servers(redis, 2) as world:
        follower, feed = await world.follow(0)
        await feed.place(push(1))
        redis.execute("FLUSHALL")
        feed.beat()
        await offered(redis)
        newcomer, also = await world.follow(1)
        await also.place(push(1, client="bob"))
        await feed.catch_up()
        clients = ["ada", "bob"]
        assert [entry.client for entry in newcomer.entries] == clients
        assert [entry.client for entry in follower.entries] == clients
        assert not follower.is_adrift


async def offered(redis: RedisServer) -> None:
    """Return when a server offers what it has."""
    async with asyncio.timeout(PATIENCE_S):
        while not redis.execute("EXISTS", f"collab:{{{DOCUMENT}}}:offers"):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)


async def test_a_stream_that_lacks_what_is_saved_does_not_hold(redis: RedisServer) -> None:
    """The database's history decides, also where it is longer than all that was heard."""
    async with servers(redis, 1) as world:
        follower, feed = await world.follow()
        await feed.place(push(1))
        world.save(push(1, client="bob"), push(2, client="bob"))
        feed.doubt()
        await follower.until(lambda: follower.is_adrift)


async def test_an_entry_of_a_later_format_ends_who_follows_and_who_comes(
    redis: RedisServer,
) -> None:
    """Servers of two versions: the older one neither goes on without it nor tries for ever."""
    async with servers(redis, 1) as world:
        follower, feed = await world.follow()
        mark, later = follower.mark, b"[2]"
        key = f"collab:{{{DOCUMENT}}}"
        redis.execute("XADD", f"{key}:log", "1-1", "m", next_mark(mark, later), "e", later)
        feed.beat()
        await follower.until(lambda: follower.is_adrift)
        assert follower.revision == 0
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(NotReady, match="cannot be read"):
                await world.follow()


class OneLink:
    """A document's link, to a Redis that a test plays: it answers what `answers` says."""

    def __init__(self) -> None:
        self.run: str | None = "one"
        self.hears = True
        self.answers: dict[str, Callable[..., list[object]]] = {}
        self.listener: Listener

    def link(self, _document_id: str, listener: Listener) -> OneLink:
        self.listener = listener
        return self

    async def call(self, operation: str, *arguments: str | bytes | int) -> list[Any]:
        return self.answers[operation](*arguments)

    def doubt(self) -> None: ...

    def close(self) -> None: ...


async def test_a_push_that_was_ordered_out_of_turn_and_lost_is_refused() -> None:
    """P5: what came before it was not heard yet when Redis lost both. Else its author would wait
    for ever.
    """
    mark = first_mark(DOCUMENT)

    def standing(*_: object) -> list[object]:
        return [str(link.run).encode(), b"0", b"0", mark.encode(), 1, []]

    def settle(_run: str, _revision: int, _mark: str, _count: int, entry: bytes) -> list[object]:
        return [b"ordered", b"0", b"1", next_mark(mark, entry).encode()]

    link = OneLink()
    link.answers = {
        "read": standing,
        "append": lambda *_: [b"ordered", b"7", b"8", b"a mark"],
        "lead": lambda *_: [1, 3_000],
    }
    row = OneRow()
    row.row = row.row._replace(run="one")
    log = RedisLog(cast("Links", link), row, "a server")
    follower = Watched()

    async def read() -> Watched:
        return follower

    _, feed = await log.open(DOCUMENT, read)
    lost = push(1)
    feed.append(lost)
    await asyncio.sleep(0)
    assert not follower.entries
    link.run, link.answers["append"] = "two", settle
    link.listener.disconnected()
    link.listener.connected()
    await follower.until(lambda: bool(follower.refusals))
    assert [entry for entry, _ in follower.refusals] == [lost]
    feed.close()
    await log.close()
