"""The way between two programs, a browser and the server say, which a test may cut or stall."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bench.server import ServerProcess

CHUNK_BYTES = 65_536


class Way:
    """A TCP proxy on the loopback address. For each connection it asks where that is to go.

    Whoever opens a connection says the first word. `url` is where browsers go instead of to the
    server.
    """

    def __init__(self, to_port: Callable[[], int]) -> None:
        self.port = 0
        self.up_bytes = self.down_bytes = 0
        """What was carried to the server, and from it."""
        self._to_port = to_port
        self._open = self._open_to_sessions = True
        self._up, self._down = asyncio.Event(), asyncio.Event()
        self._up.set()
        self._down.set()
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Lose every connection without a word."""
        for connection in self._connections:
            connection.cancel()

    def close(self) -> None:
        """Cut, and let nobody through any more."""
        self._open = False
        self.cut()

    def close_to_sessions(self) -> None:
        """Cut, and let nobody through any more but for pages and calls of the REST API."""
        self._open_to_sessions = False
        self.cut()

    def open(self) -> None:
        self._open = self._open_to_sessions = True

    def stall(self) -> None:
        """Whatever is on the way stays there; nobody is told."""
        self._up.clear()
        self._down.clear()

    def stall_answers(self) -> None:
        """What browsers send arrives; what the server sends stays on the way."""
        self._down.clear()

    def go_on(self) -> None:
        self._up.set()
        self._down.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as long as it lasts."""
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            if self._open:
                await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either end is gone, or `cut`
        finally:
            self._connections.discard(connection)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(CHUNK_BYTES)
        if b"/live?" in first.partition(b"\r\n")[0] and not self._open_to_sessions:
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._to_port())
        try:
            await self._up.wait()
            back.write(first)
            self._sent(len(first))
            up = asyncio.create_task(_pass_on(reader, back, self._up, self._sent))
            down = asyncio.create_task(_pass_on(there, writer, self._down, self._received))
            try:
                await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in (up, down):
                    each.cancel()
                await asyncio.wait((up, down))
        finally:
            back.transport.abort()

    def _sent(self, size: int) -> None:
        self.up_bytes += size

    def _received(self, size: int) -> None:
        self.down_bytes += size


async def _pass_on(
    source: asyncio.StreamReader,
    target: asyncio.StreamWriter,
    open_to: asyncio.Event,
    carried: Callable[[int], None],
) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK_BYTES):
            await open_to.wait()
            target.write(data)
            carried(len(data))
            await target.drain()


@asynccontextmanager
async def way_to(server: ServerProcess) -> AsyncIterator[Way]:
    async with passing(Way(lambda: server.port)) as way:
        yield way


@asynccontextmanager
async def passing(way: Way) -> AsyncIterator[Way]:
    """Listen, and in the end cut what is open."""
    listening = await asyncio.start_server(way.accept, "127.0.0.1", 0)
    way.port = listening.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        listening.close()
        way.go_on()
        way.close()
