"""Clients of any server here, in one process of Node: each by the library of its protocol.

async with clients(core=1) as node:
    await node.fill(whom, edits)
    opened = await node.open(whom, times=10)
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.peers import install
from bench.peers.processes import Tree, on_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.long_history import Replacement
    from bench.peers.servers import Server

PATIENCE_S = 900.0
LINE_BYTES = 16 * 1_048_576
HEAP_MB = 12_000
"""Hundreds of clients may have a long text each."""

WEB = Path(__file__).parents[2] / "web"


class Where(NamedTuple):
    """A document of a server, and a token where the server wants one."""

    server: Server
    document: str
    token: str = ""


class Opened(NamedTuple):
    """From the connecting until the text was there, and all bytes that came until then."""

    took_s: float
    bytes: int


class NodeClients:
    """The process. Each call is one command, and raises RuntimeError for what went wrong there."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.tree = Tree(process.pid)
        self._process = process

    async def fill(self, where: Where, edits: Sequence[Replacement]) -> None:
        """Somebody does these edits, one an update, and stays."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(edits, file)
            file.flush()
            await self._do("fill", where, edits=file.name)

    async def open(self, where: Where, times: int) -> tuple[list[Opened], str]:
        """Open a document so often, one after the other. With the last text's SHA-1, as UTF-8."""
        answer = await self._do("open", where, times=times)
        return _opened(answer), answer["digest"]

    async def join(self, where: Where, count: int) -> tuple[list[Opened], list[str]]:
        """So many open a document at once. With the SHA-1 of each text."""
        answer = await self._do("join", where, clients=count)
        return _opened(answer), answer["digests"]

    async def stay(
        self, where: Where, documents: Sequence[str], each: int, edits: Sequence[Replacement] = ()
    ) -> None:
        """So many open each of the documents, and stay. The first in each does the edits."""
        await self._do("stay", where, documents=documents, each=each, edits=edits or None)

    async def there(self) -> int:
        """How many of those who stay are still connected."""
        count: int = (await self._do("there"))["there"]
        return count

    async def leave(self) -> None:
        """All who stayed leave."""
        await self._do("leave")

    async def _do(self, command: str, where: Where | None = None, **more: Any) -> Any:
        asked = {"command": command, **more}
        if where is not None:
            asked["where"] = {
                "server": where.server.name,
                "port": where.server.port,
                "document": where.document,
                "token": where.token,
            }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the clients ended while they should {command}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{command}: {answer['error']}")
        return answer


def _opened(answer: Any) -> list[Opened]:
    return [Opened(each["ms"] / 1_000, each["bytes"]) for each in answer["opened"]]


@asynccontextmanager
async def clients(core: int | None = None) -> AsyncIterator[NodeClients]:
    """The process, on a core of its own if one is named; it ends with the block.

    Where no peer is installed, it has what Collab's own page is tested with.
    """
    packages = install.HERE if install.NODE_MODULES.exists() else WEB
    with on_core(core):
        process = await asyncio.create_subprocess_exec(
            install.node(),
            f"--max-old-space-size={HEAP_MB}",
            str(Path(__file__).with_suffix(".mjs")),
            str(packages),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
        )
    try:
        yield NodeClients(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
