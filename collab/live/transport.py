"""How messages reach a client.

Under uvicorn, frames that were made once are written straight to each socket
(`collab.live.framed`). Under any other ASGI server each message is sent on its own
(`collab.live.asgi`).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Protocol

from collab.errors import CloseCode

if TYPE_CHECKING:
    from asyncio.transports import BaseTransport

    from collab.live.conversation import Conversation
    from collab.rooms.frames import Batch, Welcome

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


class Listener(Protocol):
    """A session, as its transport sees it."""

    def drained(self) -> None:
        """It can be written to again."""

    def heard_noise(self) -> None:
        """A frame came in that carries no message: a ping, a pong, or a part of a message."""

    def say_goodbye(self) -> None:
        """The server goes down."""


class Transport(Protocol):
    """The way to one client. Its listener, while it has one, is told what happens to it."""

    listener: Listener | None

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


class Serving(Transport, Protocol):
    """One that needs no application to read from it."""

    def serve(self, conversation: Conversation) -> None:
        """Read from now on, and tell the conversation of it until the connection is gone."""

    def abort(self) -> None:
        """Cut the connection at once."""


class Offer(Protocol):
    """A connection whose handshake the application answers."""

    def take_over(self) -> Serving:
        """What serves the connection once it was accepted, when the application has ended."""


def offered(scope: Any) -> Offer | None:
    """What the server itself has for a connection, if it has anything."""
    extension = (scope.get("extensions") or {}).get(EXTENSION)
    return None if extension is None else extension["offer"]


def close_timeout_s(code: int) -> float:
    return CLOSE_TIMEOUTS_S.get(code, CLOSE_TIMEOUT_S)


def bound_unsent(transport: BaseTransport) -> None:
    """Hold no more than `UNSENT_IN_KERNEL_BYTES` in the system, where it can be told so."""
    connection = transport.get_extra_info("socket")
    if hasattr(socket, "TCP_NOTSENT_LOWAT") and connection.family != socket.AF_UNIX:
        option = socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT
        connection.setsockopt(*option, UNSENT_IN_KERNEL_BYTES)
