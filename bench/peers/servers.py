"""Collab and its peers, each as processes of its own on the loopback address.

async with serving("hocuspocus", folder, core=0) as server:
    ...  # server.port, server.tree.cpu_s

A peer runs as its documentation starts it: in memory, without accounts. Collab runs as its own does
and keeps what is typed in SQLite; only its limits are lifted, since all come from one address.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from bench import server as collab
from bench.peers import install
from bench.peers.processes import Tree, on_core
from bench.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

READY_TIMEOUT_S = 30.0
POLL_S = 0.02

LIFTED = {
    "COLLAB_HANDSHAKES_PER_SECOND": "1000000",
    "COLLAB_HANDSHAKES_AT_ONCE": "1000000",
    "COLLAB_MAX_HALF_OPEN": "10000",
    "COLLAB_USER_PUSHES_PER_SECOND": "1000000",
    "COLLAB_DOCUMENT_PUSHES_PER_SECOND": "1000000",
    "COLLAB_MAX_USER_SESSIONS": "10000",
}


class Kind(NamedTuple):
    """How a peer is installed and started."""

    package: str
    install: Callable[[], None]
    version: Callable[[str], str]
    command: Callable[[], list[str]]
    """The port becomes its last argument, and its environment's `PORT`."""


def _node(script: str) -> Callable[[], list[str]]:
    return lambda: [install.node(), str(install.HERE / script)]


_NPM = install.install_node_peers, install.npm_version

PEERS = {
    "hocuspocus": Kind("@hocuspocus/server", *_NPM, _node("start/hocuspocus.js")),
    "y-websocket": Kind(
        "@y/websocket-server", *_NPM, _node("node_modules/@y/websocket-server/src/server.js")
    ),
    "sharedb": Kind("sharedb", *_NPM, _node("start/sharedb.js")),
    "pycrdt": Kind(
        "pycrdt-websocket",
        install.install_python_peers,
        install.pypi_version,
        lambda: [str(install.PYTHON), str(install.HERE / "start/pycrdt_server.py")],
    ),
}
NAMES = ("collab", *PEERS)


class Server(NamedTuple):
    """One that answers on a port. `tree` is all its processes."""

    name: str
    port: int
    tree: Tree

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def prepare(name: str) -> str:
    """Install it if it is not there. Returns its package and version."""
    if name == "collab":
        return f"collab {install.pypi_version(name)}"
    kind = PEERS[name]
    kind.install()
    return f"{kind.package} {kind.version(kind.package)}"


@asynccontextmanager
async def serving(
    name: str, folder: Path, core: int | None = None, **settings: str
) -> AsyncIterator[Server]:
    """One that is ready; in the end it is gone. With a core, all its processes run on that one.

    `settings` are Collab's. An error is told with what the server printed.
    """
    if name == "collab":
        async with AsyncExitStack() as stack:
            with on_core(core):
                running = collab.running(folder, **{**LIFTED, **settings})
                process = await stack.enter_async_context(running)
            yield Server(name, process.port, Tree(process.pid))
    else:
        async with _peer(name, folder, core) as server:
            yield server


@asynccontextmanager
async def _peer(name: str, folder: Path, core: int | None) -> AsyncIterator[Server]:
    port = free_port()
    place = {"HOST": "127.0.0.1", "PORT": str(port)}  # for one whose program takes no arguments
    path = folder / f"{name}.log"
    with path.open("ab") as log, on_core(core):
        process = await asyncio.create_subprocess_exec(
            *PEERS[name].command(), str(port), env={**os.environ, **place}, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            # Nothing tells us but the server itself.
            while process.returncode is None and not await _answers(port):  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
        assert process.returncode is None, "the server ended"
        yield Server(name, port, Tree(process.pid))
    except Exception as error:
        error.add_note(f"{name} printed:\n{path.read_text()[-2_000:]}")
        raise
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
