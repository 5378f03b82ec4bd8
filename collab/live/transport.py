"""How messages reach a client.

Under uvicorn, frames that were made once are written straight to each socket (`FramedProtocol`).
Under any other ASGI server each message is sent on its own (`collab.live.asgi`).
"""

from __future__ import annotations

import asyncio
import socket
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.server import ServerProtocol

from collab.errors import CloseCode
from collab.rooms.frames import Batch

if TYPE_CHECKING:
    from asyncio.transports import BaseTransport
    from collections.abc import Callable

    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

    from collab.rooms.frames import Welcome

EXTENSION = "collab.transport"

CLOSE_TIMEOUT_S = 5.0
"""How long a client may take to answer a close frame before its connection is cut."""

CLOSE_TIMEOUTS_S: dict[int, float] = {
    CloseCode.FELL_BEHIND: 30.0,  # it has to read up to the close frame first
    CloseCode.TOO_FAST: 1.0,  # whatever it goes on sending meanwhile is work
}

UNSENT_IN_KERNEL_BYTES = 64 * 1024
"""How much of what was not sent yet the system may hold for a connection. What a client does not
read stays in the shared history, and that it reads, however slowly, can be seen.
"""

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

PARSED_AT_ONCE_BYTES = 16 * 1024
"""How much of what came in is parsed before others have their turn: 256 KiB may come in at once,
and be 40,000 tiny frames.
"""


def close_timeout_s(code: int) -> float:
    return CLOSE_TIMEOUTS_S.get(code, CLOSE_TIMEOUT_S)


NO_CONTEXT = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True
)
"""Each message is deflated on its own, so that one serves all, and no connection keeps a window."""

PING = b"\x89\x00"
"""A WebSocket ping that carries nothing (RFC 6455, 5.5.2)."""


class Transport(Protocol):
    """The way to one client.

    `on_drain` is called when it can be written to again, `on_shutdown` when the server goes down,
    `on_noise` for each frame that is no message: a ping, a pong, or a part of a message. Some give
    text messages to `on_message` at once, and only what that does not take, and all that follows it
    until it is set again, to the application's `receive`.
    """

    on_message: Callable[[str], bool] | None
    on_drain: Callable[[], None] | None
    on_noise: Callable[[], None] | None
    on_shutdown: Callable[[], None] | None

    @property
    def writable(self) -> bool: ...

    @property
    def unsent(self) -> int:
        """How much waits to be sent, in bytes."""

    @property
    def deflates(self) -> bool:
        """Whether the client reads deflated messages."""

    def welcome(self, welcome: Batch | Welcome) -> None: ...

    def write(self, batch: Batch) -> None: ...

    def close(self, code: int, reason: str) -> None:
        """Close the connection, after what was written; cut it if that takes too long."""

    def ping(self) -> bool:
        """Ask the client for a frame, which tells that it is there. False if that cannot be."""

    async def ended(self) -> None:
        """Wait until the connection is gone. It is called when the conversation is over."""


def bound_unsent(transport: BaseTransport) -> None:
    """Hold no more than `UNSENT_IN_KERNEL_BYTES` in the system, where it can be told so."""
    connection = transport.get_extra_info("socket")
    if hasattr(socket, "TCP_NOTSENT_LOWAT") and connection.family != socket.AF_UNIX:
        option = socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT
        connection.setsockopt(*option, UNSENT_IN_KERNEL_BYTES)


class FramedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket connection, with ready frames written to the socket.

    It is its own `Transport`, found in the ASGI scope's extensions, but for names that uvicorn uses
    already: `FramedTransport` is what the session sees.
    """

    on_message: Callable[[str], bool] | None = None
    on_drain: Callable[[], None] | None = None
    on_noise: Callable[[], None] | None = None
    on_shutdown: Callable[[], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = ServerProtocol(
            extensions=[NO_CONTEXT], max_size=self.config.ws_max_size, logger=self.conn.logger
        )
        self.deflates = False
        self._unparsed = bytearray()
        self._gone = asyncio.Event()
        self._close_timeout_s = CLOSE_TIMEOUT_S

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        bound_unsent(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unparsed.clear()
        self._gone.set()

    # -- What comes in ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._unparsed:
            self._unparsed += data
        elif len(data) > PARSED_AT_ONCE_BYTES:
            self._unparsed += data
            self._parse()
        else:
            super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # uvicorn would leave a request that cannot be read open for ever.
            self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_REQUEST)
            self.transport.close()

    def _parse(self) -> None:
        """Parse a slice of what came in. Nothing more is read until all of it is parsed."""
        if self.transport.is_closing():
            self._unparsed.clear()
            return
        part = bytes(self._unparsed[:PARSED_AT_ONCE_BYTES])
        del self._unparsed[:PARSED_AT_ONCE_BYTES]
        super().data_received(part)
        if self._unparsed:
            self.transport.pause_reading()
            self.loop.call_soon(self._parse)
        elif not self.read_paused:
            self.transport.resume_reading()

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if self._unparsed:
            self.transport.pause_reading()
        return message

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete:
            extensions = self.scope["extensions"]
            assert extensions is not None
            self.deflates = any(map(_takes_any_window, self.conn.extensions))
            # Before the application's task runs.
            extensions[EXTENSION] = {"transport": FramedTransport(self)}
            # Nothing more is read before the application takes the connection.
            self.read_paused = True
            self.transport.pause_reading()

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        self._noise()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # a client that does not read gets no pong either
        self._noise()

    def handle_pong(self, event: Frame) -> None:
        super().handle_pong(event)
        self._noise()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                text = b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames.clear()
                self.close(1007, "text messages are UTF-8")
                return
            # What is taken at once costs neither a turn of the loop nor a pause in reading.
            if self.on_message is not None and self.queue.empty() and self.on_message(text):
                self.frames.clear()
                return
        self.on_message = None
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """What came in is no WebSocket, or too big (L2).

        The rest of it may still be coming. To close at once would reset the connection, and the
        client never learn why: it is passed over until the client has closed.
        """
        if self.close_sent:
            return
        close = self.conn.close_sent
        assert close is not None
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": close.code, "reason": close.reason}
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._closing(CLOSE_TIMEOUT_S)

    def _noise(self) -> None:
        if self.on_noise is not None:
            self.on_noise()

    # -- What goes out ------------------------------------------------------------------------

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_drain is not None:
            self.on_drain()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        # A refused handshake is complete; uvicorn would log it as an error of the application.
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    # -- Its end ------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """The server goes down, and waits for nobody who does not read."""
        if self.close_sent and self.transport.get_write_buffer_size():
            self.transport.abort()
            return
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
        self._closing(close_timeout_s(code))

    def _closing(self, timeout_s: float) -> None:
        self.close_sent = True
        self.read_paused = False
        if not self._unparsed:
            self.transport.resume_reading()
        self._close_timeout_s = timeout_s
        self.close_timer = self.loop.call_later(timeout_s, self.transport.abort)

    async def ended(self) -> None:
        # A client may have closed and yet not read what is unsent, which nothing else bounds.
        try:
            async with asyncio.timeout(self._close_timeout_s):
                await self._gone.wait()
        except TimeoutError:
            self.transport.abort()
            await self._gone.wait()


class FramedTransport:
    """A `Transport` over uvicorn's connection."""

    def __init__(self, protocol: FramedProtocol) -> None:
        self._protocol = protocol

    @property
    def on_message(self) -> Callable[[str], bool] | None:
        return self._protocol.on_message

    @on_message.setter
    def on_message(self, call: Callable[[str], bool] | None) -> None:
        self._protocol.on_message = call

    @property
    def on_drain(self) -> Callable[[], None] | None:
        return self._protocol.on_drain

    @on_drain.setter
    def on_drain(self, call: Callable[[], None] | None) -> None:
        self._protocol.on_drain = call

    @property
    def on_noise(self) -> Callable[[], None] | None:
        return self._protocol.on_noise

    @on_noise.setter
    def on_noise(self, call: Callable[[], None] | None) -> None:
        self._protocol.on_noise = call

    @property
    def on_shutdown(self) -> Callable[[], None] | None:
        return self._protocol.on_shutdown

    @on_shutdown.setter
    def on_shutdown(self, call: Callable[[], None] | None) -> None:
        self._protocol.on_shutdown = call

    @property
    def writable(self) -> bool:
        return self._protocol.writable.is_set() and self._protocol.open

    @property
    def unsent(self) -> int:
        return self._protocol.transport.get_write_buffer_size()

    @property
    def deflates(self) -> bool:
        return self._protocol.deflates

    def welcome(self, welcome: Batch | Welcome) -> None:
        if isinstance(welcome, Batch):
            self.write(welcome)
        else:
            parts = welcome.deflated if self._protocol.deflates else welcome.wire
            self._protocol.transport.writelines(parts)

    def write(self, batch: Batch) -> None:
        protocol = self._protocol
        protocol.transport.write(batch.deflated if protocol.deflates else batch.wire)

    def close(self, code: int, reason: str) -> None:
        self._protocol.close(code, reason)

    def ping(self) -> bool:
        self._protocol.transport.write(PING)
        return True

    async def ended(self) -> None:
        await self._protocol.ended()


def offered(scope: Any) -> Transport | None:
    """The transport that the server itself has for a connection, if it has one."""
    extension = (scope.get("extensions") or {}).get(EXTENSION)
    return None if extension is None else extension["transport"]


def _takes_any_window(extension: object) -> bool:
    """Whether what was deflated once for all may be sent to this client."""
    return isinstance(extension, PerMessageDeflate) and (
        extension.local_max_window_bits == zlib.MAX_WBITS
    )
