"""Signing out ends what was signed in, over a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collab.access.revocation import of_user
from collab.api import revoking
from collab.live import endpoint
from tests.peer import Peer
from tests.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2
    import pytest

    from collab.api.services import Services
    from tests.serving import Serving


def services_of(server: Serving) -> Services:
    running: Services = server._app.state.services
    return running


async def call(server: Serving, path: str, token: str) -> httpx2.Response:
    return await server.http.post(path, headers={"Authorization": f"Bearer {token}"})


async def renewed(server: Serving, token: str) -> str:
    answer = await call(server, "/v1/auth/refresh", token)
    again: str = answer.raise_for_status().json()["token"]
    return again


async def test_x1_who_signs_out_is_closed_with_4401_at_once_and_nobody_else_is(
    server: Serving,
) -> None:
    document_id = await server.document()
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    again = await Peer.join(server.port, document_id, await renewed(server, await server.token()))
    assert (await call(server, "/v1/auth/logout", await server.token())).status_code == 204
    for peer in (ada, again):
        assert await peer.closed() == 4401
        assert peer.connection.close_reason == "this sign-in has ended"
    await bob.push([[0, "x"]])
    await bob.heard(1)
    await bob.leave()


async def test_no_token_of_a_sign_in_that_has_ended_is_good_for_anything(server: Serving) -> None:
    document_id = await server.document()
    token = await server.token()
    again = await renewed(server, token)
    await call(server, "/v1/auth/logout", again)
    for each in (token, again):
        answer = await call(server, "/v1/auth/refresh", each)
        assert (answer.status_code, answer.json()["detail"]) == (401, "this sign-in has ended")
        assert (await call(server, "/v1/auth/logout", each)).status_code == 401
        status, problem = await server.refusal(document_id, token=each)
        assert (status, problem["detail"]) == (401, "this sign-in has ended")


async def test_it_holds_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        token = await server.token()
        await call(server, "/v1/auth/logout", token)
    async with serving(tmp_path) as server:
        assert (await call(server, "/v1/auth/refresh", token)).status_code == 401


async def test_x1_all_of_a_users_sign_ins_may_be_ended_but_for_new_ones(server: Serving) -> None:
    document_id = await server.document()
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    services = services_of(server)
    identity = await services.tokens.verify(await server.token())
    await revoking.revoke(services, of_user(identity.user_id, services.now_ms(), 3600))
    assert await ada.closed() == 4401
    token, _ = services.tokens.issue(identity.user)
    again = await Peer.join(server.port, document_id, token)
    await again.leave()
    await bob.leave()


async def test_x1_a_token_that_is_revoked_during_its_handshake_leads_to_no_session(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = await server.document()
    services_of(server)

    settle = endpoint._settle

    async def settle_and_sign_out(*args: Any, **options: Any) -> Any:
        settled = await settle(*args, **options)
        await call(server, "/v1/auth/logout", await server.token())
        return settled

    monkeypatch.setattr(endpoint, "_settle", settle_and_sign_out)
    peer = await server.join(document_id)
    assert await peer.closed() == 4401
    assert not server.room(document_id).attendance.sessions()


async def test_x1_the_token_that_a_session_was_renewed_with_counts(server: Serving) -> None:
    """The sign-in of its first may end."""
    document_id = await server.document()
    services = services_of(server)
    peer = await server.join(document_id)
    identity = await services.tokens.verify(await server.token())
    token, _ = services.tokens.issue(identity.user)
    await peer.send({"type": "token", "token": token})
    await peer.push([[0, "x"]])
    await peer.heard(1)
    await call(server, "/v1/auth/logout", await server.token())
    await peer.push([1, [0, "y"]])
    await peer.heard(2)
    await call(server, "/v1/auth/logout", token)
    assert await peer.closed() == 4401


async def test_x1_of_many_who_sign_out_at_once_the_sessions_are_looked_at_once(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, document_id = services_of(server), await server.document()
    ada = await server.join(document_id)
    room = services.registry.peek(document_id)
    assert room is not None
    check, looks = room.attendance.check, list[float]()

    def counted(now: float) -> None:
        looks.append(now)
        check(now)

    monkeypatch.setattr(room.attendance, "check", counted)
    for n in range(100):
        revoking.heard(services, [of_user(f"user {n}", services.now_ms(), 3600)])
    assert (await call(server, "/v1/auth/logout", await server.token())).status_code == 204
    assert await ada.closed() == 4401
    assert len(looks) < 100  # the registry looks now and then by itself
