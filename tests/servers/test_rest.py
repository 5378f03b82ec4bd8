"""REST on one server sees what another has ordered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

    from bench.redis import RedisServer
    from tests.servers.site import Site
    from tests.serving import Serving


async def insert(
    server: Serving, document_id: str, at: int, base: int, **headers: str
) -> httpx2.Response:
    """Insert `?` into the text of revision `base`."""
    return await server.http.patch(
        f"/v1/documents/{document_id}/text",
        json={"edits": [{"from": at, "to": at, "insert": "?"}]},
        headers={**await server.authorization(), "If-Match": f'"{base}"', **headers},
    )


async def test_a_server_reads_what_another_has_just_ordered_and_nobody_saved(
    site: Site, redis: RedisServer
) -> None:
    """Even where it has not heard of it."""
    document_id = await site.one.document("hello")
    ada = await site.one.join(document_id)
    await site.other.text(document_id)
    with site.unsaved():
        for length in range(5, 10):
            redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
            await ada.push([length, [0, "!"]])
            await ada.heard(length - 3)
            assert await site.other.text(document_id) == "hello" + "!" * (length - 4)


async def test_an_edit_is_based_on_what_another_server_has_just_ordered(site: Site) -> None:
    """And one on what was before is merged with it."""
    document_id = await site.one.document("hello")
    ada = await site.one.join(document_id)
    await site.other.text(document_id)
    for length in (5, 7, 9):
        await ada.push([length, [0, "!"]])
        await ada.heard(length - 3)
        answer = await insert(site.other, document_id, length + 1, ada.revision)
        assert (answer.status_code, answer.headers["etag"]) == (200, f'"{length - 2}"')
        await ada.heard(length - 2)
    assert (await insert(site.other, document_id, 0, 1)).status_code == 200
    assert await site.one.text(document_id) == await site.other.text(document_id) == "?hello!?!?!?"


async def test_one_request_that_comes_to_both_servers_at_once_is_done_once(either: Site) -> None:
    document_id = await either.one.document("hello")
    servers = (either.one, either.other)
    key = {"Idempotency-Key": "a-key", **await either.one.authorization()}
    at_once = await asyncio.gather(
        *(insert(server, document_id, 5, 1, **key) for server in servers)
    )
    assert {answer.status_code for answer in at_once} <= {200, 409}
    for server in servers:
        again = await insert(server, document_id, 5, 1, **key)
        assert (again.status_code, again.headers["etag"]) == (200, '"2"')
        assert await server.text(document_id) == "hello?"
