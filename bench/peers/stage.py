"""A document with the same text and the same past on Collab and on its peers, and who opens it."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import scratch
from bench.command import cores
from bench.long_history import AUTHOR, changes, typed
from bench.peers.clients import NodeClients, Where, clients
from bench.peers.servers import NAMES, Server, prepare, serving
from collab.api import services
from collab.settings import Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path

    from bench.long_history import Replacement

SETTLED_S = 1.0
"""Without work, before anything is measured."""


class Scene(NamedTuple):
    """A server, the process that its clients live in, and a document."""

    server: Server
    node: NodeClients
    where: Where


def add_servers(parser: argparse.ArgumentParser, *names: str) -> None:
    """Which servers are measured, by default these."""
    parser.add_argument(
        "--servers",
        type=lambda given: given.split(","),
        default=names,
        metavar="NAME,…",
        help=f"of {', '.join(NAMES)}",
    )


@asynccontextmanager
async def scene(
    name: str, options: argparse.Namespace, folder: Path, edits: Sequence[Replacement]
) -> AsyncIterator[Scene]:
    """A server with a document that these edits made. At a peer, somebody did them and stays; from
    Collab's database nobody has read it yet.
    """
    prepare(name)
    server_core, load_core = cores(options)
    where = None
    if name == "collab":
        document, token = await made(folder / "data", edits)
        where = document, token
    async with (
        serving(name, folder, server_core) as server,
        clients(load_core) as node,
    ):
        there = Where(server, *(where or ("document",)))
        if where is None:
            await node.fill(there, edits)
        await asyncio.sleep(SETTLED_S)
        yield Scene(server, node, there)


async def made(data_dir: Path, edits: Sequence[Replacement]) -> tuple[str, str]:
    """The same in Collab's database: the document's id, and a token."""
    settings = Settings(data_dir=data_dir)
    async with services.running(settings, time.time) as started:
        token, _ = started.tokens.issue(AUTHOR)
        return (await typed(started, "", changes(0, edits))).id, token


def attempted(
    name: str, measure: Callable[[Path], Coroutine[Any, Any, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """What a measurement of a server found; nothing where a peer does not bear it, which is told.
    Raises what went wrong with Collab.
    """
    try:
        return [scratch.run(measure)]
    except (RuntimeError, TimeoutError) as error:
        if name == "collab":
            raise
        print(f"{name} failed: {str(error) or 'it took too long'}", file=sys.stderr)
        return []
