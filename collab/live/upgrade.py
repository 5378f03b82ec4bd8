"""uvicorn's part of a WebSocket: the handshake, for as long as the application answers it."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.protocol import Protocol, Side
from websockets.server import ServerProtocol

from collab.live.framed import FramedTransport
from collab.live.transport import EXTENSION, bound_unsent

if TYPE_CHECKING:
    from asyncio.transports import BaseTransport

    from uvicorn._types import ASGISendEvent
    from websockets.http11 import Request

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

NO_CONTEXT = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True
)
"""Each message is deflated on its own, so that one serves all, and no connection keeps a window."""


class FramedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket connection, which a `FramedTransport` takes over when it was accepted.

    Until then nothing is read that comes after the handshake. It is found in the ASGI scope's
    extensions, as an `Offer`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = ServerProtocol(
            extensions=[NO_CONTEXT], max_size=self.config.ws_max_size, logger=self.conn.logger
        )

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        bound_unsent(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # uvicorn would leave a request that cannot be read open for ever.
            self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_REQUEST)
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete:
            extensions = self.scope["extensions"]
            assert extensions is not None
            # Before the application's task runs.
            extensions[EXTENSION] = {"offer": self}
            self.read_paused = True
            self.transport.pause_reading()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        # A refused handshake is complete; uvicorn would log it as an error of the application.
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    def take_over(self) -> FramedTransport:
        """Call it as soon as the connection was accepted. Nothing of this object, or of the
        handshake, is needed then, and nothing keeps it.
        """
        self.stop_keepalive()
        self.handshake_complete = True  # also where the connection went away before
        self.connections.discard(self)
        self.scope["extensions"] = {}
        transport, self.transport = self.transport, _Gone()
        deflates = any(map(_takes_any_window, self.conn.extensions))
        conn = Protocol(Side.SERVER, max_size=self.config.ws_max_size, logger=self.conn.logger)
        conn.extensions = self.conn.extensions
        self.conn.parser.close()
        return FramedTransport(transport, conn, deflates, self.connections, self.tasks)


class _Gone(asyncio.Transport):
    """uvicorn closes the connection when the application ends: this one, and not the real one."""

    def close(self) -> None: ...


def _takes_any_window(extension: object) -> bool:
    """Whether what was deflated once for all may be sent to this client."""
    return isinstance(extension, PerMessageDeflate) and (
        extension.local_max_window_bits == zlib.MAX_WBITS
    )
