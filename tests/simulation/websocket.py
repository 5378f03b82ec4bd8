"""WebSockets without a socket: a client's end, and the server's as ASGI has it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close

from collab.client import connection as client_connection
from collab.errors import CloseCode
from collab.live import endpoint
from collab.live.transport import EXTENSION, close_timeout_s
from collab.rooms.frames import Batch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping

    from collab.live.conversation import Conversation
    from collab.live.transport import Listener
    from collab.rooms.frames import Welcome
    from tests.simulation.network import End

MAX_UNDER_WAY = 8
"""With so many messages under way to a client, its server is to send no more."""


@dataclass(frozen=True)
class Request:
    """A handshake, as it comes in."""

    document_id: str
    query: str
    token: str


@dataclass(frozen=True)
class Refusal:
    """The answer to one that is refused."""

    status_code: int
    headers: dict[str, str]
    body: bytes


# -- The server's end ----------------------------------------------------------------------------


class ClientGone(OSError):
    """What an ASGI server raises, and hears, when it is to send to nobody."""


class ServedConnection:
    """One WebSocket, as uvicorn hands it to the application; it is its own `Transport`."""

    def __init__(self, end: End, app: object, failed: Callable[[str], None]) -> None:
        self.deflates = False
        self.listener: Listener | None = None
        self._end = end
        self._app = app
        self._failed = failed
        self._conversation: Conversation | None = None
        self._renewing = False
        self._closing = False
        self._full = False
        self._patience_s = close_timeout_s(CloseCode.RESTART)
        self._gone = asyncio.Event()
        self._events: deque[MutableMapping[str, Any]] = deque([{"type": "websocket.connect"}])
        self._heard = asyncio.Event()
        self._answer: MutableMapping[str, Any] = {}
        self._heard.set()
        end.on_message = self._message
        end.on_lost = self._lost
        end.on_room = self._drain

    async def answer(self, request: Request) -> None:
        scope = {
            "type": "websocket",
            "path": f"/v1/documents/{request.document_id}/live",
            "path_params": {"document_id": request.document_id},
            "query_string": request.query.encode(),
            "headers": [
                (b"host", b"collab"),
                (b"authorization", b"Bearer " + request.token.encode()),
            ],
            "client": ("127.0.0.1", 0),  # through a proxy that does not tell from where
            "subprotocols": [],
            "extensions": {
                "websocket.http.response": {},
                EXTENSION: {"offer": self},
            },
            "app": self._app,
        }
        try:
            with suppress(ClientGone):
                await endpoint.live(WebSocket(scope, self._receive, self._send))
                if self._conversation is not None:
                    await self._converse(self._conversation)
        except Exception as error:  # noqa: BLE001 - no request may end so
            self._failed(f"the endpoint failed: {error!r}")
        self._end.close()

    def take_over(self) -> ServedConnection:
        return self

    def serve(self, conversation: Conversation) -> None:
        self._conversation = conversation

    async def _converse(self, conversation: Conversation) -> None:
        """What was not taken at once, and the end."""
        while (event := await self._receive())["type"] != "websocket.disconnect":
            token = event.get("token") or conversation.take(event["text"])
            if token is not None:
                self._renewing = True
                await conversation.renew(token)
            self._renewing = False
        conversation.over(event["code"])
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                await self._gone.wait()
        conversation.gone()

    def _message(self, message: tuple[str, Any]) -> None:
        kind, data = message
        if kind == "text":
            if self._conversation is None or self._renewing or self._events:
                self._add({"type": "websocket.receive", "text": data})
            elif (token := self._conversation.take(data)) is not None:
                self._renewing = True
                self._add({"type": "renewal", "token": token})
        elif kind == "pong":
            if self.listener is not None:
                self.listener.heard_noise()
        else:
            self._add({"type": "websocket.disconnect", "code": data})

    def _lost(self) -> None:
        self._add({"type": "websocket.disconnect", "code": 1006})
        self._gone.set()

    def _drain(self) -> None:
        if self._full and self.writable:
            self._full = False
            if self.listener is not None:
                self.listener.drained()

    def _add(self, event: MutableMapping[str, Any]) -> None:
        self._events.append(event)
        self._heard.set()

    async def _receive(self) -> MutableMapping[str, Any]:
        while not self._events:
            self._heard.clear()
            await self._heard.wait()
        return self._events.popleft()

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        end = self._end
        if not end.open:
            raise ClientGone
        match message["type"]:
            case "websocket.accept":
                end.send(("accepted", None))
            case "websocket.http.response.start":
                self._answer = message
            case "websocket.http.response.body":
                headers = {
                    name.decode().title(): value.decode() for name, value in self._answer["headers"]
                }
                refusal = Refusal(self._answer["status"], headers, message["body"])
                end.send(("refused", refusal))
            case kind:
                raise AssertionError(kind)

    # -- The transport ------------------------------------------------------------------------

    @property
    def writable(self) -> bool:
        self._full = self._end.under_way >= MAX_UNDER_WAY
        return self._end.open and not self._closing and not self._full

    @property
    def unsent(self) -> int:
        return max(self._end.under_way - MAX_UNDER_WAY, 0)

    def welcome(self, welcome: Batch | Welcome) -> None:
        self.write(welcome if isinstance(welcome, Batch) else Batch(welcome.payload))

    def write(self, batch: Batch) -> None:
        for payload in batch.payloads:
            self._end.send(("text", payload.decode()))

    def close(self, code: int, reason: str) -> None:
        if self._closing or not self._end.open:
            return
        self._closing = True
        self._patience_s = close_timeout_s(code)
        self._add({"type": "websocket.disconnect", "code": code})
        self._end.send(("close", Close(code, reason)))

    def ping(self) -> bool:
        self._end.send(("ping", None))
        return True

    def abort(self) -> None:
        self._end.close()


# -- The client's end ----------------------------------------------------------------------------


class ClientSocket:
    """What `websockets.connect` gives, as far as the client uses it."""

    def __init__(self, end: End, observe: Callable[[str], None]) -> None:
        self._end = end
        self._observe = observe
        self._messages: deque[str] = deque()
        self._closed: ConnectionClosedError | None = None
        self._heard = asyncio.Event()
        self.opened = end.machine.create_future()
        end.on_message = self._message
        end.on_lost = self._lost

    def _message(self, message: tuple[str, Any]) -> None:
        kind, data = message
        match kind:
            case "accepted":
                if not self.opened.done():
                    self.opened.set_result(None)
            case "refused":
                if not self.opened.done():
                    self.opened.set_exception(InvalidStatus(data))
                self._end.close()
            case "text":
                self._messages.append(data)
                self._heard.set()
            case "ping":
                self._end.send(("pong", data))
            case "close":
                self._end.send(("close", data.code))
                self._end.close()
                self._close(data)

    def _lost(self) -> None:
        self._close(None)

    def _close(self, close: Close | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionResetError("lost while it was opened"))
        if self._closed is None:
            self._closed = ConnectionClosedError(close, None)
        self._heard.set()

    async def __aenter__(self) -> ClientSocket:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._end.open:
            self._end.send(("close", 1000))
            self._end.close()
        self._close(None)

    async def recv(self, decode: bool | None = None) -> bytes:
        while not self._messages:
            if self._closed is not None:
                raise self._closed
            self._heard.clear()
            await self._heard.wait()
        message = self._messages.popleft()
        self._observe(message)
        return message.encode()

    async def send(self, message: bytes, text: bool | None = None) -> None:
        if self._closed is not None:
            raise self._closed
        self._end.send(("text", message.decode()))


@contextmanager
def dialling(dial: Callable[[str, Request], Awaitable[ClientSocket]]) -> Iterator[None]:
    """Clients connect by `dial`, which is given the host's name in their URL."""

    async def connect(
        url: str, *, additional_headers: dict[str, str], open_timeout: float, **_: object
    ) -> ClientSocket:
        parts = urlsplit(url)
        request = Request(
            parts.path.split("/")[-2],
            parts.query,
            additional_headers["Authorization"].removeprefix("Bearer "),
        )
        async with asyncio.timeout(open_timeout):
            return await dial(parts.netloc, request)

    real = vars(client_connection)["websocket"]
    fake: Any = SimpleNamespace(connect=connect, ClientConnection=ClientSocket)
    vars(client_connection)["websocket"] = fake
    try:
        yield
    finally:
        vars(client_connection)["websocket"] = real
