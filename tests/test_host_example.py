"""The example of a host application: whoever it has logged in edits here, as it allows."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from bench.ports import free_port
from bench.server import running
from tests.peer import Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EXAMPLE = Path(__file__).parents[1] / "examples/host/host.py"
PATIENCE_S = 30


@asynccontextmanager
async def host() -> AsyncIterator[str]:
    """The example as a process of its own. Yields its URL."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, env={**os.environ, "PORT": str(port)}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(PATIENCE_S), httpx2.AsyncClient(base_url=url) as http:
            while True:
                try:
                    await http.get("/jwks.json")
                    break
                except httpx2.ConnectError:
                    await asyncio.sleep(0.02)
        yield url
    finally:
        process.kill()
        await process.wait()


async def log_in(url: str, name: str, password: str) -> str:
    """A token for Collab, as the docstring of the example gets it."""
    async with httpx2.AsyncClient(base_url=url) as http:
        assert (await http.post("/collab-token")).status_code == 401
        form = {"name": name, "password": password}
        (await http.post("/login", data=form)).raise_for_status()
        token: str = (await http.post("/collab-token")).raise_for_status().json()["token"]
        return token


async def test_whoever_the_host_has_logged_in_edits_here(tmp_path: Path) -> None:
    async with (
        host() as url,
        running(
            tmp_path,
            COLLAB_JWKS_URL=f"{url}/jwks.json",
            COLLAB_JWT_ISSUER=url,
            COLLAB_JWT_AUDIENCE="collab",
        ) as server,
        httpx2.AsyncClient(base_url=server.url) as http,
    ):
        ada, guy = await log_in(url, "ada", "lovelace"), await log_in(url, "guy", "auditor")
        headers = {"Authorization": f"Bearer {ada}"}
        assert (await http.get("/v1/me", headers=headers)).json()["name"] == "Ada Lovelace"
        made = await http.post("/v1/documents", json={"title": "Notes"}, headers=headers)
        document_id = made.raise_for_status().json()["id"]
        writer = await Peer.join(server.port, document_id, ada)
        reader = await Peer.join(server.port, document_id, guy)
        assert (writer.welcome["role"], reader.welcome["role"]) == ("owner", "viewer")
        await writer.push([[0, "Hello"]])
        await reader.heard(1)
        await writer.send({"type": "token", "token": await log_in(url, "ada", "lovelace")})
        await reader.push([5, [0, "!"]])
        assert (await reader.hear("refused"))["code"] == "forbidden"
        await writer.leave()
        await reader.leave()
