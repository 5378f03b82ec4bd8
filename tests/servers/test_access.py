"""Who may do what changes on one server, and holds on all of them (X2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.storage import documents
from tests.standing import give

if TYPE_CHECKING:
    from bench.redis import RedisServer
    from tests.servers.site import Site


async def test_x2_a_change_acts_on_a_server_that_did_not_make_it(either: Site) -> None:
    """Over each database; the server that makes it does not have the document open."""
    one, other = either.one, either.other
    document_id = await one.document("hello")
    bob, eve = await other.join(document_id, "Bob"), await other.join(document_id, "Eve")
    await one.closed(document_id)
    await give(one, document_id, "Bob", "viewer", known_to=other)
    assert (await bob.hear("role"))["role"] == "viewer"
    await bob.push([5, [0, "!"]])
    assert (await bob.hear("refused"))["code"] == "forbidden"
    await give(one, document_id, "Bob", "removed", known_to=other)
    assert await bob.closed() == 4403
    await eve.push([5, [0, "!"]])
    await eve.heard(2)


async def test_x2_a_change_acts_where_it_is_made_too(site: Site) -> None:
    document_id = await site.one.document("hello")
    ada, bob = await site.one.join(document_id), await site.other.join(document_id, "Bob")
    await give(site.other, document_id, "Bob", "removed")
    assert await bob.closed() == 4403
    await ada.push([5, [0, "!"]])
    await ada.heard(2)


async def test_x2_while_redis_is_away_each_server_finds_out_for_itself(
    over_sqlite: Site, redis: RedisServer
) -> None:
    async with over_sqlite.open(access_check_s=0.2) as site:
        document_id, gone_id = await site.one.document("hello"), await site.one.document("hello")
        bob = await site.other.join(document_id, "Bob")
        eve = await site.other.join(gone_id, "Eve")
        redis.stop()
        await give(site.one, document_id, "Bob", "removed", known_to=site.other)
        assert await bob.closed() == 4403
        await site.one.services.database.write(
            lambda connection: documents.delete(connection, gone_id)
        )
        await site.one.services.registry.remove(gone_id)
        assert await eve.closed() == 4404
        redis.start()
