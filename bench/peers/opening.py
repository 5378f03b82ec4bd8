"""How long it takes to open a document that others have open, and how many bytes come for it.

    python -m bench.peers.opening [--updates 50000] [--opens 50] [--servers collab,sharedb,…]

The same edits make the same document on every server, one an update. One client stays in it; then
others open it one after the other, each by its protocol's own library. Times are from connecting
until the text is there; bytes are all that the socket received until then. The aim: Collab is no
slower than the fastest peer, and sends no more than the text deflated and a kilobyte. The exit code
is 1 if any client has another text.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.command import keep, parser
from bench.figures import ms, percentile, table
from bench.long_history import changes, keystrokes
from bench.peers.servers import NAMES
from bench.peers.stage import add_servers, attempted, scene
from bench.prose import prose
from collab.text import Text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from bench.long_history import Replacement

SLACK_BYTES = 1_000
"""What may come besides the text."""
DEFLATE_LEVEL = 6


def edits(count: int) -> list[Replacement]:
    """What somebody types into an empty document."""
    return [
        (at, cut, insert and letter)
        for (at, cut, insert), letter in zip(keystrokes(0, count), prose(count), strict=True)
    ]


def text_of(done: Sequence[Replacement]) -> str:
    text = Text.empty()
    for change in changes(0, done):
        text = change.apply(text)
    return str(text)


async def measure(
    name: str, options: argparse.Namespace, done: Sequence[Replacement], folder: Path
) -> dict[str, Any]:
    """Open the document of one server again and again."""
    async with scene(name, options, folder, done) as (server, node, where):
        await node.stay(where, [where.document], each=1)
        cpu_s = server.tree.cpu_s
        opened, digest = await node.open(where, options.opens)
        return {
            "server": name,
            "updates": options.updates,
            "opens": options.opens,
            "first_s": opened[0].took_s,
            "p50_s": percentile((each.took_s for each in opened[1:]), 0.5),
            "p95_s": percentile((each.took_s for each in opened[1:]), 0.95),
            "bytes_first": opened[0].bytes,
            "bytes": max(each.bytes for each in opened[1:]),
            "cpu_s": (server.tree.cpu_s - cpu_s) / options.opens,
            "digest": digest,
        }


def report(rows: Sequence[dict[str, Any]], text: str) -> None:
    deflated = len(zlib.compress(text.encode(), DEFLATE_LEVEL))
    head = "", "first ms", "p50 ms", "p95 ms", "cpu ms", "bytes first", "then", "of the aim"
    print(f"{rows[0]['updates']} updates, a text of {len(text)} units, deflated {deflated} bytes")
    print(
        table(
            head,
            [
                (
                    row["server"],
                    *(ms(row[time]) for time in ("first_s", "p50_s", "p95_s", "cpu_s")),
                    str(row["bytes_first"]),
                    str(row["bytes"]),
                    f"{row['bytes'] / (deflated + SLACK_BYTES):.2f}",
                )
                for row in rows
            ],
        )
    )


def main(arguments: list[str] | None = None) -> int:
    options_of = parser("Open a document that is open, on Collab and beside it on its peers.")
    options_of.add_argument("--updates", type=int, default=50_000)
    options_of.add_argument("--opens", type=int, default=50, help="2 or more")
    add_servers(options_of, *NAMES)
    options = options_of.parse_args(arguments)
    done = edits(options.updates)
    text = text_of(done)
    rows = [
        row
        for name in options.servers
        for row in attempted(name, partial(measure, name, options, done))
    ]
    report(rows, text)
    keep(options, rows)
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    wrong = [row["server"] for row in rows if row["digest"] != digest]
    for name in wrong:
        print(f"WRONG: another text from {name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
