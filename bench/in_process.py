"""The whole server in this process, and clients without sockets: bytes go in, and bytes come out.

What is left is what the server itself takes: neither the system's work for sockets nor a client's
for what it receives is in it.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import httpx2
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from collab.api.app import create_app
from collab.cli import server_config, spare_the_collector
from collab.live.upgrade import FramedProtocol
from collab.settings import Settings

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable

    from fastapi import FastAPI

UNBOUNDED = 1_000_000
PATIENCE_S = 60.0
PRESENCE_S = 0.3
"""After so long everybody knows who is there."""


def _frame(opcode: Opcode, payload: bytes) -> bytes:
    return Frame(opcode, payload).serialize(mask=True)


PONG = _frame(Opcode.PONG, b"")
"""Tells that a client is there."""


class Wire(asyncio.Transport):
    """A connection whose client takes whatever comes at once. `on_write` is called with it."""

    def __init__(self, connection: socket.socket, on_write: Callable[[bytes], None]) -> None:
        super().__init__({"socket": connection})
        self.on_write = on_write
        self._closing = False
        self._protocol: asyncio.Protocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.Protocol:
        assert self._protocol is not None, "connected"
        return self._protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.on_write(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Client:
    """One session."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._seq = 0

    def push(self, revision: int, updates: bytes) -> bytes:
        """Its next push, as it comes from a socket."""
        self._seq += 1
        message = b'{"type":"push","revision":%d,"seq":%d,"updates":[%s]}'
        return _frame(Opcode.TEXT, message % (revision, self._seq, updates))

    def receive(self, data: bytes) -> None:
        self.wire.get_protocol().data_received(data)

    def gone(self) -> None:
        self.wire.close()
        self.wire.get_protocol().connection_lost(None)


class Document:
    """A document of `units` that is open, and the clients that have it open."""

    def __init__(self, server: Server, path: str, units: int) -> None:
        self.clients: list[Client] = []
        self.revision = 1  # what it was created with
        self._units = units
        self._server = server
        self._path = path
        self._arrived = 0
        self._end = b""
        self._all = asyncio.Event()

    def length(self, revision: int) -> int:
        """Every update puts in one letter."""
        return self._units + revision - 1

    def letter(self, revision: int, chance: random.Random) -> bytes:
        """A change (T3) that puts a letter somewhere into the text at a revision."""
        length = self.length(revision)
        at = chance.randint(1, length - 1)
        return b'[%d,[0,"x"],%d]' % (at, length - at)

    async def join(self, count: int) -> None:
        """So many more clients come, and hear of one another."""
        for number in range(count):
            self.clients.append(self._server.connect(self._path, number, self._welcomed))
        await self.arrived()
        for client in self.clients:
            client.receive(PONG)
        await asyncio.sleep(PRESENCE_S)
        for client in self.clients:
            client.wire.on_write = self._came

    def expect(self, revision: int) -> None:
        """From now on count those who were told that a revision is saved."""
        self._arrived = 0
        self._end = b'"saved","revision":%d}' % revision
        self._all.clear()

    async def arrived(self) -> None:
        """Wait until every client is told."""
        async with asyncio.timeout(PATIENCE_S):
            await self._all.wait()

    def _welcomed(self, data: bytes) -> None:
        if b'"type":"welcome"' in data:
            self._count()

    def _came(self, data: bytes) -> None:
        if data.endswith(self._end):
            self._count()

    def _count(self) -> None:
        self._arrived += 1
        if self._arrived == len(self.clients):
            self._all.set()


class Server:
    """The application, and connections to it."""

    def __init__(self, app: FastAPI, settings: Settings, connection: socket.socket) -> None:
        self._config = server_config(app, settings)
        self._config.load()
        self._state = ServerState()
        self._connection = connection
        self._http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://localhost"
        )
        self._token = ""

    @asynccontextmanager
    async def document(self, units: int, clients: int) -> AsyncIterator[Document]:
        one = Document(self, await self.create(units), units)
        await one.join(clients)
        try:
            yield one
        finally:
            for client in one.clients:
                client.gone()
            await asyncio.gather(*self._state.tasks)

    async def create(self, units: int) -> str:
        """Where a new document is opened."""
        path, headers = "/v1/documents", {"Authorization": f"Bearer {self._token}"}
        body = {"title": "Hot", "text": "x" * units}
        answer = await self._http.post(path, json=body, headers=headers)
        return f"{path}/{answer.raise_for_status().json()['id']}/live"

    async def come_and_go(self, path: str, number: int) -> None:
        """One client opens a document, and is gone when it has its welcome."""
        welcomed = asyncio.Event()

        def came(data: bytes) -> None:
            if b'"type":"welcome"' in data:
                welcomed.set()

        client = self.connect(path, number, came)
        async with asyncio.timeout(PATIENCE_S):
            await welcomed.wait()
        client.gone()

    async def open(self) -> None:
        answer = await self._http.post("/v1/auth/guest", json={"name": "bench"})
        self._token = answer.raise_for_status().json()["token"]

    def connect(self, path: str, number: int, on_write: Callable[[bytes], None]) -> Client:
        wire = Wire(self._connection, on_write)
        protocol = FramedProtocol(self._config, self._state, {})
        wire.set_protocol(protocol)
        protocol.connection_made(wire)
        protocol.data_received(
            (
                f"GET {path}?client=bench-in-memory-{number:06} HTTP/1.1\r\nhost: localhost\r\n"
                f"authorization: Bearer {self._token}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            ).encode()
        )
        return Client(wire)


@asynccontextmanager
async def server() -> AsyncIterator[Server]:
    """A server over a database of its own that limits nobody."""
    with TemporaryDirectory() as folder, socket.socket() as connection:
        settings = Settings(
            data_dir=Path(folder),
            pushes_per_second=UNBOUNDED,
            user_pushes_per_second=UNBOUNDED,
            document_pushes_per_second=UNBOUNDED,
            messages_per_second=UNBOUNDED,
            handshakes_at_once=UNBOUNDED,
            heartbeat_s=300,  # nobody answers beats
            log_level="error",
        )
        app: Any = create_app(settings)
        async with app.router.lifespan_context(app):
            one = Server(app, settings, connection)
            await one.open()
            thresholds = gc.get_threshold()
            spare_the_collector()
            try:
                yield one
            finally:
                gc.set_threshold(*thresholds)
                gc.unfreeze()
