"""The ways to one Redis: who may connect, what is refused, and what a lost connection costs."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest
import uvloop

from bench.redis import private_server
from collab.errors import Misconfigured
from collab.log.redis import commands, topology
from collab.log.redis.address import Address
from collab.log.redis.link import FateUnknown, NotDone
from collab.log.redis.links import RedisLinks
from tests.redis import PATIENCE_S, following, links_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bench.redis import RedisServer


def calls_done(redis: RedisServer) -> int:
    """How many scripts it has run since it was started or asked to forget."""
    return int(redis.execute("INFO", "commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[str]:
    """The URL of what takes itself for a Redis: it gives one answer to whatever it is sent."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await reader.read(65_536)
            writer.write(b"".join(answers))
            await reader.read()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"redis://someone:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def refusal(url: str) -> str:
    """Why a server with this setting does not start."""
    with pytest.RaisesGroup(Misconfigured, flatten_subgroups=True, allow_unwrapped=True) as caught:
        async with links_to(url):
            pass
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


# -- Who may connect ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked() -> Iterator[RedisServer]:
    """A Redis with a password."""
    with private_server(requirepass="a secret") as server:
        yield server


async def test_a_password_opens_what_it_locks(locked: RedisServer) -> None:
    async with links_to(locked.url.replace("a secret", "a%20secret")) as links:
        link, heard = await following(links)
        await link.call("tell", "hello")
        assert await heard.next() == [b"mhello"]


async def test_a_wrong_password_is_told_and_not_shown(locked: RedisServer) -> None:
    why = await refusal(locked.url.replace("a secret", "another"))
    assert "WRONGPASS" in why
    assert "another" not in why


async def test_no_password_where_one_is_needed_is_told(locked: RedisServer) -> None:
    assert "NOAUTH" in await refusal(f"redis://127.0.0.1:{locked.port}")


async def test_tls_is_spoken_with_who_has_the_certificate() -> None:
    with private_server(tls=True) as server:
        async with links_to(server.url) as links:
            link, heard = await following(links)
            await link.call("tell", b"x" * 1_000_000)
            assert await heard.next() == [b"m" + b"x" * 1_000_000]


async def test_tls_with_who_has_no_certificate_that_we_trust_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topology, "START_PATIENCE_S", 0)
    with private_server(tls=True) as server:
        assert "certificate" in (await refusal(server.url.partition("?")[0])).lower()


async def test_a_redis_that_is_too_old_is_told() -> None:
    hello = b"%3\r\n+version\r\n+6.2.14\r\n+role\r\n+master\r\n+mode\r\n+standalone\r\n"
    async with answering(hello, b"+OK\r\n", b"$4\r\nnone\r\n", b"*0\r\n") as url:
        assert (await refusal(url)).endswith("is 6.2.14; 7.0 or later is needed")


async def test_a_redis_older_than_our_greeting_is_told_and_shows_no_password() -> None:
    unknown = b"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `secret`\r\n"
    async with answering(unknown, *[b"-NOAUTH\r\n"] * 3) as url:
        why = await refusal(url)
    assert "7.0 or later is needed" in why
    assert "secret" not in why


async def test_a_replica_is_no_place_to_write(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topology, "START_PATIENCE_S", 0)
    redis.execute("REPLICAOF", "127.0.0.1", redis.port)
    try:
        assert (await refusal(redis.url)).endswith("it is a replica")
    finally:
        redis.execute("REPLICAOF", "NO", "ONE")


async def test_a_redis_that_becomes_a_replica_is_left(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, heard = await following(links)
        redis.execute("REPLICAOF", "127.0.0.1", redis.port)
        try:
            with pytest.raises(NotDone, match="READONLY"):
                await link.call("seed", link.run or "", 0, "mark")
            await heard.until("disconnected")
        finally:
            redis.execute("REPLICAOF", "NO", "ONE")
        await heard.until("connected")
        assert await link.call("seed", link.run or "", 0, "mark") == [b"seeded"]


@pytest.mark.parametrize(
    "url", ["http://localhost", "localhost:6379", "redis://:pa/ss@localhost", "redis://h:port"]
)
def test_what_is_no_redis_url_is_told_and_not_repeated(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Address.of(url)
    assert "COLLAB_REDIS_URL must look like" in str(caught.value)
    assert not {"pa", "ss", "port"} & {*str(caught.value).replace(":", " ").split()}


def test_an_address_shows_no_password() -> None:
    address = Address.of("rediss://user:secret@redis.example:7000/2")
    assert (address.host, address.port, address.database) == ("redis.example", 7000, 2)
    assert address.name == "redis.example:7000"
    assert "secret" not in repr(address)


# -- What is refused ------------------------------------------------------------------------------


async def test_a_script_that_redis_forgot_is_loaded_again(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, heard = await following(links)
        redis.execute("SCRIPT", "FLUSH")
        await asyncio.gather(*(link.call("tell", str(number)) for number in range(100)))
        assert await heard.next(100) == [f"m{number}".encode() for number in range(100)]


async def test_a_full_redis_refuses_and_does_nothing(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, _ = await following(links)
        redis.execute("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(NotDone, match="OOM"):
                await link.call("seed", link.run or "", 0, "mark")
        finally:
            redis.execute("CONFIG", "SET", "maxmemory", "0")
        assert await link.call("seed", link.run or "", 0, "mark") == [b"seeded"]


async def test_a_redis_that_would_throw_documents_away_is_told(
    redis: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    redis.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        async with links_to(redis.url):
            pass
    finally:
        redis.execute("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert "throws documents away" in capsys.readouterr().out


async def test_a_full_redis_orders_nothing_more(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, _ = await following(links)
        run = link.run or ""
        await link.call("seed", run, 0, "mark")
        redis.execute("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(NotDone, match="OOM"):
                await link.call("append", run, 0, "mark", 1, "push")
        finally:
            redis.execute("CONFIG", "SET", "maxmemory", "0")
        assert (await link.call("read", 0, "mark", 1))[2] == b"0"
        assert (await link.call("append", run, 0, "mark", 1, "push"))[0] == b"ordered"


async def test_the_fate_of_a_script_that_fails_on_its_way_is_open(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, _ = await following(links)
        redis.execute("SET", "collab:{doc}:log", "no stream")
        with pytest.raises(FateUnknown, match="WRONGTYPE"):
            await link.call("append", link.run or "", 0, "mark", 1, "push")


async def test_more_than_may_wait_is_refused(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "MAX_CALLS", 10)
    async with links_to(redis.url) as links:
        link, _ = await following(links)
        for _ in range(2):  # what was answered makes room
            calls = (link.call("tell", str(number)) for number in range(15))
            done = await asyncio.gather(*calls, return_exceptions=True)
            assert done[:10] == [[1]] * 10
            assert all(isinstance(each, NotDone) for each in done[10:])


async def test_more_bytes_than_may_wait_are_refused(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "MAX_BYTES", 1_000)
    async with links_to(redis.url) as links:
        link, _ = await following(links)
        with pytest.raises(NotDone, match="too much"):
            await link.call("tell", "x" * 1_000)
        assert await link.call("tell", "x") == [1]


# -- What a lost connection costs -----------------------------------------------------------------


async def test_a_call_whose_connection_is_lost_was_sent_once(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, heard = await following(links)
        redis.execute("CONFIG", "RESETSTAT")
        redis.pause()
        call = asyncio.create_task(link.call("tell", "once"), name="call")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        link.doubt()
        with pytest.raises(FateUnknown):
            await call
        redis.resume()
        before = await heard.until("connected")
        assert await link.call("tell", "last") == [1]
        before += await heard.until(b"mlast")
        assert before.count(b"monce") == 1
        assert calls_done(redis) == 2


async def test_a_call_that_was_not_written_yet_is_not_done(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, heard = await following(links)
        redis.execute("CONFIG", "RESETSTAT")
        call = asyncio.create_task(link.call("tell", "never"), name="call")
        await asyncio.sleep(0)
        link.doubt()
        with pytest.raises(NotDone):
            await call
        await heard.until("connected")
        assert await link.call("tell", "last") == [1]
        assert calls_done(redis) == 1


async def test_a_lost_subscription_stops_no_calls_and_is_there_again(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        follows = [await following(links, f"document{number}") for number in range(200)]
        redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
        link, _ = follows[0]
        assert await link.call("lead", "a server", 1_000) == [1, 1_000]
        for link, heard in follows:
            assert await heard.next() == ["subscribed"]
            await link.call("tell", "hello")
            assert await heard.next() == [b"mhello"]


async def test_calls_that_are_lost_leave_what_is_heard_alone(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, heard = await following(links)
        redis.execute("CLIENT", "KILL", "TYPE", "normal")
        assert await heard.next(2) == ["disconnected", "connected"]
        await link.call("tell", "hello")
        assert await heard.next() == [b"mhello"]


async def test_a_peer_that_is_gone_without_a_word_is_noticed(redis: RedisServer) -> None:
    """Nobody calls anything: a paused Redis is silent as a lost network is."""
    async with links_to(redis.url, limit_s=0.5) as links:
        link, heard = await following(links)
        redis.pause()
        assert await heard.next() == ["disconnected"]
        assert link.run is None
        async with asyncio.timeout(PATIENCE_S):
            while link.hears:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
        redis.resume()
        assert sorted(map(str, await heard.next(2))) == ["connected", "subscribed"]


def test_a_server_that_slept_reads_what_came_before_it_gives_up(redis: RedisServer) -> None:
    """On the loop that serves."""

    async def sleep_through_the_limit() -> None:
        async with links_to(redis.url, limit_s=0.5) as links:
            link, heard = await following(links)
            call = asyncio.create_task(link.call("tell", "hello"), name="call")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            time.sleep(1.5)  # noqa: ASYNC251 - the whole process does
            assert await call == [1]
            assert await heard.next() == [b"mhello"]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(sleep_through_the_limit())


async def test_who_follows_a_document_no_more_hears_nothing(redis: RedisServer) -> None:
    async with links_to(redis.url) as links:
        link, heard = await following(links)
        closed, unheard = await following(links)
        closed.close()
        await link.call("tell", "hello")
        assert await heard.next() == [b"mhello"]
        link.close()
        again, heard_again = await following(links)
        await again.call("tell", "again")
        assert await heard_again.next() == [b"magain"]
        redis.execute("CLIENT", "KILL", "TYPE", "normal")
        await heard_again.until("connected")
        assert heard.waiting == unheard.waiting == 0
        with pytest.raises(NotDone):
            await closed.call("tell", "hello")


async def test_links_are_closed_in_the_middle_of_everything(redis: RedisServer) -> None:
    redis.pause()
    async with asyncio.TaskGroup() as tasks:
        links = RedisLinks(redis.url, 3.0, tasks)
        starting = tasks.create_task(links.start(), name="start")
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        await links.close()
