"""A ticket opens one session (H1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from websockets.exceptions import InvalidStatus

from tests.peer import Peer

if TYPE_CHECKING:
    from tests.serving import Serving

NOT_VALID = 401, "the ticket is not valid"


async def ticket(server: Serving, document_id: str, name: str = "Ada") -> str:
    answer = await server.http.post(
        f"/v1/documents/{document_id}/tickets", headers=await server.authorization(name)
    )
    assert answer.status_code == 201
    assert set(answer.json()) == {"ticket", "expires_at"}
    made: str = answer.json()["ticket"]
    return made


async def refused(server: Serving, document_id: str, given: str) -> tuple[int, str]:
    status, problem = await server.refusal(document_id, token=given)
    return status, problem["detail"]


async def test_h1_a_ticket_opens_a_session_once(server: Serving) -> None:
    document_id = await server.document()
    given = await ticket(server, document_id)
    peer = await Peer.join(server.port, document_id, given)
    await peer.push([[0, "x"]])
    await peer.heard(1)
    assert await refused(server, document_id, given) == NOT_VALID
    await peer.leave()


async def test_h1_of_two_who_come_with_one_ticket_at_once_one_gets_in(server: Serving) -> None:
    document_id = await server.document()
    given = await ticket(server, document_id)
    came = await asyncio.gather(
        *(Peer.join(server.port, document_id, given) for _ in range(5)), return_exceptions=True
    )
    (peer,) = (each for each in came if isinstance(each, Peer))
    answers = [each.response.status_code for each in came if isinstance(each, InvalidStatus)]
    assert answers == [401] * 4
    await peer.leave()


async def test_h1_a_ticket_is_for_one_document(server: Serving) -> None:
    first, second = await server.document(), await server.document()
    given = await ticket(server, first)
    assert await refused(server, second, given) == NOT_VALID
    assert await refused(server, "nowhere", given) == NOT_VALID
    await (await Peer.join(server.port, first, given)).leave()


async def test_h1_what_was_never_a_ticket_opens_nothing(server: Serving) -> None:
    document_id = await server.document()
    assert await refused(server, document_id, "0qZ5JkLr8mYw2VxT7nB4cH6dG1sFaEuP") == NOT_VALID
    for given in ("x", "x" * 3_000, "é" * 32, "\0" * 32):
        assert await refused(server, document_id, given) == (401, "the token is not valid")


async def test_x1_a_session_is_of_the_sign_in_that_its_ticket_came_from(server: Serving) -> None:
    document_id = await server.document()
    peer = await Peer.join(server.port, document_id, await ticket(server, document_id))
    late = await ticket(server, document_id)
    headers = await server.authorization()
    await server.http.post("/v1/auth/logout", headers=headers)
    assert await peer.closed() == 4401
    assert await refused(server, document_id, late) == (401, "this sign-in has ended")


async def test_x1_a_session_that_a_ticket_opened_is_renewed_by_a_token(server: Serving) -> None:
    document_id = await server.document()
    peer = await Peer.join(server.port, document_id, await ticket(server, document_id))
    await peer.send({"type": "token", "token": await server.token()})
    await peer.push([[0, "x"]])
    await peer.heard(1)
    await peer.send({"type": "token", "token": await ticket(server, document_id)})
    assert await peer.closed() == 4401


async def test_a_ticket_is_made_for_whoever_may_read(server: Serving) -> None:
    path = f"/v1/documents/{await server.document()}/tickets"
    assert (await server.http.post(path)).status_code == 401
    nowhere = await server.http.post(
        "/v1/documents/nowhere/tickets", headers=await server.authorization()
    )
    assert nowhere.status_code == 404
