"""Presence, over a real server (A1 to A4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.serving import Serving, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.peer import Peer


async def present(peer: Peer, *ranges: tuple[int, int], revision: int | None = None) -> None:
    await peer.send(
        {
            "type": "presence",
            "revision": peer.revision if revision is None else revision,
            "ranges": [list(each) for each in ranges],
        }
    )


async def told(peer: Peer, client: str) -> dict[str, Any]:
    """The next that a peer hears of another."""
    while True:
        message = await peer.hear("presence")
        for other in message["peers"]:
            if other["client"] == client:
                found: dict[str, Any] = other
                return found


async def test_a1_a2_others_are_told_where_somebodys_cursor_is(server: Serving) -> None:
    document_id = await server.document("hello")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    assert (await told(ada, bob.name))["ranges"] == []
    await present(bob, (1, 4))
    peer = await told(ada, bob.name)
    assert (peer["name"], peer["revision"], peer["ranges"]) == ("Bob", 1, [[1, 4]])
    assert peer["color"].startswith("#")
    await ada.leave()
    await bob.leave()


async def test_a2_a_welcome_names_everybody_else(server: Serving) -> None:
    document_id = await server.document("hello")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    await present(bob, (2, 2))
    while (await told(ada, bob.name))["ranges"] != [[2, 2]]:
        pass
    await bob.push([[0, "> "], 5])
    await ada.heard(2)
    eve = await server.join(document_id, "Eve")
    peers = {peer["name"]: peer for peer in eve.welcome["presence"]}
    assert set(peers) == {"Ada", "Bob"}
    assert (peers["Bob"]["revision"], peers["Bob"]["ranges"]) == (2, [[4, 4]])
    for peer in (ada, bob, eve):
        await peer.leave()


async def test_a2_who_leaves_or_comes_back_is_told(server: Serving) -> None:
    document_id = await server.document()
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    await told(ada, bob.name)
    bob.cut()
    while bob.name not in (await ada.hear("presence"))["left"]:
        pass
    back = await server.join(document_id, "Bob", client=bob.client_id)
    assert (await told(ada, bob.name))["name"] == "Bob"
    await ada.leave()
    await back.leave()


async def test_a2_at_most_presence_hz_messages_a_second_and_the_latest_wins(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, presence_hz=5) as server:
        document_id = await server.document("x" * 500)
        ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
        await told(ada, bob.name)
        started = asyncio.get_running_loop().time()
        for place in range(400):
            await present(bob, (place, place))
        heard = 1
        while (await told(ada, bob.name))["ranges"] != [[399, 399]]:
            heard += 1
        took = asyncio.get_running_loop().time() - started
        assert heard <= 2 + took * 5
        await ada.leave()
        await bob.leave()


async def test_a3_presence_takes_no_revision_and_updates_go_on_beside_it(server: Serving) -> None:
    document_id = await server.document()
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    for length in range(50):
        await present(bob, (length, length))
        await ada.push([length, [0, "x"]] if length else [[0, "x"]])
        await ada.hear("updates")
    await bob.heard(50)
    assert bob.revision == 50
    await ada.leave()
    await bob.leave()


async def test_a4_a_peer_that_is_gone_without_a_word_leaves(tmp_path: Path) -> None:
    """Its connection stays open, but it answers no beat: it is gone within three heartbeats."""
    async with serving(tmp_path, heartbeat_s=0.4) as server:
        document_id = await server.document()
        ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
        bob.connection.transport.pause_reading()
        started = asyncio.get_running_loop().time()
        left: list[str] = []
        while bob.name not in left:
            message = await ada.next()
            if message["type"] == "beat":
                await ada.send({"type": "beat"})
            left = message.get("left", [])
        assert asyncio.get_running_loop().time() - started < 3 * 0.4 + 1
        await ada.leave()
