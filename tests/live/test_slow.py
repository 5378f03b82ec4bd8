"""Clients that read slowly or not at all (U4), and long welcomes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from collab.errors import NotReady
from collab.live import transport
from collab.live.welcomes import LONG_UNITS, Welcomes
from tests.live.raw import Raw
from tests.serving import PATIENCE_S, Serving, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.peer import Peer

LONG = "All work and no play. " * 100_000
"""More than the connections hold."""


async def answered(peer: Peer, kind: str, *others: Raw) -> dict[str, Any]:
    """The next message of a type. Beats are answered meanwhile, by others too: they are alive."""
    while True:
        message = await peer.next()
        if message["type"] == "beat":
            await peer.send({"type": "beat"})
            for other in others:
                other.send_message({"type": "beat"})
        if message["type"] == kind:
            return message


async def stalled(server: Serving, watcher: Peer, document_id: str) -> Raw:
    """A client that speaks, but has read nothing of its welcome, and is ended for it."""
    slow = await Raw.join(server.port, document_id, await server.token("Slow"))
    slow.send_message({"type": "beat"})
    name, left = None, []
    async with asyncio.timeout(PATIENCE_S):
        while name not in left:
            told = await answered(watcher, "presence", slow)
            name = next((peer["client"] for peer in told["peers"] if peer["name"] == "Slow"), name)
            left = told["left"]
    return slow


async def test_u4_one_who_never_reads_is_ended_and_told_4410_when_it_reads(tmp_path: Path) -> None:
    async with serving(tmp_path, stall_s=0.5, heartbeat_s=0.7) as server:
        document_id = await server.document(LONG)
        watcher = await server.join(document_id)
        slow = await stalled(server, watcher, document_id)
        assert (await slow.hear("welcome"))["text"] == LONG
        assert await slow.closed() == (4410, "nothing was read for too long; come back")


async def test_u4_one_who_reads_slowly_but_steadily_is_left_alone(tmp_path: Path) -> None:
    """Its welcome takes longer than a stall and than a silence may, and it answers no beat."""
    async with serving(tmp_path, stall_s=1.5, heartbeat_s=0.7) as server:
        document_id = await server.document(LONG)
        other = await server.join(document_id)
        slow = await Raw.join(server.port, document_id, await server.token())
        for _ in range(8):
            await answered(other, "beat")
            await slow.read(200_000)
        assert (await slow.hear("welcome"))["text"] == LONG
        slow.send_message({"type": "push", "revision": 1, "seq": 1, "updates": [[len(LONG)]]})
        assert (await slow.hear("updates"))["revision"] == 2


async def test_u4_who_does_not_read_up_to_its_end_does_not_hold_up_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT_S", 60)
    async with serving(tmp_path, stall_s=0.5, heartbeat_s=0.7) as server:
        document_id = await server.document(LONG)
        watcher = await server.join(document_id)
        await stalled(server, watcher, document_id)
    assert await watcher.closed() == 1012
    assert not caplog.records


async def test_h9_who_does_not_read_its_welcome_does_not_hold_up_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT_S", 0.2)
    async with serving(tmp_path) as server:
        document_id = await server.document(LONG)
        await Raw.join(server.port, document_id, await server.token())
    assert not caplog.records


async def test_l1_a_place_is_free_when_the_connection_is_gone_and_not_before(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, stall_s=0.5, heartbeat_s=0.7, max_sessions=2) as server:
        document_id = await server.document(LONG)
        watcher = await server.join(document_id)
        slow = await stalled(server, watcher, document_id)
        assert (await server.refusal(document_id))[0] == 429
        assert (await slow.closed())[0] == 4410
        await slow.cut()
        await (await server.join(document_id)).leave()


async def test_a_short_welcome_needs_no_turn() -> None:
    welcomes = Welcomes(1, wait_s=0.01, hold_s=60)
    async with welcomes.turn(LONG_UNITS + 1), welcomes.turn(LONG_UNITS):
        with pytest.raises(NotReady) as caught:
            await welcomes.turn(LONG_UNITS + 1).__aenter__()
    assert caught.value.retry_after_ms


async def test_a_turn_ends_once_when_the_welcome_is_out_or_the_session_over() -> None:
    welcomes = Welcomes(1, wait_s=0.01, hold_s=60)
    async with welcomes.turn(LONG_UNITS + 1) as turn:
        turn.end()
        turn.end()
        async with welcomes.turn(LONG_UNITS + 1) as following:
            with pytest.raises(NotReady):
                await welcomes.turn(LONG_UNITS + 1).__aenter__()
        following.end()
    with pytest.raises(ZeroDivisionError):
        async with welcomes.turn(LONG_UNITS + 1):
            _ = 1 / 0
    async with welcomes.turn(LONG_UNITS + 1):
        pass


async def test_a_turn_is_held_for_a_bounded_time() -> None:
    welcomes = Welcomes(1, wait_s=20, hold_s=0.01)
    async with welcomes.turn(LONG_UNITS + 1), welcomes.turn(LONG_UNITS + 1):
        pass


async def test_h2_a_long_welcome_waits_for_its_turn(tmp_path: Path) -> None:
    """One who does not read has the only turn; then it is gone, and the next is served."""
    async with serving(tmp_path, max_welcomes=1, open_timeout_s=2) as server:
        long, short = await server.document(LONG), await server.document("short")
        slow = await Raw.join(server.port, long, await server.token())
        status, problem = await server.refusal(long)
        assert (status, problem["code"]) == (503, "unavailable")
        assert problem["retry_after_ms"] > 0
        await (await server.join(short)).leave()
        await slow.cut()
        for _ in range(3):  # each gives its turn back when it has read
            peer = await server.join(long)
            assert peer.welcome["text"] == LONG


async def test_h5_one_who_resumes_needs_no_turn(tmp_path: Path) -> None:
    async with serving(tmp_path, max_welcomes=1, open_timeout_s=2) as server:
        document_id = await server.document(LONG)
        first = await server.join(document_id)
        slow = await Raw.join(server.port, document_id, await server.token())
        back = await server.join(document_id, revision=first.revision, mark=first.mark)
        assert "text" not in back.welcome
        await slow.cut()
