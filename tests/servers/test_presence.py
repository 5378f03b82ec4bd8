"""Presence and control across two servers that share a database and Redis."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.test_presence import present, told
from tests.serving import Serving, serving
from tests.standing import give

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bench.redis import RedisServer

Servers = tuple[Serving, Serving]


@pytest.fixture
async def servers(tmp_path: Path, redis: RedisServer) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {"redis_url": redis.url, "heartbeat_s": 2.0}
        one = await stack.enter_async_context(serving(tmp_path, **settings))
        yield one, await stack.enter_async_context(serving(tmp_path, **settings))


async def test_a2_an_editor_on_another_server_is_seen_to_come_to_move_and_to_go(
    servers: Servers,
) -> None:
    one, other = servers
    document_id = await one.document("hello")
    ada, bob = await one.join(document_id), await other.join(document_id, "Bob")
    assert (await told(ada, bob.name))["ranges"] == []
    await present(bob, (1, 4))
    assert (await told(ada, bob.name))["ranges"] == [[1, 4]]
    answer = await one.http.get(f"/v1/documents/{document_id}", headers=await one.authorization())
    assert answer.json()["editors"] == 2
    eve = await one.join(document_id, "Eve")
    assert {peer["name"] for peer in eve.welcome["presence"]} == {"Ada", "Bob"}
    await bob.leave()
    while bob.name not in (await ada.hear("presence"))["left"]:
        pass
    await ada.leave()
    await eve.leave()


async def test_a2_what_is_told_while_nobody_hears_is_told_again(
    servers: Servers, redis: RedisServer
) -> None:
    one, other = servers
    document_id = await one.document("hello")
    ada, bob = await one.join(document_id), await other.join(document_id, "Bob")
    await told(ada, bob.name)
    for place in range(5):
        redis.execute("CLIENT KILL TYPE pubsub")
        await bob.send({"type": "beat"})  # nobody reads what he hears
        await present(bob, (place, place))
        while (await told(ada, bob.name))["ranges"] != [[place, place]]:
            pass
    await ada.leave()
    await bob.leave()


async def test_l3_a_newer_session_on_another_server_ends_the_older(servers: Servers) -> None:
    """H7: what the older one had in flight is settled, and the newer one goes on."""
    one, other = servers
    document_id = await one.document("hello")
    older = await one.join(document_id)
    await older.push([5, [0, "!"]])
    newer = await other.join(document_id, client=older.client_id, inflight=1)
    assert await older.closed() == 4409
    if newer.welcome["inflight"] == "void":
        await newer.push([5, [0, "!"]], revision=1)
        await newer.heard(newer.revision + 1)
    assert await one.text(document_id) == await other.text(document_id) == "hello!"
    await newer.leave()


async def test_x2_a_change_of_access_and_a_deletion_act_on_both(servers: Servers) -> None:
    one, other = servers
    document_id = await one.document("hello")
    ada, bob = await one.join(document_id), await other.join(document_id, "Bob")
    await give(one, document_id, "Bob", "viewer", known_to=other)
    assert (await bob.hear("role"))["role"] == "viewer"
    answer = await one.http.delete(
        f"/v1/documents/{document_id}", headers=await one.authorization()
    )
    assert answer.status_code == 204
    assert [await ada.closed(), await bob.closed()] == [4404, 4404]
