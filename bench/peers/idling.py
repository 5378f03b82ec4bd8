"""What editors cost in memory that are connected and do nothing, two to a document.

    python -m bench.peers.idling [--documents 500] [--each 2] [--rounds 3] [--servers …] [--where]

Shown is the resident memory of the server's processes when one editor has come and gone, when all
are there and have been quiet for some seconds, and the difference for each editor. Every round
starts the servers anew. `--where` tells instead what Collab's memory is, down to the kinds of
objects (`bench.memory`). The exit code is 1 if an editor lost its connection.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import memory, scratch
from bench.command import cores, keep, parser
from bench.figures import mb, table
from bench.long_history import AUTHOR, LINE, typed
from bench.peers.clients import Where, clients
from bench.peers.processes import open_all_files
from bench.peers.servers import NAMES, prepare, serving
from bench.peers.stage import add_servers, attempted
from collab.api import services
from collab.settings import Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

QUIET_S = 5.0
"""Between the last that happens and a look at the memory."""


async def measure(name: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Fill one server with idle editors."""
    prepare(name)
    server_core, load_core = cores(options)
    names, token, edits = [f"idle {n}" for n in range(options.documents + 1)], "", [(0, 0, LINE)]
    if name == "collab":
        names, token = await lines(folder / "data", len(names))
        edits = []
    async with serving(name, folder, server_core) as server, clients(load_core) as node:
        where = Where(server, "", token)
        await node.stay(where, names[:1], 1, edits)
        await node.leave()
        await asyncio.sleep(options.quiet)
        before = server.tree.rss_bytes
        await node.stay(where, names[1:], options.each, edits)
        await asyncio.sleep(options.quiet)
        return {
            "server": name,
            "documents": options.documents,
            "editors": options.documents * options.each,
            "there": await node.there(),
            "before_bytes": before,
            "after_bytes": server.tree.rss_bytes,
        }


async def lines(data_dir: Path, count: int) -> tuple[list[str], str]:
    """So many documents of one line in Collab's database, and a token."""
    async with services.running(Settings(data_dir=data_dir), time.time) as started:
        token, _ = started.tokens.issue(AUTHOR)
        return [(await typed(started, LINE, [])).id for _ in range(count)], token


async def look_inside(options: argparse.Namespace, folder: Path) -> int:
    documents, token = await lines(folder / "data", options.documents + 1)
    return await memory.where(options, folder, documents, token)


def report(rows: Sequence[dict[str, Any]]) -> None:
    """A row for each server: the medians of its rounds."""
    print(f"{rows[0]['editors']} idle editors in {rows[0]['documents']} documents")
    shown = []
    for name in dict.fromkeys(row["server"] for row in rows):
        mine = [row for row in rows if row["server"] == name]
        before = median(row["before_bytes"] for row in mine)
        after = median(row["after_bytes"] for row in mine)
        each = (after - before) / mine[0]["editors"] / 1_000
        shown.append((name, mb(before), mb(after), mb(after - before), f"{each:.1f}"))
    print(table(("", "MB before", "MB after", "MB grown", "kB an editor"), shown))


def main(arguments: list[str] | None = None) -> int:
    options_of = parser("Let editors be idle, at Collab and at its peers.")
    options_of.add_argument("--documents", type=int, default=500)
    options_of.add_argument("--each", type=int, default=2, help="editors of each document")
    options_of.add_argument("--rounds", type=int, default=3)
    options_of.add_argument("--quiet", type=float, default=QUIET_S, help="seconds before a look")
    options_of.add_argument("--where", action="store_true", help="what Collab's memory is")
    add_servers(options_of, *NAMES)
    options = options_of.parse_args(arguments)
    open_all_files()
    if options.where:
        return scratch.run(partial(look_inside, options))
    rows = [
        row
        for _ in range(options.rounds)
        for name in options.servers
        for row in attempted(name, partial(measure, name, options))
    ]
    report(rows)
    keep(options, rows)
    lost = {row["server"] for row in rows if row["there"] != row["editors"]}
    for name in lost:
        print(f"WRONG: {name} lost connections")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
