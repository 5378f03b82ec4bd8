"""What Collab's memory for idle editors is: how much of it Python holds, which parts of the server
and which lines of code have made it, and which objects it is.

    python -m bench.peers.idling --where
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from bench.command import cores, keep
from bench.figures import table
from bench.peers.clients import Where, clients
from bench.peers.processes import Tree, on_core
from bench.peers.servers import LIFTED, Server
from bench.server import ServerProcess

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from bench.census import Counted

POLL_S = 0.05
CENSUS_S = 120.0
SHOWN = 20
"""Kinds of objects and lines of code."""

PARTS = {
    "its socket": ("asyncio/runners.py",),  # uvloop's lines are not Python's
    "frames, by websockets": ("websockets/",),
    "its session and connection": ("collab/live/", "collab/access/", "json/"),
    "its room, shared with who is in it": ("collab/rooms/", "collab/log/", "collab/text/"),
}
"""What an editor takes, by the beginnings of the lines of code that have allocated it."""

OUTSIDE = {
    "resident": "resident memory",
    "arenas": "Python's arenas, for objects up to 512 bytes",
    "malloc": "malloc, in use: larger objects, libraries in C",
    "malloc_free": "malloc, free in between",
}


async def where(
    options: argparse.Namespace, folder: Path, documents: Sequence[str], token: str
) -> int:
    """Count before and with the editors, once as the server is and once tracing; print both.

    The first of the documents is there to warm up. The database is in `folder`.
    """
    plain = await grown(options, folder, documents, token)
    traced = await grown(options, folder, documents, token, "--trace")
    editors = (len(documents) - 1) * options.each
    print(f"{editors} editors in {len(documents) - 1} documents: what each of them adds")
    rows = [
        (name, f"{(plain[1][key] - plain[0][key]) / editors:.0f}") for key, name in OUTSIDE.items()
    ]
    print(table(("", "bytes an editor"), rows))
    kinds = added(plain[0]["objects"], plain[1]["objects"], editors)
    lines = added(traced[0]["lines"], traced[1]["lines"], editors)
    resident = (plain[1]["resident"] - plain[0]["resident"]) / editors
    print(table(("of which", "bytes an editor"), by_part(lines, resident)))
    print(table(("objects", "bytes an editor", "how many"), shown(kinds)))
    print(table(("allocated by", "bytes an editor", "how many"), shown(lines)))
    keep(
        options,
        [
            {"what": what, "name": name, "bytes": size, "count": count}
            for what, found in (("objects", kinds), ("lines", lines))
            for name, count, size in found
        ],
    )
    return 0


async def grown(
    options: argparse.Namespace,
    folder: Path,
    documents: Sequence[str],
    token: str,
    *trace: str,
) -> list[dict[str, Any]]:
    """A census before the editors come, and one with them."""
    server_core, load_core = cores(options)
    path = folder / "census"
    path.unlink(missing_ok=True)
    process = Counting(folder, path, *trace)
    with on_core(server_core):
        await process.start()
    try:
        async with clients(load_core) as node:
            there = Where(Server("collab", process.port, Tree(process.pid)), "", token)
            await node.stay(there, documents[:1], 1)
            await node.leave()
            await asyncio.sleep(options.quiet)
            await counted(process, path, 1)
            await node.stay(there, documents[1:], options.each)
            await asyncio.sleep(options.quiet)
            editors = (len(documents) - 1) * options.each
            assert await node.there() == editors, "editors lost their connection"
            return await counted(process, path, 2)
    finally:
        await process.kill()


class Counting(ServerProcess):
    """A server that counts its memory into a file."""

    def __init__(self, data_dir: Path, path: Path, *trace: str, **settings: str) -> None:
        super().__init__(data_dir, {**LIFTED, **settings})
        self.command = sys.executable, "-m", "bench.census", str(path), *trace


async def counted(process: ServerProcess, path: Path, number: int) -> list[dict[str, Any]]:
    """Ask for a census, and wait until there are so many."""
    os.kill(process.pid, signal.SIGUSR1)
    async with asyncio.timeout(CENSUS_S):
        while True:
            found = censuses(path)
            if len(found) == number:
                return found
            await asyncio.sleep(POLL_S)  # nobody tells of it


def censuses(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(True) if line[-1] == "\n"]


def added(before: Counted, after: Counted, editors: int) -> list[tuple[str, float, float]]:
    """What each editor adds: name, how many, bytes; the largest first."""
    found = []
    for name, (count, size) in after.items():
        count_before, size_before = before.get(name, (0, 0))
        found.append((name, (count - count_before) / editors, (size - size_before) / editors))
    return sorted(found, key=lambda each: -each[2])


def by_part(lines: Sequence[tuple[str, float, float]], resident: float) -> list[tuple[str, str]]:
    """What adds up to the resident memory."""
    sizes = {
        part: sum(size for name, _, size in lines if name.startswith(begins))
        for part, begins in PARTS.items()
    }
    traced = sum(size for _, _, size in lines)
    sizes["left over from its handshake, and all else"] = traced - sum(sizes.values())
    sizes["between these, in pages that are in use"] = resident - traced
    return [(part, f"{size:.0f}") for part, size in sizes.items()]


def shown(found: Sequence[tuple[str, float, float]]) -> list[tuple[str, str, str]]:
    most = [(name, f"{size:.0f}", f"{count:.2f}") for name, count, size in found[:SHOWN]]
    whole = sum(size for _, _, size in found)
    return [*most, ("all together", f"{whole:.0f}", f"{sum(count for _, count, _ in found):.2f}")]
