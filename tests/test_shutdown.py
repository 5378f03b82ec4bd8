"""A server that is told to stop: its editors hear of it, what they were shown is kept, and it ends.

It gives connections `shutdown_s` to end, its writer `commit_patience_s` to save what was ordered,
and then waits for one statement at most, which gives up when the database is busy for too long.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from bench.server import running
from collab.storage.sqlite import BUSY_TIMEOUT_MS
from tests.live.raw import TEXT, frame
from tests.peer import Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bench.server import ServerProcess

SHUTDOWN_S, COMMIT_PATIENCE_S = 2, 2
BOUND_S = SHUTDOWN_S + COMMIT_PATIENCE_S + BUSY_TIMEOUT_MS / 1000
SETTINGS = {
    "COLLAB_SHUTDOWN_S": str(SHUTDOWN_S),
    "COLLAB_COMMIT_PATIENCE_S": str(COMMIT_PATIENCE_S),
}
START_S = 10
"""For the process itself to begin and end, on a busy machine."""


@pytest.fixture(autouse=True)
def clean(peers_are_closed: None) -> None:
    """What `peers_are_closed` does, for every test."""


class Site:
    """A server process as its users see it."""

    def __init__(self, server: ServerProcess, http: httpx2.AsyncClient) -> None:
        self.server = server
        self._http = http
        self._token = ""

    async def sign_in(self) -> None:
        answer = await self._http.post("/v1/auth/guest", json={"name": "Ada"})
        self._token = answer.json()["token"]
        self._http.headers["Authorization"] = f"Bearer {self._token}"

    async def document(self, text: str = "") -> str:
        answer = await self._http.post("/v1/documents", json={"title": "Notes", "text": text})
        document_id: str = answer.raise_for_status().json()["id"]
        return document_id

    async def text(self, document_id: str) -> str:
        answer = await self._http.get(f"/v1/documents/{document_id}/text")
        return answer.raise_for_status().text

    async def join(self, document_id: str) -> Peer:
        return await Peer.join(self.server.port, document_id, self._token)

    def knock(self, document_id: str) -> socket.socket:
        """Ask for a session, and read nothing of the answer."""
        knocking = socket.socket()
        knocking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        knocking.connect(("127.0.0.1", self.server.port))
        asked = urlencode({"token": self._token, "client": "a-client-that-never-reads"})
        knocking.sendall(
            f"GET /v1/documents/{document_id}/live?{asked} HTTP/1.1\r\n"
            "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "\r\n".encode()
        )
        return knocking

    async def stall(self, document_id: str) -> socket.socket:
        """Have a session, and read nothing but the first byte of the answer."""
        stalled = self.knock(document_id)
        async with asyncio.timeout(BOUND_S):
            await asyncio.to_thread(stalled.recv, 1)
        stalled.sendall(frame(TEXT, b'{"type":"beat"}'))
        return stalled

    async def editors(self, document_id: str, count: int) -> None:
        """Wait until a document has so many."""
        async with asyncio.timeout(BOUND_S):
            while True:
                answer = await self._http.get(f"/v1/documents/{document_id}")
                if answer.json()["editors"] == count:
                    return

    async def stop(self) -> int:
        """Within the bound. Returns the exit code."""
        async with asyncio.timeout(BOUND_S + START_S):
            return await self.server.stop()


@asynccontextmanager
async def serving(data_dir: Path) -> AsyncIterator[Site]:
    async with (
        running(data_dir, **SETTINGS) as server,
        httpx2.AsyncClient(base_url=server.url) as http,
    ):
        site = Site(server, http)
        await site.sign_in()
        yield site


class Typist:
    """Types until the connection is closed, each time a word that nobody else types."""

    def __init__(self, peer: Peer, number: int) -> None:
        self.acknowledged: list[str] = []
        self.warmed_up = asyncio.Event()
        self.said_goodbye = False
        self._peer = peer
        self._number = number

    async def run(self) -> int:
        """Returns the close code."""
        try:
            while True:
                word = f"<{self._number}.{len(self.acknowledged)}>"
                await self._peer.push([[0, word]], revision=0)
                while not await self._has_come_back():
                    pass
                self.acknowledged.append(word)
                if len(self.acknowledged) == 3:
                    self.warmed_up.set()
        except ConnectionClosed:
            while not self.said_goodbye:
                try:
                    await self._has_come_back()
                except ConnectionClosed:
                    break
        return self._peer.connection.close_code or 0

    async def _has_come_back(self) -> bool:
        message = await self._peer.next()
        self.said_goodbye |= message["type"] == "goodbye"
        updates = message.get("updates", ())
        return any(client == self._peer.name for client, _, _ in updates)


async def test_h9_typing_editors_hear_of_it_and_what_they_were_shown_is_kept(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as site:
        document_id = await site.document()
        typists = [Typist(await site.join(document_id), number) for number in range(20)]
        typing = [asyncio.create_task(each.run(), name="typist") for each in typists]
        for each in typists:
            await each.warmed_up.wait()
        assert await site.stop() == 0
        assert await asyncio.gather(*typing) == [1012] * 20
        assert all(each.said_goodbye for each in typists)
        await site.server.start()
        text = await site.text(document_id)
        for each in typists:
            assert [text.count(word) for word in each.acknowledged] == [1] * len(each.acknowledged)


async def test_one_that_never_reads_holds_nothing_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        document_id = await site.document("x" * 5_000_000)
        with closing(await site.stall(document_id)):
            await site.editors(document_id, 1)
            assert await site.stop() == 0


async def test_a_handshake_in_progress_holds_nothing_up(tmp_path: Path) -> None:
    """One has asked for half a session, and one waits for the database."""
    async with serving(tmp_path) as site:
        document_id = await site.document()
        with (
            closing(
                sqlite3.connect(tmp_path / "data" / "collab.db", isolation_level=None)
            ) as other,
            closing(socket.create_connection(("127.0.0.1", site.server.port))) as half,
        ):
            half.sendall(b"GET /v1/documents/x/live HTTP/1.1\r\nHost: loc")
            other.execute("begin immediate")
            with closing(site.knock(document_id)):
                assert await site.stop() == 0


async def test_a_database_that_another_program_holds_holds_nothing_up(tmp_path: Path) -> None:
    """What is ordered and not saved in time is given up: nobody was shown it."""
    async with serving(tmp_path) as site:
        document_ids = [await site.document("kept") for _ in range(5)]
        peers = [await site.join(document_id) for document_id in document_ids]
        database = tmp_path / "data" / "collab.db"
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("begin immediate")
            for peer in peers:
                await peer.push([4, [0, " and more"]])
            assert await site.stop() == 0
        assert [await peer.closed() for peer in peers] == [1012] * 5
        await site.server.start()
        for document_id in document_ids:
            assert await site.text(document_id) == "kept"


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_who_is_told_twice_still_ends_well(tmp_path: Path, second: signal.Signals) -> None:
    async with serving(tmp_path) as site:
        document_id = await site.document()
        peer = await site.join(document_id)
        await peer.push([[0, "kept"]])
        await peer.hear("updates")
        os.kill(site.server.pid, signal.SIGTERM)
        assert await peer.closed() == 1012
        os.kill(site.server.pid, second)
        assert await site.stop() == 0
        await site.server.start()
        assert await site.text(document_id) == "kept"
