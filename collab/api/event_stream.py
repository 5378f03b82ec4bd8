"""An answer of server-sent events, that goes on until its source ends, its client goes, or the
server goes down.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

from collab.api.connection import connection

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Message, Receive, Scope, Send

    from collab.api.connection import Connection

CLOSE_TIMEOUT_S = 1.0
"""How long a client may take to read up to the end of the answer before it is cut off."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",  # for proxies: pass each event on at once
}


class EventStream(Response):
    """Nothing is buffered but what the connection holds: the source waits for the client.

    A client that reads nothing for `stall_s` of what waits for it is cut off.
    """

    def __init__(self, events: AsyncGenerator[bytes, None], stall_s: float) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["Content-Length"]
        self._events = events
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        to_client = connection(scope)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send(send, to_client), name="event stream")
            reading = tasks.create_task(_client_gone(receive), name="event stream's client")
            if to_client is not None:
                to_client.on_shutdown = sending.cancel
            await asyncio.wait((sending, reading), return_when=asyncio.FIRST_COMPLETED)
            sending.cancel()
            reading.cancel()
        if to_client is not None:
            to_client.on_shutdown = None
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await send({"type": "http.response.body"})
        except TimeoutError:
            if to_client is not None:
                to_client.cut()

    async def _send(self, send: Send, to_client: Connection | None) -> None:
        """Send events until there are no more, or the client reads none."""
        async with aclosing(self._events):
            start = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **start})
            async for events in self._events:
                part = {"type": "http.response.body", "body": events, "more_body": True}
                if not await self._sent(send, part, to_client):
                    return

    async def _sent(self, send: Send, part: Message, to_client: Connection | None) -> bool:
        """Send a part when what is before it is read; False for a client that reads nothing."""
        while True:
            before = unsent(to_client)
            try:
                async with asyncio.timeout(self._stall_s):
                    await send(part)  # as long as it waits, nothing of it is sent
            except TimeoutError:
                if unsent(to_client) >= before:
                    return False
            else:
                return True


def unsent(to_client: Connection | None) -> int:
    return 0 if to_client is None else to_client.unsent


async def _client_gone(receive: Receive) -> None:
    with suppress(HTTPException):  # what it sends is more than anyone may
        while (await receive())["type"] != "http.disconnect":
            pass
