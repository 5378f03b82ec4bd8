"""How messages reach a client under any ASGI server: each is sent on its own."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from starlette.websockets import WebSocketDisconnect, WebSocketDisconnected, WebSocketState

from collab.live.transport import close_timeout_s
from collab.rooms.frames import Batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.websockets import WebSocket

    from collab.live.conversation import Conversation
    from collab.live.transport import Listener
    from collab.rooms.frames import Welcome


@asynccontextmanager
async def sending(websocket: WebSocket) -> AsyncIterator[AsgiTransport]:
    """A transport, for as long as the conversation lasts that takes place in here. It is cut off
    when the connection is to be closed and that takes too long.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as patience:
            transport = AsgiTransport(websocket, patience)
            sender = asyncio.create_task(transport.run(), name="send")
            try:
                yield transport
            finally:
                sender.cancel()
                await asyncio.wait([sender])
            if not sender.cancelled() and websocket.client_state is not WebSocketState.DISCONNECTED:
                sender.result()  # what a server raises after a disconnect is no error


async def serve(websocket: WebSocket, conversation: Conversation) -> None:
    """Tell a conversation what comes in until the connection is gone, as far as ASGI tells."""
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                conversation.over(message.get("code", 1005))
                return
            token = conversation.take(message.get("text"))
            if token is not None:
                await conversation.renew(token)
    finally:
        conversation.gone()


class AsgiTransport:
    """A `Transport` over plain ASGI: one batch is under way at a time, sent by `run`.

    When a client reads is seen by whole messages only. `patience` is the timeout that the
    conversation runs in; it is set when the connection is to be closed.
    """

    def __init__(self, websocket: WebSocket, patience: asyncio.Timeout) -> None:
        self.deflates = False
        self.listener: Listener | None = None
        self._websocket = websocket
        self._patience = patience
        self._unsent: deque[bytes] = deque()
        self._closing: tuple[int, str] | None = None
        self._wake = asyncio.Event()

    @property
    def writable(self) -> bool:
        return not self._unsent and self._closing is None

    @property
    def unsent(self) -> int:
        return sum(map(len, self._unsent))

    def write(self, batch: Batch) -> None:
        self._unsent += batch.payloads
        self._wake.set()

    def welcome(self, welcome: Batch | Welcome) -> None:
        if isinstance(welcome, Batch):
            self.write(welcome)
        else:
            self.write(Batch(welcome.payload))

    def close(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = code, reason
            self._patience.reschedule(asyncio.get_running_loop().time() + close_timeout_s(code))
            self._wake.set()

    def ping(self) -> bool:
        return False  # ASGI knows none

    async def run(self) -> None:
        """Send what is written until the connection ends. Cancelled by its owner, the endpoint."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._unsent:
                    await self._websocket.send_text(self._unsent[0].decode())
                    self._unsent.popleft()
                if self._closing is not None:
                    await self._websocket.close(*self._closing)
                    return
                if self.listener is not None:
                    self.listener.drained()
        except (WebSocketDisconnect, WebSocketDisconnected):
            return  # the receiving side hears of it too
