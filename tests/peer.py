"""A client of the protocol that does just what a test says: raw messages over a real WebSocket."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from typing import Any, ClassVar
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 20

Message = dict[str, Any]


class Peer:
    """One connection. `hear` waits for a message of a type and sets others but beats aside."""

    made: ClassVar[list[Peer]] = []
    """Every one since the last `close_all`."""

    def __init__(self, connection: ClientConnection, client_id: str) -> None:
        self.made.append(self)
        self.connection = connection
        self.client_id = client_id
        self.welcome: Message = {}
        self.revision = 0
        self.mark = ""
        self.seqs = itertools.count(1)
        self.aside: list[Message] = []

    @classmethod
    async def join(
        cls,
        port: int,
        document_id: str,
        token: str,
        *,
        client: str | None = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Peer:
        """Raises `InvalidStatus` when the handshake is refused."""
        client_id = client or secrets.token_urlsafe(16)
        asked = urlencode({"token": token, "client": client_id, **query})
        connection = await connect(
            f"ws://127.0.0.1:{port}/v1/documents/{document_id}/live?{asked}",
            additional_headers=headers,
            max_size=None,
            ping_interval=None,
            compression=None,
            proxy=None,
        )
        peer = cls(connection, client_id)
        peer.welcome = await peer.hear("welcome")
        peer.revision, peer.mark = peer.welcome["revision"], peer.welcome["mark"]
        return peer

    @property
    def name(self) -> str:
        """The public name."""
        return str(self.welcome["client"])

    async def send(self, message: Message | str) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self.connection.send(text)

    async def push(self, *updates: Any, revision: int | None = None, seq: int | None = None) -> int:
        """Send a push on the last revision heard of. Returns its seq."""
        seq = next(self.seqs) if seq is None else seq
        await self.send(
            {
                "type": "push",
                "revision": self.revision if revision is None else revision,
                "seq": seq,
                "updates": list(updates),
            }
        )
        return seq

    async def next(self) -> Message:
        async with asyncio.timeout(PATIENCE_S):
            message: Message = json.loads(await self.connection.recv())
        if message["type"] == "updates":
            self.revision = message["revision"] + len(message["updates"]) - 1
            self.mark = message["mark"]
        return message

    async def hear(self, *types: str) -> Message:
        """The next message of these types, in order; others but beats are kept for later."""
        for message in self.aside:
            if message["type"] in types:
                self.aside.remove(message)
                return message
        while True:
            message = await self.next()
            if message["type"] in types:
                return message
            if message["type"] != "beat":
                self.aside.append(message)

    async def heard(self, revision: int) -> list[tuple[str, int, Any]]:
        """Every update up to a revision that was not asked for yet, in order."""
        updates: list[tuple[str, int, Any]] = []
        while self.revision < revision or any(m["type"] == "updates" for m in self.aside):
            message = await self.hear("updates")
            updates += [tuple(update) for update in message["updates"]]
        return updates

    async def saved(self, revision: int) -> None:
        """Wait until it is told that a revision is saved."""
        told = self.welcome["saved"]
        while told < revision:
            told = (await self.hear("saved"))["revision"]

    async def closed(self) -> int:
        """Wait for the end of the connection. Returns its close code."""
        try:
            while True:
                await self.next()
        except ConnectionClosed:
            assert self.connection.close_code is not None
            return self.connection.close_code

    @classmethod
    async def close_all(cls) -> None:
        """Leave no connection behind, whoever was to close it."""
        while cls.made:
            connection = cls.made.pop().connection
            connection.transport.abort()
            async with asyncio.timeout(PATIENCE_S):
                await connection.wait_closed()

    async def leave(self) -> None:
        await self.connection.close()

    def cut(self) -> None:
        """Lose the connection without a word."""
        self.connection.transport.abort()
