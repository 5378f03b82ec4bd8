"""A user's role changes while connected (X2), over a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.peer import Peer
    from tests.serving import Serving


def user_of(server: Serving, document_id: str, peer: Peer) -> str:
    sessions = server.room(document_id).attendance.sessions()
    (user_id,) = (each.user_id for each in sessions if each.client == peer.name)
    return user_id


async def test_x2_who_loses_write_access_is_told_and_refused_from_then_on(server: Serving) -> None:
    document_id = await server.document("text")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    room = server.room(document_id)
    bobs = user_of(server, document_id, bob)
    room.access_changed(bobs, "viewer")
    assert await bob.hear("role") == {"type": "role", "role": "viewer"}
    await bob.push([4, [0, "!"]])
    assert (await bob.hear("refused"))["code"] == "forbidden"
    room.access_changed(bobs, "editor")
    assert (await bob.hear("role"))["role"] == "editor"
    await bob.push([4, [0, "!"]])
    await bob.heard(2)
    await ada.heard(2)
    await ada.leave()
    await bob.leave()


async def test_x2_a_role_that_stays_is_not_told(server: Serving) -> None:
    document_id = await server.document("text")
    bob = await server.join(document_id, "Bob")
    room = server.room(document_id)
    bobs = user_of(server, document_id, bob)
    room.access_changed(bobs, "editor")
    room.access_changed(bobs, "commenter")
    assert (await bob.hear("role"))["role"] == "commenter"
    await bob.leave()


async def test_x2_who_loses_all_access_is_closed_with_4403(server: Serving) -> None:
    document_id = await server.document("text")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    server.room(document_id).access_changed(user_of(server, document_id, bob), None)
    assert await bob.closed() == 4403
    await ada.push([4, [0, "!"]])
    await ada.heard(2)
    await ada.leave()
