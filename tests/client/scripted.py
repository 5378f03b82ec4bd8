"""A WebSocket server that does just what a test says, session by session."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from websockets.asyncio.server import Server, ServerConnection, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from http import HTTPStatus

    from websockets.http11 import Request, Response

PATIENCE_S = 30

Message = dict[str, Any]

LIMITS = {
    "max_message_bytes": 1_048_576,
    "max_document_units": 1_000,
    "max_updates_per_push": 1_000,
    "max_sections_per_push": 10_000,
    "max_ranges": 100,
    "pushes_per_second": 1_000,
    "presence_hz": 10,
    "heartbeat_s": 15.0,
}


class Session:
    """One connection of the client, as its server sees it."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        assert connection.request is not None
        self.path, _, query = connection.request.path.partition("?")
        self.query = dict(parse_qsl(query))
        self.token = connection.request.headers["Authorization"]

    async def send(self, message: Message) -> None:
        await self.connection.send(json.dumps(message))

    async def hear(self) -> Message:
        async with asyncio.timeout(PATIENCE_S):
            message: Message = json.loads(await self.connection.recv())
            return message

    async def welcome(self, text: str | None = "", revision: int = 0, **fields: Any) -> None:
        """Fresh with a text, resumed without. The public name is `me`, the mark `m<revision>`."""
        limits = LIMITS | fields.pop("limits", {})
        welcome = {
            "type": "welcome",
            "protocol": 1,
            "client": "me",
            "session": "s",
            "revision": revision,
            "mark": f"m{revision}",
            "head": revision,
            "saved": 0,
            "role": "editor",
            "limits": limits,
            "presence": [],
        }
        if text is not None:
            welcome["text"] = text
        await self.send(welcome | fields)

    async def updates(self, revision: int, *updates: tuple[str, int, Any]) -> None:
        mark = f"m{revision + len(updates) - 1}"
        await self.send({"type": "updates", "revision": revision, "mark": mark, "updates": updates})

    async def order(self, push: Message, revision: int | None = None) -> None:
        """Send a push back as it came: it is ordered next."""
        first = push["revision"] + 1 if revision is None else revision
        await self.updates(first, *(("me", push["seq"], update) for update in push["updates"]))

    async def beat(self, revision: int, **fields: Any) -> None:
        beat = {"type": "beat", "revision": revision, "mark": f"m{revision}", "saved": 0}
        await self.send(beat | fields)

    async def close(self, code: int, reason: str = "") -> None:
        await self.connection.close(code, reason)

    def cut(self) -> None:
        """Lose the connection without a word."""
        self.connection.transport.abort()


class Scripted:
    """Sessions in the order they came; each stays open until the test ends it or ends."""

    def __init__(self) -> None:
        self.refusals: deque[tuple[HTTPStatus, Message, dict[str, str]]] = deque()
        """How to answer the next handshakes, before any is accepted."""
        self.url = ""
        self._sessions: asyncio.Queue[Session] = asyncio.Queue()

    async def session(self) -> Session:
        """Wait for the next session."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._sessions.get()

    async def welcomed(self, text: str = "", revision: int = 0, **fields: Any) -> Session:
        """Wait for the next session, and welcome it with a text."""
        session = await self.session()
        await session.welcome(text, revision, **fields)
        return session

    def refuse(self, status: HTTPStatus, detail: str = "", **headers: str) -> None:
        self.refusals.append((status, {"title": "No", "detail": detail}, headers))

    async def handle(self, connection: ServerConnection) -> None:
        await self._sessions.put(Session(connection))
        await connection.wait_closed()

    def answer(self, connection: ServerConnection, _: Request) -> Response | None:
        if not self.refusals:
            return None
        status, problem, headers = self.refusals.popleft()
        response = connection.respond(status, json.dumps(problem))
        response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        return response

    def listen(self, server: Server) -> None:
        host, port = next(iter(server.sockets)).getsockname()
        self.url = f"http://{host}:{port}"


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    script = Scripted()
    async with serve(
        script.handle, "127.0.0.1", 0, process_request=script.answer, ping_interval=None
    ) as server:
        script.listen(server)
        yield script
