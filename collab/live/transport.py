"""How messages reach a client.

Under uvicorn, frames that were made once are written straight to each socket (`FramedProtocol`).
Under any other ASGI server each message is sent on its own (`AsgiTransport`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from starlette.websockets import WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket
    from uvicorn._types import ASGISendEvent
    from websockets.http11 import Request

    from collab.rooms.frames import Batch

EXTENSION = "collab.transport"

CLOSE_TIMEOUT_S = 5.0
"""How long a client may take to answer a close frame before its connection is cut."""


class Transport(Protocol):
    """The way to one client.

    `on_drain` is called when it can be written to again, `on_shutdown` when the server goes down.
    """

    on_drain: Callable[[], None] | None
    on_shutdown: Callable[[], None] | None

    @property
    def writable(self) -> bool: ...

    def write(self, batch: Batch) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class FramedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket connection, with ready frames written to the socket.

    It is its own `Transport`, found in the ASGI scope's extensions, but for names that uvicorn uses
    already: `FramedTransport` is what the session sees.
    """

    on_drain: Callable[[], None] | None = None
    on_shutdown: Callable[[], None] | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete:
            extensions = self.scope["extensions"]
            assert extensions is not None
            extensions[EXTENSION] = {"protocol": self}  # before the application's task runs

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_drain is not None:
            self.on_drain()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # a client that does not read gets no pong either

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        # A refused handshake is complete; uvicorn would log it as an error of the application.
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    def shutdown(self) -> None:
        if self.on_shutdown is not None:
            self.on_shutdown()
        super().shutdown()

    @property
    def open(self) -> bool:
        return not (self.close_sent or self.disconnected or self.transport.is_closing())

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, whatever is still unsent before it, and wait for the answer."""
        if not self.open:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            self.transport.abort()
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.resume_reading()
        self.read_paused = False
        self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)


class FramedTransport:
    """A `Transport` over uvicorn's connection."""

    def __init__(self, protocol: FramedProtocol) -> None:
        self._protocol = protocol

    @property
    def on_drain(self) -> Callable[[], None] | None:
        return self._protocol.on_drain

    @on_drain.setter
    def on_drain(self, call: Callable[[], None] | None) -> None:
        self._protocol.on_drain = call

    @property
    def on_shutdown(self) -> Callable[[], None] | None:
        return self._protocol.on_shutdown

    @on_shutdown.setter
    def on_shutdown(self, call: Callable[[], None] | None) -> None:
        self._protocol.on_shutdown = call

    @property
    def writable(self) -> bool:
        return self._protocol.writable.is_set() and self._protocol.open

    def write(self, batch: Batch) -> None:
        self._protocol.transport.write(batch.wire)

    def close(self, code: int, reason: str) -> None:
        self._protocol.close(code, reason)


class AsgiTransport:
    """A `Transport` over plain ASGI: one batch is under way at a time, sent by `run`."""

    def __init__(self, websocket: WebSocket) -> None:
        self.on_drain: Callable[[], None] | None = None
        self.on_shutdown: Callable[[], None] | None = None
        self._websocket = websocket
        self._unsent: deque[Batch] = deque()
        self._closing: tuple[int, str] | None = None
        self._wake = asyncio.Event()

    @property
    def writable(self) -> bool:
        return not self._unsent and self._closing is None

    def write(self, batch: Batch) -> None:
        self._unsent.append(batch)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = code, reason
            self._wake.set()

    async def run(self) -> None:
        """Send what is written until the connection ends. Cancelled by its owner, the endpoint."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._unsent:
                    for payload in self._unsent[0].payloads:
                        await self._websocket.send_text(payload.decode())
                    self._unsent.popleft()
                if self._closing is not None:
                    await self._websocket.close(*self._closing)
                    return
                if self.on_drain is not None:
                    self.on_drain()
        except (WebSocketDisconnect, RuntimeError):
            return  # the receiving side hears of it too


def framed(scope: Any) -> FramedTransport | None:
    """The ready-frame transport of a connection, if the server offers it."""
    offered = (scope.get("extensions") or {}).get(EXTENSION)
    return None if offered is None else FramedTransport(offered["protocol"])
