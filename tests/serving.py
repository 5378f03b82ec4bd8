"""A real server for tests: uvicorn on a free loopback port, in the test's own event loop."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import uvicorn
from websockets.exceptions import InvalidStatus

from collab.api.app import create_app
from collab.cli import server_config
from collab.live.upgrade import FramedProtocol
from collab.settings import Settings
from tests.migrated import begin_in
from tests.peer import Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fastapi import FastAPI

    from collab.api.services import Services
    from collab.rooms.open_room import OpenRoom

SECRET = "a secret that only these tests know, long enough"
PATIENCE_S = 20


class Serving:
    """A server that runs, and calls of its REST API."""

    def __init__(self, port: int, app: FastAPI, server: uvicorn.Server) -> None:
        self.port = port
        self._app = app
        self._server = server
        self.url = f"http://127.0.0.1:{port}"
        # To read whom TLS would trust takes longer than all else that starts here.
        self.http = httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S, verify=False)
        self._tokens: dict[str, str] = {}

    def stop(self) -> None:
        """Ask the server to go down, and do not wait for it."""
        self._server.should_exit = True

    @property
    def connections(self) -> int:
        """How many are open, those of `http` among them."""
        return len(self._server.server_state.connections)

    @property
    def unsent(self) -> int:
        """How many bytes wait in memory for clients to read."""
        open_ = self._server.server_state.connections
        return sum(each.transport.get_write_buffer_size() for each in open_)

    async def left(self) -> None:
        """Wait until no session is left."""
        registry = self._app.state.services.registry
        async with asyncio.timeout(PATIENCE_S):
            while registry.sessions:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)

    async def token(self, name: str = "Ada") -> str:
        if name not in self._tokens:
            answer = await self.http.post("/v1/auth/guest", json={"name": name})
            self._tokens[name] = answer.raise_for_status().json()["token"]
        return self._tokens[name]

    async def document(self, text: str = "") -> str:
        answer = await self.http.post(
            "/v1/documents",
            json={"title": "Notes", "text": text},
            headers=await self.authorization(),
        )
        document_id: str = answer.raise_for_status().json()["id"]
        return document_id

    async def authorization(self, name: str = "Ada") -> dict[str, str]:
        return {"Authorization": f"Bearer {await self.token(name)}"}

    async def text(self, document_id: str) -> str:
        answer = await self.http.get(
            f"/v1/documents/{document_id}/text", headers=await self.authorization()
        )
        return answer.raise_for_status().text

    @property
    def services(self) -> Services:
        services: Services = self._app.state.services
        return services

    def room(self, document_id: str) -> OpenRoom:
        """The document's room, which is open."""
        room: OpenRoom = self._app.state.services.registry.peek(document_id)
        return room

    async def closed(self, document_id: str) -> None:
        """Wait until the document's room is closed."""
        registry = self._app.state.services.registry
        async with asyncio.timeout(PATIENCE_S):
            while registry.peek(document_id) is not None:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)

    async def refusal(self, document_id: str, **query: Any) -> tuple[int, dict[str, Any]]:
        """The status and the problem document that answer a handshake."""
        token = query.pop("token", None) or await self.token()
        with pytest.raises(InvalidStatus) as caught:
            await Peer.join(self.port, document_id, token, **query)
        response = caught.value.response
        assert response.headers["content-type"] == "application/problem+json"
        return response.status_code, json.loads(response.body)

    async def join(self, document_id: str, name: str = "Ada", **query: Any) -> Peer:
        """A client that has heard its welcome. `query` is the handshake's."""
        return await Peer.join(self.port, document_id, await self.token(name), **query)


@asynccontextmanager
async def serving(
    data_dir: Path, *, ws: type[asyncio.Protocol] | str = FramedProtocol, **settings: Any
) -> AsyncIterator[Serving]:
    """Start a server with `settings` over a data directory, and stop it in the end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        chosen = Settings(port=port, data_dir=data_dir, secret=SECRET, **settings)
        begin_in(chosen.data_dir)
        app = create_app(chosen)
        config = server_config(app, chosen)
        config.ws = ws
        server = uvicorn.Server(config)
        running = Serving(port, app, server)
        async with app.router.lifespan_context(app):
            task = asyncio.create_task(server.serve(sockets=[listener]), name="server")
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while not server.started:
                        await asyncio.wait([task], timeout=0.01)
                yield running
            finally:
                await running.http.aclose()
                server.should_exit = True
                async with asyncio.timeout(PATIENCE_S):
                    await task
