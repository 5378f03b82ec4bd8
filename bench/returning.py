"""A client comes back to a document that went on without it, and has typed meanwhile itself.

    python -m bench.returning [--missed 5000 20000] [--unsent 500] [--rounds 3]

One editor loses its connection and types on, all over the text; others type as many updates as are
to be missed. Then it comes back: with few missed it receives each of them (H5), with more than the
server keeps it starts afresh and carries what it typed over the difference (H6). Shown are the
times from the first attempt to connect until it has everything that it missed, and until all that
it typed is ordered; all bytes in both directions; and who worked meanwhile. The editor is this
project's Python client, and the connection leads through a proxy that counts. The exit code is 1
unless it shows what REST shows in the end, and everything that it typed is there.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from bench import scratch
from bench.author import author
from bench.command import cores, keep, parser
from bench.figures import ms, own_cpu_s, table
from bench.long_history import AUTHOR, changes, keystrokes, typed
from bench.peers.processes import on_core
from bench.peers.servers import serving
from bench.prose import prose
from collab.api import services
from collab.client import Backoff, connect, read_text
from collab.settings import Settings
from tests.browser.proxy import Way, passing

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from bench.peers.servers import Server
    from collab.client import Editor

UNITS = 50_000
PER_PUSH = 100
OWN = "§"
"""What the editor types, and nobody else."""
PATIENCE_S = 300.0
AT_ONCE = Backoff(0.002, 0.002)
"""How the editor waits before it tries again: what is measured begins with an attempt."""


async def measure(missed: int, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One return."""
    server_core, load_core = cores(options)
    async with services.running(Settings(data_dir=folder / "data"), time.time) as started:
        token, _ = started.tokens.issue(AUTHOR)
        document = (await typed(started, prose(UNITS), [])).id
    async with serving("collab", folder, server_core) as server:
        with on_core(load_core):
            async with (
                passing(Way(lambda: server.port)) as way,
                connect(way.url, document, token=token, backoff=AT_ONCE) as editor,
            ):
                way.close()
                type_apart(editor, options.unsent)
                head = await type_meanwhile(server, document, token, missed)
                found = await come_back(editor, way, server, head)
            text = await read_text(server.url, token, document)
    found["wrong"] = str(editor.text) != text or text.count(OWN) != options.unsent
    return {"missed": missed, "unsent": options.unsent, **found}


def type_apart(editor: Editor, count: int) -> None:
    """So many single letters, all over the text."""
    step = max(1, len(editor.text) // max(1, count))
    for number in range(count):
        editor.insert(number * step, OWN)


async def type_meanwhile(server: Server, document: str, token: str, count: int) -> int:
    """Somebody types so many updates. Returns the last revision."""
    async with author(server.url, document, token, "bench-types-meanwhile") as one:
        length = len(one.text())
        made = changes(length, keystrokes(length, count))
        updates = [msgspec.json.encode(each.to_json()) for each in made]
        for first in range(0, count, PER_PUSH):
            await one.push(updates[first : first + PER_PUSH])
        return one.revision


async def come_back(editor: Editor, way: Way, server: Server, head: int) -> dict[str, Any]:
    """Let it through, and wait until it has everything and everybody has its own."""
    cpu_s, own_s = server.tree.cpu_s, own_cpu_s()
    way.up_bytes = way.down_bytes = 0
    way.open()
    began = perf_counter()
    await editor.at(head, PATIENCE_S)
    has_all_s = perf_counter() - began
    await editor.confirmed(PATIENCE_S)
    ordered_s = perf_counter() - began
    return {
        "has_all_s": has_all_s,
        "ordered_s": ordered_s,
        "down_bytes": way.down_bytes,
        "up_bytes": way.up_bytes,
        "cpu_s": server.tree.cpu_s - cpu_s,
        "own_cpu_s": own_cpu_s() - own_s,
    }


def report(rows: list[dict[str, Any]]) -> None:
    """A row for each number of missed updates: medians of the rounds."""
    print(f"back with {rows[0]['unsent']} updates of its own")
    head = "missed", "has all ms", "all ordered ms", "kB down", "kB up", "server cpu ms", "own"
    shown = []
    for missed in dict.fromkeys(row["missed"] for row in rows):
        mine = [row for row in rows if row["missed"] == missed]
        middle = {name: median(row[name] for row in mine) for name in mine[0]}
        shown.append(
            (
                str(missed),
                ms(middle["has_all_s"]),
                ms(middle["ordered_s"]),
                f"{middle['down_bytes'] / 1_000:.0f}",
                f"{middle['up_bytes'] / 1_000:.0f}",
                ms(middle["cpu_s"]),
                ms(middle["own_cpu_s"]),
            )
        )
    print(table(head, shown, words=0))


def main(arguments: list[str] | None = None) -> int:
    options_of = parser("Come back to a document that went on.")
    options_of.add_argument("--missed", type=int, nargs="+", default=[5_000, 20_000])
    options_of.add_argument("--unsent", type=int, default=500)
    options_of.add_argument("--rounds", type=int, default=3)
    options = options_of.parse_args(arguments)
    rows = [
        scratch.run(partial(measure, missed, options))
        for _ in range(options.rounds)
        for missed in options.missed
    ]
    report(rows)
    keep(options, rows)
    wrong = any(row["wrong"] for row in rows)
    if wrong:
        print("WRONG: it does not show what REST shows, or something of its own is missing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
