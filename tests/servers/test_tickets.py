"""A ticket of one server is good on another, once on all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from websockets.exceptions import InvalidStatus

from tests.peer import Peer

if TYPE_CHECKING:
    from tests.servers.site import Site


async def test_h1_a_ticket_opens_one_session_on_all_servers_together(either: Site) -> None:
    document_id = await either.one.document()
    headers = await either.one.authorization()
    path = f"/v1/documents/{document_id}/tickets"
    for _ in range(5):
        ticket = (await either.one.http.post(path, headers=headers)).json()["ticket"]
        came = await asyncio.gather(
            *(Peer.join(each.port, document_id, ticket) for each in (either.one, either.other)),
            return_exceptions=True,
        )
        (peer,) = (each for each in came if isinstance(each, Peer))
        (refused,) = (each for each in came if isinstance(each, InvalidStatus))
        assert refused.response.status_code == 401
        await peer.leave()
