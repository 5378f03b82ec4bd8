"""An author for measurements: pushes ready-made updates, and does nothing that takes time.

What it receives is kept as it came and becomes a text only when that is asked for.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import connect

from collab.client import wire
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

PATIENCE_S = 30.0


class _Updates(msgspec.Struct, tag="updates"):
    revision: int
    updates: list[tuple[str, int, msgspec.Raw]]


class _Beat(msgspec.Struct, tag="beat"):
    pass


class _Saved(msgspec.Struct, tag="saved"):
    pass


class _Presence(msgspec.Struct, tag="presence"):
    pass


# A refused push or a goodbye is a failed measurement, and so an error.
_decode = msgspec.json.Decoder(_Updates | _Beat | _Saved | _Presence).decode


class Author:
    """One client. `latencies_s` are the times from each push to its acknowledgement."""

    def __init__(self, socket: ClientConnection, welcome: wire.Welcome) -> None:
        self.revision = welcome.revision
        self.latencies_s: list[float] = []
        self.limits = welcome.limits
        self._socket = socket
        self._name = welcome.client
        self._seq = 0
        self._received: list[list[tuple[str, int, msgspec.Raw]]] = []
        assert welcome.text is not None
        self._text = Text.of(welcome.text)

    async def push(self, updates: list[bytes]) -> None:
        """Push on the last revision, and wait until it comes back (P3)."""
        self._seq += 1
        message = b'{"type":"push","revision":%d,"seq":%d,"updates":[%s]}' % (
            self.revision,
            self._seq,
            b",".join(updates),
        )
        async with asyncio.timeout(PATIENCE_S):
            began = perf_counter()
            await self._socket.send(message, text=True)
            while not any(own[:2] == (self._name, self._seq) for own in await self._hear()):
                pass
            self.latencies_s.append(perf_counter() - began)

    async def at(self, revision: int) -> None:
        """Wait until it has received everything up to `revision`."""
        async with asyncio.timeout(PATIENCE_S):
            while self.revision < revision:
                await self._hear()

    def text(self) -> Text:
        """The text that everything received makes."""
        for updates in self._received:
            for _, _, change in updates:
                self._text = Change.from_json(msgspec.json.decode(change)).apply(self._text)
        self._received.clear()
        return self._text

    async def _hear(self) -> list[tuple[str, int, msgspec.Raw]]:
        """Take one message. Returns the updates in it."""
        message = _decode(await self._socket.recv(decode=False))
        if isinstance(message, _Updates):
            assert message.revision == self.revision + 1, "updates have a gap (U2)"
            self.revision += len(message.updates)
            self._received.append(message.updates)
            return message.updates
        if isinstance(message, _Beat):
            await self._socket.send(wire.BEAT, text=True)
        return []


@asynccontextmanager
async def session(
    url: str, document_id: str, token: str, client_id: str
) -> AsyncIterator[tuple[ClientConnection, wire.Welcome]]:
    """A connection that has heard its welcome, and nothing else."""
    query = urlencode({"client": client_id})
    async with connect(
        f"ws{url[4:]}/v1/documents/{document_id}/live?{query}",
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        proxy=None,
        ping_interval=None,
        max_size=None,
    ) as socket:
        async with asyncio.timeout(PATIENCE_S):
            welcome = wire.decode(await socket.recv(decode=False))
        assert isinstance(welcome, wire.Welcome)
        yield socket, welcome


@asynccontextmanager
async def author(url: str, document_id: str, token: str, client_id: str) -> AsyncIterator[Author]:
    async with session(url, document_id, token, client_id) as (socket, welcome):
        yield Author(socket, welcome)
