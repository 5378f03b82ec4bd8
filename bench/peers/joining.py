"""How long it takes many to open the same long document at once: until the first has it, and the
last.

    python -m bench.peers.joining [--clients 150] [--units 4000000] [--rounds 3] [--servers …]

The peers have the document in memory; Collab has it in its database alone, unless `--warm` lets
somebody open it before. Every round starts the servers anew. Times are from connecting, of all at
the same moment, until the text is there. All clients live in one process, and what it takes to read
so many texts is a part of all times: its share of a core is shown. The aim: Collab reads the
document once, and its last client has its text before y-websocket's first. The exit code is 1 if
any client has another text.
"""

from __future__ import annotations

import hashlib
import sys
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench.command import keep, parser
from bench.figures import mb, ms, percentile, table
from bench.metrics import metrics
from bench.peers.processes import open_all_files
from bench.peers.stage import add_servers, attempted, scene
from bench.prose import prose

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from bench.peers.servers import Server

PASTED_UNITS = 100_000


async def measure(
    name: str, options: argparse.Namespace, text: str, folder: Path
) -> dict[str, Any]:
    """Let all open the document of one server at once."""
    pasted = [(at, 0, text[at : at + PASTED_UNITS]) for at in range(0, len(text), PASTED_UNITS)]
    async with scene(name, options, folder, pasted) as (server, node, where):
        if options.warm:
            await node.stay(where, [where.document], each=1)
        cpu_s, node_s, began = server.tree.cpu_s, node.tree.cpu_s, perf_counter()
        opened, digests = await node.join(where, options.clients)
        took_s = perf_counter() - began
        times = [each.took_s for each in opened]
        return {
            "server": name,
            "clients": options.clients,
            "units": options.units,
            "first_s": min(times),
            "p50_s": percentile(times, 0.5),
            "last_s": max(times),
            "bytes": max(each.bytes for each in opened),
            "cpu_s": server.tree.cpu_s - cpu_s,
            "load": (node.tree.cpu_s - node_s) / took_s,
            "rss_bytes": server.tree.rss_bytes,
            "reads": await readings(server) if name == "collab" else None,
            "digests": digests,
        }


async def readings(server: Server) -> float:
    """How often Collab has read a document from its database."""
    return (await metrics(server.url))["collab_readings_total"]


def report(rows: Sequence[dict[str, Any]]) -> None:
    print(f"{rows[0]['clients']} open a text of {rows[0]['units']} units at once")
    head = "", "first ms", "p50 ms", "last ms", "MB each", "cpu s", "load", "MB after", "reads"
    print(
        table(
            head,
            [
                (
                    row["server"],
                    *(ms(row[time]) for time in ("first_s", "p50_s", "last_s")),
                    mb(row["bytes"]),
                    f"{row['cpu_s']:.2f}",
                    f"{row['load']:.0%}",
                    mb(row["rss_bytes"]),
                    "-" if row["reads"] is None else f"{row['reads']:.0f}",
                )
                for row in rows
            ],
        )
    )


def main(arguments: list[str] | None = None) -> int:
    options_of = parser("Let many open one long document at once, on Collab and on its peers.")
    options_of.add_argument("--clients", type=int, default=150)
    options_of.add_argument("--units", type=int, default=4_000_000)
    options_of.add_argument("--rounds", type=int, default=3)
    options_of.add_argument("--warm", action="store_true", help="somebody is in it already")
    add_servers(options_of, "collab", "y-websocket")
    options = options_of.parse_args(arguments)
    open_all_files()
    text = prose(options.units)
    rows = [
        row
        for _ in range(options.rounds)
        for name in options.servers
        for row in attempted(name, partial(measure, name, options, text))
    ]
    rows.sort(key=lambda row: options.servers.index(row["server"]))
    report(rows)
    keep(options, rows)
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    wrong = {row["server"] for row in rows if row["digests"] != [digest]}
    for name in wrong:
        print(f"WRONG: another text from {name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
