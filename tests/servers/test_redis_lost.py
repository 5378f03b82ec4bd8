"""Redis is away, slow, or back with nothing: people wait, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.servers.site import type_through, verdict

if TYPE_CHECKING:
    from bench.redis import RedisServer
    from tests.servers.site import Site

ROUNDS = 3


async def test_redis_that_comes_back_with_nothing_ends_no_session_and_nothing_shown_is_lost(
    site: Site, redis: RedisServer
) -> None:
    """What it had and the database has not, the servers put back."""
    document_id = await site.one.document("hello")
    ada, bob = await site.one.join(document_id), await site.other.join(document_id, "Bob")
    with site.unsaved():
        await ada.push([5, [0, "!"]])
        await asyncio.gather(ada.heard(2), bob.heard(2))
        redis.kill()
        redis.start()
        assert await type_through(bob, [6, [0, "?"]]) >= 1
        await ada.heard(3)
        assert await site.saved_revision(document_id) == 1
    await type_through(ada, [7, [0, "."]])
    await bob.heard(4)
    assert ada.mark == bob.mark
    await asyncio.gather(ada.saved(4), bob.saved(4))
    assert await site.one.text(document_id) == await site.other.text(document_id) == "hello!?."


async def test_p5_a_push_while_redis_is_away_is_refused_and_goes_through_when_it_is_back(
    site: Site, redis: RedisServer
) -> None:
    document_id = await site.one.document("hello")
    ada, bob = await site.one.join(document_id), await site.other.join(document_id, "Bob")
    await ada.push([5, [0, "!"]])
    await asyncio.gather(ada.heard(2), bob.heard(2))
    redis.kill()
    for peer in (ada, bob):
        refusal = await verdict(peer, await peer.push([6, [0, "?"]]))
        assert refusal is not None
        assert refusal["code"] == "unavailable"
        assert refusal["retry_after_ms"] > 0
    assert await site.one.text(document_id) == "hello!"
    redis.start()
    await type_through(ada, [6, [0, "?"]])
    await bob.heard(3)
    await type_through(bob, [7, [0, "."]])
    await ada.heard(4)
    assert ada.mark == bob.mark
    assert await site.one.text(document_id) == await site.other.text(document_id) == "hello!?."


async def test_p4_a_push_that_redis_does_not_answer_in_time_has_one_verdict_and_is_there_once(
    over_sqlite: Site, redis: RedisServer
) -> None:
    async with over_sqlite.open(redis_timeout_s=0.5) as site:
        document_id = await site.one.document()
        ada, bob = await site.one.join(document_id), await site.other.join(document_id, "Bob")
        length = 0
        for _ in range(ROUNDS):
            redis.pause()
            seq = await ada.push([[0, "x"], *([length] if length else [])])
            assert await site.one.text(document_id) == "x" * length  # the time limit is over
            redis.resume()
            if await verdict(ada, seq) is not None:
                await ada.heard(ada.revision)
                await type_through(ada, [[0, "x"], *([length] if length else [])])
            length += 1
            assert await site.one.text(document_id) == "x" * length
        await bob.heard(ada.revision)
        assert bob.mark == ada.mark
        assert await site.other.text(document_id) == "x" * length


async def test_p5_a_push_that_went_down_with_redis_is_refused_and_goes_through_again(
    over_sqlite: Site, redis: RedisServer
) -> None:
    """P4: its author waits until that is certain, however long Redis is away."""
    async with over_sqlite.open(redis_timeout_s=0.5) as site:
        document_id = await site.one.document("hello")
        ada, bob = await site.one.join(document_id), await site.other.join(document_id, "Bob")
        redis.pause()
        seq = await ada.push([5, [0, "!"]])
        assert await site.one.text(document_id) == "hello"  # the time limit is over
        redis.kill()
        redis.start()
        refusal = await verdict(ada, seq)
        assert refusal is not None
        assert refusal["code"] == "unavailable"
        await ada.heard(2)  # what settles it has a revision
        await type_through(ada, [5, [0, "!"]])
        await bob.heard(ada.revision)
        assert await site.one.text(document_id) == await site.other.text(document_id) == "hello!"


async def test_u2_what_is_ordered_while_a_server_hears_nothing_reaches_its_editors(
    site: Site, redis: RedisServer
) -> None:
    """The stream has what the lost publication had."""
    document_id = await site.one.document()
    ada, bob = await site.one.join(document_id), await site.other.join(document_id, "Bob")
    for length in range(5):
        redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
        await ada.push([length, [0, "x"]] if length else [[0, "x"]])
        await bob.heard(length + 1)
        await ada.heard(length + 1)
    assert ada.mark == bob.mark


async def test_h8_a_push_on_what_another_server_showed_waits_until_it_is_heard(
    site: Site, redis: RedisServer
) -> None:
    document_id = await site.one.document()
    ada, bob = await site.one.join(document_id), await site.other.join(document_id, "Bob")
    for length in range(0, 10, 2):
        redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
        await ada.push([length, [0, "x"]] if length else [[0, "x"]])
        await ada.heard(length + 1)
        await bob.push([length + 1, [0, "y"]], revision=length + 1)
        await asyncio.gather(ada.heard(length + 2), bob.heard(length + 2))
    assert ada.mark == bob.mark
    assert await site.other.text(document_id) == "xy" * 5
