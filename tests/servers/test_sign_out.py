"""Who signs out on one server is signed out on all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.peer import Peer

if TYPE_CHECKING:
    from bench.redis import RedisServer
    from tests.servers.site import Site


async def test_x1_who_signs_out_on_one_server_is_closed_with_4401_on_the_other(
    either: Site, redis: RedisServer
) -> None:
    """Redis may be gone: the database tells."""
    document_id = await either.one.document()
    ada = await Peer.join(either.other.port, document_id, await either.one.token())
    bob = await either.other.join(document_id, "Bob")
    redis.stop()
    headers = await either.one.authorization()
    assert (await either.one.http.post("/v1/auth/logout", headers=headers)).status_code == 204
    assert await ada.closed() == 4401
    assert (await either.other.http.get("/v1/me", headers=headers)).status_code == 401
    assert bob.connection.close_code is None
    redis.start()
    await bob.leave()
