"""uvicorn's HTTP connection, as an answer that goes on without end has to know it.

The server waits for every answer before it goes down, and never cuts a connection whose client does
not read: such an answer ends itself, and cuts the connection if need be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collab.live.transport import bound_unsent

if TYPE_CHECKING:
    from asyncio.transports import Transport
    from collections.abc import Callable

    from starlette.types import Scope

EXTENSION = "collab.connection"


class Connection(HttpToolsProtocol):
    """`on_shutdown` is called when the server goes down. Found by `connection`."""

    on_shutdown: Callable[[], object] | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        bound_unsent(transport)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"protocol": self}}

    def shutdown(self) -> None:
        super().shutdown()
        if self.on_shutdown is not None:
            self.on_shutdown()

    @property
    def unsent(self) -> int:
        """How much waits to be sent, in bytes."""
        return self.transport.get_write_buffer_size()

    def cut(self) -> None:
        """End the connection, whatever is not sent yet."""
        self.transport.abort()


def connection(scope: Scope) -> Connection | None:
    """The connection of a request; None under any server but ours."""
    offered = (scope.get("extensions") or {}).get(EXTENSION)
    return None if offered is None else offered["protocol"]
