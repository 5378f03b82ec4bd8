"""A server dies, or sleeps and wakes: the others go on, and nothing that was shown is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed

from tests.peer import Peer
from tests.servers.site import type_through, verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.redis import RedisServer
    from bench.server import ServerProcess
    from tests.servers.site import Site

PATIENCE_S = 20


@pytest.fixture
async def victim(site: Site) -> AsyncIterator[ServerProcess]:
    """A third server. It has heard nothing of any document yet."""
    async with site.process() as process:
        yield process


async def test_p4_a_push_that_a_sleeping_server_had_is_settled_by_another(
    site: Site, victim: ServerProcess
) -> None:
    """H7: when it wakes, what it orders then takes no effect."""
    document_id = await site.one.document("hello")
    token = await site.one.token()
    ada, bob = (
        await Peer.join(victim.port, document_id, token),
        await site.one.join(document_id, "Bob"),
    )
    victim.pause()
    seq = await ada.push([5, [0, "!"]])
    back = await site.one.join(
        document_id, client=ada.client_id, revision=1, mark=ada.mark, inflight=seq
    )
    assert back.welcome["inflight"] == "void"
    victim.resume()
    with suppress(ConnectionClosed):  # since a newer session of the client came
        assert await verdict(ada, seq) is not None
    await back.heard(back.welcome["head"])
    await back.push([5, [0, "?"]], seq=seq + 1)
    assert await verdict(back, seq + 1) is None
    await bob.heard(back.revision)
    assert await site.one.text(document_id) == await site.other.text(document_id) == "hello?"


async def test_s1_another_server_saves_when_the_one_that_did_is_gone(
    site: Site, victim: ServerProcess
) -> None:
    """Promise 4: what the dead one had ordered and not saved, and what is typed since."""
    document_id = await site.one.document("hello")
    ada = await Peer.join(victim.port, document_id, await site.one.token())
    await ada.push([5, [0, "!"]])
    await ada.saved(2)
    bob = await site.one.join(document_id, "Bob")
    with site.unsaved():
        await ada.push([6, [0, "?"]])
        await bob.heard(3)
        await victim.kill()
        await bob.push([7, [0, "!"]])
        await bob.heard(4)
    await bob.saved(4)
    assert await site.saved_revision(document_id) == 4


async def test_what_the_last_server_of_a_document_left_is_saved_by_one_that_never_had_it(
    over_sqlite: Site,
) -> None:
    async with over_sqlite.open(sweep_s=0.2) as site, site.process() as victim:
        document_id = await site.one.document("hello")
        with site.unsaved():
            ada = await Peer.join(victim.port, document_id, await site.one.token())
            await ada.push([5, [0, "!"]])
            await ada.heard(2)
            await victim.kill()
            assert await site.saved_revision(document_id) == 1
        async with asyncio.timeout(PATIENCE_S):
            while await site.saved_revision(document_id) < 2:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.05)
    assert site.one.room(document_id) is None


async def test_a_server_that_slept_while_redis_lost_all_goes_on_where_the_others_are(
    site: Site, victim: ServerProcess, redis: RedisServer
) -> None:
    document_id = await site.one.document("hello")
    token = await site.one.token()
    ada, bob = (
        await Peer.join(victim.port, document_id, token),
        await site.one.join(document_id, "Bob"),
    )
    await ada.push([5, [0, "!"]])
    await asyncio.gather(ada.heard(2), bob.heard(2))
    await bob.saved(2)  # a process that sleeps in a commit to SQLite holds all others up
    victim.pause()
    redis.kill()
    redis.start()
    for length in (6, 7, 8):
        await type_through(bob, [length, [0, "?"]])
    await bob.saved(5)
    victim.resume()
    back = await Peer.join(
        victim.port, document_id, token, client=ada.client_id, revision=2, mark=ada.mark
    )
    assert "reset" not in back.welcome
    await back.heard(5)
    assert back.mark == bob.mark
    next(back.seqs)  # the first was used before
    await type_through(back, [9, [0, "."]])
    await bob.heard(6)
    assert await site.other.text(document_id) == "hello!???."
