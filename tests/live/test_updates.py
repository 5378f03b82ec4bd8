"""Updates, beats and saved (U1 to U6, S1), and sessions that end (L2, L3, X1)."""

from __future__ import annotations

import asyncio
import time
import zlib
from typing import TYPE_CHECKING

import pytest

from collab.access.tokens import Identity, Tokens, User
from collab.errors import NotReady
from tests.peer import Peer
from tests.serving import SECRET, Serving, serving

if TYPE_CHECKING:
    from pathlib import Path


async def test_u1_a_message_names_the_first_revision_and_the_last_mark(server: Serving) -> None:
    document_id = await server.document()
    typist = await server.join(document_id)
    start, marks = typist.mark, []
    for length in range(3):
        await typist.push([length, [0, "x"]] if length else [[0, "x"]])
        marks.append((await typist.hear("updates"))["mark"])
    assert len({start, *marks}) == 4
    reader = await server.join(document_id, revision=0, mark=start)
    message = await reader.hear("updates")
    assert message["revision"] == 1
    assert len(message["updates"]) == 3
    assert message["mark"] == marks[-1]
    await typist.leave()
    await reader.leave()


async def test_u2_every_session_receives_every_update_in_order_without_gap_or_repeat(
    server: Serving,
) -> None:
    document_id = await server.document()
    start = await server.join(document_id)
    mark = start.mark
    peers = [await server.join(document_id, f"Typist {n}") for n in range(5)]
    heard: dict[str, list[object]] = {peer.name: [] for peer in peers}

    async def type_on(peer: Peer) -> None:
        for _ in range(20):
            await peer.push([[0, peer.name]], revision=0)
            mine = False
            while not mine:
                message = await peer.next()
                if message["type"] == "updates":
                    assert message["revision"] == len(heard[peer.name]) + 1
                    heard[peer.name] += message["updates"]
                    mine = any(client == peer.name for client, _, _ in message["updates"])

    async with asyncio.TaskGroup() as typing:
        for peer in peers:
            typing.create_task(type_on(peer))
    for peer in peers:
        heard[peer.name] += [list(update) for update in await peer.heard(100)]
    late = await server.join(document_id, revision=0, mark=mark)
    truth = [list(update) for update in await late.heard(100)]
    assert len(truth) == 100
    assert all(updates == truth for updates in heard.values())
    for peer in [start, *peers, late]:
        await peer.leave()


async def test_u3_updates_bear_the_clients_public_name_and_its_seq(server: Serving) -> None:
    document_id = await server.document()
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    await ada.push([[0, "x"]], seq=7)
    assert (await bob.hear("updates"))["updates"] == [[ada.name, 7, [[0, "x"]]]]
    assert ada.client_id != ada.name
    await ada.leave()
    await bob.leave()


async def test_u4_a_slow_session_goes_on_from_its_own_position(server: Serving) -> None:
    """It reads nothing while far more is typed than its connection holds, then gets it all."""
    document_id = await server.document()
    typist, slow = await server.join(document_id), await server.join(document_id)
    slow.connection.transport.pause_reading()
    line = "x" * 100_000
    text = ""
    for _ in range(100):
        await typist.push([len(text), [0, line]] if text else [[0, line]])
        text += line
        await typist.hear("updates")
    slow.connection.transport.resume_reading()
    updates = await slow.heard(100)
    assert [update[1] for update in updates] == list(range(1, 101))
    assert slow.mark == typist.mark
    await typist.leave()
    await slow.leave()


async def test_u4_a_session_behind_what_is_kept_is_closed_and_comes_back(tmp_path: Path) -> None:
    async with serving(tmp_path, max_updates_per_push=1_000) as server:
        document_id = await server.document()
        typist, slow = await server.join(document_id), await server.join(document_id)
        slow.connection.transport.pause_reading()
        # First more bytes than the connection holds, then more revisions than the room keeps.
        for _ in range(20):
            await typist.push([[0, "x" * 900_000]], [[900_000]])
            await typist.hear("updates")
        for _ in range(13):
            await typist.push(*([[0]] * 1_000))
            await typist.hear("updates")
        slow.connection.transport.resume_reading()
        assert await slow.closed() == 4410
        back = await server.join(
            document_id, client=slow.client_id, revision=slow.revision, mark=slow.mark
        )
        assert back.welcome["reset"] is True
        assert back.welcome["revision"] == 13_040
        await typist.leave()
        await back.leave()


async def test_u5_beats_come_busy_or_not_and_name_the_last_revision_sent(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=0.7) as server:
        peer = await server.join(await server.document("abc"))
        for revision in (1, 2, 3):
            beat = await peer.hear("beat")
            assert (beat["revision"], beat["mark"], beat["saved"]) == (
                revision,
                peer.mark,
                revision,
            )
            await peer.send({"type": "beat"})
            await peer.push([revision + 2, [0, "x"]])
            await peer.hear("updates")
        await peer.leave()


async def test_u5_a_silent_session_is_closed(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=0.7) as server:
        document_id = await server.document()
        silent, other = await server.join(document_id), await server.join(document_id)
        answering = asyncio.create_task(answer_beats(other))
        assert await silent.closed() == 4408
        assert not answering.done()
        answering.cancel()
        await other.leave()


async def answer_beats(peer: Peer) -> None:
    while True:
        await peer.hear("beat")
        await peer.send({"type": "beat"})


@pytest.mark.parametrize("text", ["", "plain", "grüße 👋\n\nzwei 😀 Zeilen"])
async def test_u6_a_beat_bears_the_checksum_of_the_text(tmp_path: Path, text: str) -> None:
    async with serving(tmp_path, heartbeat_s=0.7) as server:
        peer = await server.join(await server.document(text))
        beat = await peer.hear("beat")
        assert beat["crc"] == zlib.crc32(text.encode("utf-16-le"))
        await peer.leave()


async def test_s1_saved_follows_what_is_ordered(server: Serving) -> None:
    document_id = await server.document()
    peer = await server.join(document_id)
    assert peer.welcome["saved"] == 0
    await peer.push([[0, "a"]], [1, [0, "b"]])
    assert (await peer.hear("saved"))["revision"] == 2
    await peer.leave()


async def test_s1_what_is_said_to_be_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        document_id, headers = await server.document(), await server.authorization()
        peer = await server.join(document_id)
        await peer.push([[0, "kept"]])
        assert (await peer.hear("saved"))["revision"] == 1
        peer.cut()
    async with serving(tmp_path) as server:
        answer = await server.http.get(f"/v1/documents/{document_id}/text", headers=headers)
        assert (answer.text, answer.headers["etag"]) == ("kept", '"1"')


async def test_u4_one_who_does_not_read_gets_no_pongs_either(server: Serving) -> None:
    """What it is owed stays in the history; nothing else piles up for it."""
    document_id = await server.document()
    typist, slow = await server.join(document_id), await server.join(document_id)
    slow.connection.transport.pause_reading()
    for _ in range(15):
        await typist.push([[0, "x" * 900_000]], [[900_000]])
        await typist.hear("updates")
    pings = [asyncio.ensure_future(await slow.connection.ping()) for _ in range(50)]
    await slow.push([[0, "after the pings"]], revision=0)
    await typist.hear("updates")
    slow.connection.transport.resume_reading()
    await slow.heard(31)
    assert not any(ping.done() for ping in pings)
    for ping in pings:
        ping.cancel()
    await typist.leave()
    await slow.leave()


async def test_l2_a_message_over_the_limit_closes_with_1009(tmp_path: Path) -> None:
    async with serving(tmp_path, max_message_bytes=2_048) as server:
        document_id = await server.document()
        peer = await server.join(document_id)
        assert peer.welcome["limits"]["max_message_bytes"] == 2_048
        await peer.push([[0, "x" * 3_000]])
        assert await peer.closed() == 1009


async def test_x1_a_token_is_renewed_while_connected_and_closes_at_expiry(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=4) as server:
        document_id = await server.document()
        ada = User("ada", "Ada", guest=True)
        dying, lasting = _token(ada, 1), _token(ada, 60)
        left = await Peer.join(server.port, document_id, dying)
        renewed = await Peer.join(server.port, document_id, dying)
        await renewed.send({"type": "token", "token": lasting})
        assert await left.closed() == 4401
        await renewed.push([[0, "x"]])
        await renewed.hear("updates")
        await renewed.leave()


@pytest.mark.parametrize("user", ["somebody else", None])
async def test_x1_another_users_token_does_not_renew(server: Serving, user: str | None) -> None:
    peer = await server.join(await server.document())
    token = _token(User(user, "Eve", guest=True), 60) if user else "no token"
    await peer.send({"type": "token", "token": token})
    assert await peer.closed() == 4401


async def test_x1_what_comes_after_a_token_waits_until_it_is_verified(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key may have to be fetched: what others type goes on meanwhile."""
    document_id = await server.document()
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    asked, told = asyncio.Event(), asyncio.Event()

    async def verify(self: Tokens, token: str) -> Identity:
        asked.set()
        await told.wait()
        return await right(self, token)

    right = Tokens.verify
    monkeypatch.setattr(Tokens, "verify", verify)
    await ada.send({"type": "token", "token": await server.token()})
    await ada.push([[0, "a"]])
    await asked.wait()
    await bob.push([[0, "b"]])
    assert [client for client, _, _ in (await ada.hear("updates"))["updates"]] == [bob.name]
    told.set()
    assert [client for client, _, _ in (await ada.hear("updates"))["updates"]] == [ada.name]
    await ada.leave()
    await bob.leave()


async def test_x1_a_token_that_cannot_be_verified_now_changes_nothing(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = await server.join(await server.document())

    async def verify(self: Tokens, token: str) -> Identity:
        raise NotReady("the keys cannot be fetched")

    monkeypatch.setattr(Tokens, "verify", verify)
    await peer.send({"type": "token", "token": "of.another.issuer"})
    await peer.push([[0, "a"]])
    await peer.heard(1)
    await peer.leave()


def _token(user: User, seconds: int) -> str:
    return Tokens(SECRET, seconds, time.time).issue(user)[0]
