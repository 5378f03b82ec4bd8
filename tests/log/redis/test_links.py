"""Links to Redis: what is called, what is heard, and what happens when Redis fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from collab.log.redis.link import FateUnknown, NotDone
from tests.redis import Heard, following, links_to

if TYPE_CHECKING:
    from bench.redis import RedisServer


async def test_a_listener_hears_nothing_before_its_link_is_there(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        await following(links)
        heard = Heard()
        links.link("doc", heard)
        assert heard.waiting == 0
        assert sorted(await heard.next(2)) == ["connected", "subscribed"]


async def test_calls_of_one_turn_are_done_in_their_order(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, heard = await following(links)
        await asyncio.gather(*(link.call("tell", str(number)) for number in range(1_000)))
        assert await heard.next(1_000) == [f"m{number}".encode() for number in range(1_000)]


async def test_what_is_published_reaches_every_server_that_follows(redis: RedisServer) -> None:
    async with links_to(redis.url) as here, links_to(redis.url) as there:
        link, heard = await following(here)
        _, also_heard = await following(there)
        _, other_heard = await following(there, "another")
        await link.call("tell", b"\xff")
        assert await heard.next() == await also_heard.next() == [b"m\xff"]
        assert other_heard.waiting == 0


async def test_redis_that_comes_back_is_another_run(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, heard = await following(links)
        run = link.run
        redis.kill()
        assert await heard.next() == ["disconnected"]
        with pytest.raises(NotDone):
            await link.call("tell", "hello")
        redis.start()
        assert sorted(await heard.next(2)) == ["connected", "subscribed"]
        assert link.run not in {None, run}
        assert link.hears
        await link.call("tell", "hello")
        assert await heard.next() == [b"mhello"]


async def test_no_answer_in_time_leaves_the_fate_open(redis: RedisServer) -> None:
    async with links_to(redis.url, limit_s=0.5) as links:
        link, heard = await following(links)
        redis.pause()
        with pytest.raises(FateUnknown):
            await link.call("tell", "sent")
        with pytest.raises(NotDone):
            await link.call("tell", "not sent")
        redis.resume()
        before = await heard.until("connected")
        await link.call("tell", "last")
        before += await heard.until(b"mlast")
        assert b"mnot sent" not in before
        assert before.count(b"msent") == 1


async def test_the_documents_are_those_that_have_a_log(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        names = {f"document{number}" for number in range(30)}
        for name in names:
            link, _ = await following(links, name)
            await link.call("seed", link.run or "", 0, "mark")
        link, _ = await following(links, "without")
        await link.call("lead", "a server", 1_000)
        assert {name async for name in links.documents()} == names


async def test_what_servers_must_know_at_once_is_published(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, heard = await following(links)
        run = link.run or ""
        await link.call("seed", run, 10, "m10")
        *_, mark = await link.call("append", run, 10, "m10", 2, b"push \xff")
        await link.call("saved", 12, mark, 100)
        await link.call("saved", 10, "m10", 100)
        await link.call("restore", run, "after", 12, mark, 12, mark, 1, 15, "m15", "lost")
        await link.call("remove")
        assert await heard.next(4) == [
            b"e10 12 " + mark + b" push \xff",
            b"s12 " + mark,
            b"e12 15 m15 lost",
            b"d",
        ]
