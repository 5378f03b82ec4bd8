"""Whatever ends a connection, under uvicorn or any other ASGI server: what it took up is given back
once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from collab.access.tokens import Tokens
from collab.live.session import Session
from collab.live.upgrade import FramedProtocol
from collab.rooms.attendance import Attendance
from collab.rooms.places import Places
from collab.rooms.registry import Registry
from collab.rooms.snapshot import Snapshots
from tests.live.raw import Raw
from tests.serving import PATIENCE_S, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.peer import Peer
    from tests.serving import Serving

under_any_server = pytest.mark.parametrize("ws", [FramedProtocol, WebSocketsSansIOProtocol])

ONCE = ["depart", "give_back", "release"]


class Bug(Exception):
    """Nobody expects it."""


@pytest.fixture
def given_back(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was given back: places, rooms that were held, and who was known to be here."""
    told: list[str] = []

    def watch(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def watched(*arguments: Any) -> None:
            told.append(name)
            real(*arguments)

        monkeypatch.setattr(owner, name, watched)

    for owner, name in ((Places, "give_back"), (Registry, "release"), (Attendance, "depart")):
        watch(owner, name)
    return told


async def leaves(peer: Peer) -> None:
    await peer.leave()


async def is_lost(peer: Peer) -> None:
    peer.cut()


async def talks_nonsense(peer: Peer) -> None:
    await peer.send("nonsense")
    assert await peer.closed() == 4400


async def finds_a_bug(peer: Peer) -> None:
    with capture_logs() as logged:
        await peer.send({"type": "presence", "revision": 0, "ranges": []})
        assert await peer.closed() == 1012
    (failure,) = [line for line in logged if line["log_level"] == "error"]
    assert failure["event"] == "a session failed"
    assert failure["exc_info"]


@under_any_server
@pytest.mark.parametrize(
    ("ends", "code"), [(leaves, 1000), (is_lost, 1005), (talks_nonsense, 4400), (finds_a_bug, 1012)]
)
async def test_a_session_that_ends_gives_back_what_it_took_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given_back: list[str],
    ws: type[asyncio.Protocol],
    ends: Callable[[Peer], Awaitable[None]],
    code: int,
) -> None:
    def moves(*_: object) -> None:
        raise Bug

    async with serving(tmp_path, ws=ws) as server:
        document_id = await server.document()
        watcher, peer = await server.join(document_id), await server.join(document_id, "Bob")
        monkeypatch.setattr("collab.rooms.presenter.Presenter.move", moves)
        await ends(peer)
        while not (await watcher.hear("presence"))["left"]:
            pass
        await only(server, 1)
        assert sorted(given_back) == ONCE
        assert server.room(document_id).holders == 1
        assert server.services.counts.closes == {code: 1}
        await watcher.leave()
        await server.left()
        assert sorted(given_back) == sorted(ONCE * 2)


async def only(server: Serving, sessions: int) -> None:
    """Wait until so many are left."""
    async with asyncio.timeout(PATIENCE_S):
        while server.services.registry.sessions > sessions:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)


@under_any_server
async def test_a_server_that_goes_down_gives_back_what_sessions_took_once(
    tmp_path: Path, given_back: list[str], ws: type[asyncio.Protocol]
) -> None:
    async with serving(tmp_path, ws=ws) as server:
        peer = await server.join(await server.document())
        server.stop()
        assert await peer.closed() == 1012
    assert sorted(given_back) == ONCE


@under_any_server
async def test_a_welcome_that_fails_gives_back_what_its_handshake_took_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given_back: list[str],
    ws: type[asyncio.Protocol],
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise Bug

    monkeypatch.setattr(Snapshots, "take", fails)
    async with serving(tmp_path, ws=ws) as server:
        raw = await Raw.join(server.port, await server.document(), await server.token())
        assert (await raw.closed())[0] == 1006
        await server.left()
        assert sorted(given_back) == ONCE


@under_any_server
async def test_a_client_that_is_gone_before_its_welcome_is_no_session(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given_back: list[str],
    ws: type[asyncio.Protocol],
) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()
    right = Snapshots.take

    async def take(self: Snapshots, *, deflated: bool) -> object:
        asked.set()
        await gone.wait()
        return await right(self, deflated=deflated)

    monkeypatch.setattr(Snapshots, "take", take)
    async with serving(tmp_path, ws=ws) as server:
        raw = await Raw.join(server.port, await server.document(), await server.token())
        await asked.wait()
        await raw.cut()
        gone.set()
        await server.left()
        assert sorted(given_back) == ONCE


async def test_a_connection_that_ends_while_a_token_is_verified_is_heard_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_back: list[str]
) -> None:
    asked, told = asyncio.Event(), asyncio.Event()
    verify, receive, heard = Tokens.verify, Session.receive, []

    async def verify_later(self: Tokens, token: str) -> object:
        asked.set()
        await told.wait()
        return await verify(self, token)

    def hear(self: Session, data: str | None) -> str | None:
        heard.append(data)
        return receive(self, data)

    async with serving(tmp_path) as server:
        peer = await server.join(await server.document())
        monkeypatch.setattr(Tokens, "verify", verify_later)
        monkeypatch.setattr(Session, "receive", hear)
        await peer.send({"type": "token", "token": await server.token()})
        await peer.push([[0, "a"]])
        await asked.wait()
        server.stop()
        assert await peer.closed() == 1012
        await server.left()
        told.set()
    assert sorted(given_back) == ONCE
    assert len(heard) == 1
