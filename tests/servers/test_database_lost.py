"""The database is away: typing goes on, and `saved` stands still and says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.servers.site import Site, insertion, type_through, verdict

if TYPE_CHECKING:
    from pathlib import Path

    from bench.redis import RedisServer
    from tests.postgres import Postgres

UNSAVED_REVISIONS = 4_000
AT_A_TIME = 1_000


async def test_typing_goes_on_without_the_database_and_all_is_saved_when_it_is_back(
    tmp_path: Path, redis: RedisServer, postgres: Postgres
) -> None:
    """S1: nobody is told that anything is saved meanwhile."""
    async with (
        postgres.database() as url,
        Site(tmp_path, redis, url).open(commit_patience_s=0.5) as site,
    ):
        document_id = await site.one.document()
        ada, bob = await site.one.join(document_id), await site.other.join(document_id, "Bob")
        postgres.server.stop("immediate")
        for length, peer in enumerate([ada, bob] * 5):
            await peer.push(insertion("x", length))
            await asyncio.gather(ada.heard(length + 1), bob.heard(length + 1))
        for server in (site.one, site.other):
            assert server.room(document_id).saved_revision == 0
        postgres.server.start()
        await asyncio.gather(ada.saved(10), bob.saved(10))
        assert await site.saved_revision(document_id) == 10


async def test_p5_what_may_be_unsaved_has_a_limit(over_sqlite: Site) -> None:
    """Every server refuses beyond it, and goes on when the database has caught up."""
    async with over_sqlite.open(commit_patience_s=0.5) as site:
        document_id = await site.one.document()
        ada, bob = await site.one.join(document_id), await site.other.join(document_id, "Bob")
        with site.unsaved():
            for begun in range(0, UNSAVED_REVISIONS, AT_A_TIME):
                await ada.push(*(insertion("x", begun + more) for more in range(AT_A_TIME)))
                await asyncio.gather(ada.heard(begun + AT_A_TIME), bob.heard(begun + AT_A_TIME))
            for peer in (ada, bob):
                refusal = await verdict(peer, await peer.push([UNSAVED_REVISIONS, [0, "!"]]))
                assert refusal is not None
                assert refusal["code"] == "unavailable"
                assert refusal["retry_after_ms"] > 0
            assert await site.saved_revision(document_id) == 0
        await type_through(bob, [UNSAVED_REVISIONS, [0, "!"]])
        await ada.heard(UNSAVED_REVISIONS + 1)
        await ada.saved(UNSAVED_REVISIONS + 1)
        assert await site.one.text(document_id) == "x" * UNSAVED_REVISIONS + "!"
