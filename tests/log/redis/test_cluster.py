"""A cluster: each node has its documents, and the links follow them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bench.redis import private_cluster
from collab.log.redis.link import NotDone
from tests.redis import Heard, following, links_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.redis import RedisCluster, RedisServer


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with private_cluster(3) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _empty(cluster: RedisCluster) -> Iterator[None]:
    for node in cluster.nodes:
        node.execute("FLUSHALL")
    yield
    for node in cluster.nodes:
        node.start()
    cluster.wait()


def on_each_node(cluster: RedisCluster) -> dict[RedisServer, str]:
    """A document that each node has."""
    found: dict[RedisServer, str] = {}
    number = 0
    while len(found) < len(cluster.nodes):
        number += 1
        found.setdefault(cluster.owner(f"document{number}"), f"document{number}")
    return found


async def test_documents_are_spread_over_all_nodes(cluster: RedisCluster) -> None:
    async with links_to(cluster.url) as here, links_to(cluster.nodes[2].url) as there:
        runs = set()
        for name in on_each_node(cluster).values():
            link, heard = await following(here, name)
            _, also_heard = await following(there, name)
            await link.call("seed", link.run or "", 0, "mark")
            await link.call("tell", "hello")
            assert await heard.next() == await also_heard.next() == [b"mhello"]
            runs.add(link.run)
        assert len(runs) == 3
        assert {name async for name in here.documents()} == {*on_each_node(cluster).values()}


async def test_calls_of_one_turn_are_done_in_their_order(cluster: RedisCluster) -> None:
    async with links_to(cluster.url) as links:
        follows = [await following(links, name) for name in on_each_node(cluster).values()]
        await asyncio.gather(
            *(link.call("tell", str(number)) for number in range(100) for link, _ in follows)
        )
        for _, heard in follows:
            assert await heard.next(100) == [f"m{number}".encode() for number in range(100)]


async def test_a_document_is_followed_to_another_node(cluster: RedisCluster) -> None:
    async with links_to(cluster.url) as links:
        first, second, _ = on_each_node(cluster)
        name = on_each_node(cluster)[first]
        link, heard = await following(links, name)
        run = link.run
        await link.call("seed", run or "", 0, "mark")
        try:
            cluster.move(name, second)
            assert sorted(map(str, await heard.next(3))) == [
                "connected",
                "disconnected",
                "subscribed",
            ]
            assert link.run not in {None, run}
            calls = (link.call("tell", str(number)) for number in range(10))
            await asyncio.gather(*calls)
            assert await heard.next(10) == [f"m{number}".encode() for number in range(10)]
            assert await link.call("seed", link.run or "", 0, "mark") == [b"offered"]
        finally:
            cluster.move(name, first)


async def test_a_call_that_finds_its_document_moved_is_done_where_it_is(
    cluster: RedisCluster,
) -> None:
    """In the same turn as the move: before anything tells the links of it."""
    async with links_to(cluster.url) as links:
        first, second, _ = on_each_node(cluster)
        name = on_each_node(cluster)[first]
        link, heard = await following(links, name)
        try:
            cluster.move(name, second)
            calls = (link.call("tell", str(number)) for number in range(10))
            assert [answer for [answer] in await asyncio.gather(*calls)]
            await heard.until("subscribed")
            assert await link.call("tell", "last") == [1]
        finally:
            cluster.move(name, first)


async def test_a_node_that_is_killed_stops_its_own_documents_only(cluster: RedisCluster) -> None:
    for node in cluster.nodes:
        node.execute("CONFIG", "SET", "cluster-require-full-coverage", "no")
    async with links_to(cluster.url) as links:
        (_, kept), (killed, lost), *_ = on_each_node(cluster).items()
        link, heard = await following(links, kept)
        lost_link, lost_heard = await following(links, lost)
        run = lost_link.run
        killed.kill()
        assert await lost_heard.until("disconnected") == []
        with pytest.raises(NotDone):
            await lost_link.call("tell", "hello")
        await link.call("tell", "hello")
        assert await heard.next() == [b"mhello"]
        killed.start()
        assert sorted(map(str, await lost_heard.next(2))) == ["connected", "subscribed"]
        assert lost_link.run not in {None, run}
        assert heard.waiting == 0


async def test_a_cluster_that_comes_back_as_a_whole_is_found(cluster: RedisCluster) -> None:
    async with links_to(cluster.url) as links:
        heards = []
        for name in on_each_node(cluster).values():
            _, heard = await following(links, name)
            heards.append(heard)
        for node in cluster.nodes:
            node.kill()
        for heard in heards:
            await heard.until("disconnected")
        for node in cluster.nodes:
            node.start()
        for heard in heards:
            assert sorted(map(str, await heard.next(2))) == ["connected", "subscribed"]


async def test_links_may_begin_at_any_node(cluster: RedisCluster) -> None:
    for node in cluster.nodes:
        async with links_to(node.url) as links:
            for name in on_each_node(cluster).values():
                await following(links, name)
            closed = Heard()
            links.link("doc", closed).close()
            assert closed.waiting == 0
