"""What editors see when their document is deleted."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed, InvalidStatus

from collab.storage import documents, history

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from sqlalchemy import Connection

    from collab.storage.database import Database
    from tests.peer import Peer
    from tests.serving import Serving

DELETED = 4404
REOPENING = 1012
SEEDS = range(40)


async def delete(server: Serving, document_id: str) -> int:
    answer = await server.http.delete(
        f"/v1/documents/{document_id}", headers=await server.authorization()
    )
    return answer.status_code


async def test_x2_a_deletion_ends_every_session_at_once_and_nobody_comes_back(
    server: Serving,
) -> None:
    document_id, other_id = await server.document("gone"), await server.document("kept")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    elsewhere = await server.join(other_id)
    await ada.push([4, [0, "!"]])
    await bob.heard(2)
    assert await delete(server, document_id) == 204
    assert [await ada.closed(), await bob.closed()] == [DELETED, DELETED]
    for query in ({}, {"revision": ada.revision, "mark": ada.mark, "inflight": 1}):
        status, problem = await server.refusal(document_id, **query)
        assert (status, problem["code"]) == (404, "not_found")
    await elsewhere.push([4, [0, "!"]])
    await elsewhere.heard(2)
    await elsewhere.leave()


async def test_x2_who_may_not_delete_ends_nobodys_session(server: Serving) -> None:
    document_id = await server.document("kept")
    ada = await server.join(document_id)
    answer = await server.http.delete(
        f"/v1/documents/{document_id}", headers=await server.authorization("Bob")
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    await ada.push([4, [0, "!"]])
    await ada.heard(2)
    await ada.leave()


async def test_x2_a_push_that_is_ordered_while_the_document_is_deleted_is_not_shown(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit comes after the deletion: it finds no row, and does not bring one back."""
    document_id = await server.document("gone")
    ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
    deleting, go_on = threading.Event(), threading.Event()
    real = documents.delete

    def held(connection: Connection, document_id: str) -> None:
        deleting.set()
        go_on.wait()
        real(connection, document_id)

    monkeypatch.setattr(documents, "delete", held)
    deletion = asyncio.create_task(delete(server, document_id))
    await asyncio.to_thread(deleting.wait)
    await ada.push([4, [0, "!"]])
    await (await ada.connection.ping())
    go_on.set()
    assert await deletion == 204
    for peer in (ada, bob):
        assert await peer.closed() == DELETED
        assert peer.revision == 1
    assert (await server.refusal(document_id))[0] == 404


async def test_x2_a_handshake_that_opens_the_document_meanwhile_is_answered_404(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the document before the deletion, and would open it after."""
    document_id = await server.document("gone")
    loaded, go_on = asyncio.Event(), asyncio.Event()
    real = history.load

    async def held(database: Database, document_id: str) -> history.Saved:
        saved = await real(database, document_id)
        loaded.set()
        await go_on.wait()
        return saved

    monkeypatch.setattr(history, "load", held)
    joining = asyncio.create_task(server.refusal(document_id))
    await loaded.wait()
    assert await delete(server, document_id) == 204
    go_on.set()
    status, problem = await joining
    assert (status, problem["code"]) == (404, "not_found")
    assert (await server.refusal(document_id))[0] == 404


async def test_pushes_and_handshakes_that_race_a_deletion_are_all_answered(
    server: Serving, tmp_path: Path
) -> None:
    """Nothing is lost silently, nothing brings the document back, and others go on.

    Each author hears of a push in its updates, or hears that the document is deleted.
    """
    kept_id = await server.document()
    keeper = await server.join(kept_id)
    for seed in SEEDS:
        chance = random.Random(seed)
        document_id = await server.document("text")
        peers = [await server.join(document_id) for _ in range(3)]
        started = asyncio.Event()
        async with asyncio.TaskGroup() as racing:
            codes = [racing.create_task(push_on(peer, started)) for peer in peers]
            comers = [racing.create_task(come(server, document_id, chance)) for _ in range(3)]
            racing.create_task(keep_on(keeper))
            await started.wait()
            for _ in range(chance.randrange(30)):
                await asyncio.sleep(0)
            deletion = racing.create_task(delete(server, document_id))
        assert deletion.result() == 204, seed
        assert [code.result() for code in codes] == [DELETED] * 3, seed
        assert {comer.result() for comer in comers} <= {404, DELETED, REOPENING}, seed
        status, _ = await server.refusal(document_id)
        assert status == 404, seed
    await keeper.leave()
    with sqlite3.connect(tmp_path / "collab.db") as database:
        for table in ("segments", "snapshots", "clients", "members"):
            rows = database.execute(f"select distinct document_id from {table}").fetchall()
            assert set(rows) <= {(kept_id,)}, table
    assert len(await server.text(kept_id)) == len(SEEDS)


async def push_on(peer: Peer, started: asyncio.Event) -> int:
    """Push and wait for the answer, again and again. Returns the close code."""
    try:
        while True:
            length = 4 + peer.revision - 1  # each update after the first adds one unit
            seq = await peer.push([[0, "x"], length])
            while not any(update[1] == seq for update in await updates(peer)):
                pass
            started.set()
    except ConnectionClosed:
        assert peer.connection.close_code is not None
        return peer.connection.close_code


async def updates(peer: Peer) -> list[Any]:
    """The next updates that are its own; it hears others' as well."""
    message = await peer.hear("updates")
    return [update for update in message["updates"] if update[0] == peer.name]


async def come(server: Serving, document_id: str, chance: random.Random) -> int:
    """Come again and again until refused or ended. Returns the status or close code."""
    while True:
        await asyncio.sleep(chance.random() / 50)
        try:
            peer = await server.join(document_id)
        except InvalidStatus as refusal:
            return refusal.response.status_code
        if chance.random() < 0.5:
            return await peer.closed()
        await peer.leave()


async def keep_on(keeper: Peer) -> None:
    """Push once to another document, whose commit may share the group."""
    length = keeper.revision
    await keeper.push([[0, "k"], length] if length else [[0, "k"]])
    await keeper.heard(keeper.revision + 1)
