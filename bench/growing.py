"""What an update costs the server, by the length of the document's history and of its text.

    python -m bench.growing [--updates 1000 100000 1000000] [--units 1000 100000 1000000 10000000]
                            [--pushes 2000] [--per-push 20] [--rounds 3]

Each document is on a server of its own, all on one core. One person types into one document after
the other, round by round: one update a push, and then several. Every push waits for the one before,
so that no two are in one commit. Shown are the server's processor seconds for 1,000 updates, the
work of its upkeep and its commits among them; medians of the rounds. The texts are as they should
be in the end, or the exit code is 1.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec

from bench import scratch
from bench.author import author
from bench.command import cores, keep, parser
from bench.figures import mb, ratio, table
from bench.long_history import AUTHOR, UNITS, changes, edits, keystrokes, typed
from bench.peers.processes import on_core
from bench.peers.servers import serving
from bench.prose import prose
from collab.api import services
from collab.client import read_text
from collab.settings import Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from bench.author import Author
    from bench.peers.servers import Server

MAX_UNITS = 40_000_000
"""The limit of a text is lifted, so that one of the default limit can grow."""
WARM_UP_PUSHES = 200
UPKEEP_S = 1.0
"""Given to the upkeep after each round. It is counted."""


class Subject:
    """A document that is typed into. `costs` are seconds an update, by updates a push."""

    def __init__(self, updates: int, units: int, server: Server, one: Author) -> None:
        self.updates = updates
        self.units = units
        self.server = server
        self.costs: dict[int, list[float]] = {}
        self.author = one
        self._length = len(one.text())

    async def type(self, pushes: int, per_push: int) -> float:
        """Type so much. Returns the server's processor seconds."""
        cpu_s = self.server.tree.cpu_s
        strokes = list(keystrokes(self._length, pushes * per_push))
        updates = [msgspec.json.encode(each.to_json()) for each in changes(self._length, strokes)]
        for first in range(0, len(updates), per_push):
            await self.author.push(updates[first : first + per_push])
        self._length += sum(len(insert) - cut for _, cut, insert in strokes)
        await asyncio.sleep(UPKEEP_S)
        return self.server.tree.cpu_s - cpu_s

    async def measure(self, pushes: int, per_push: int) -> None:
        cost = await self.type(pushes, per_push) / (pushes * per_push)
        self.costs.setdefault(per_push, []).append(cost)


async def measure(options: argparse.Namespace, folder: Path) -> bool:
    server_core, load_core = cores(options)
    sizes = [(updates, UNITS) for updates in options.updates]
    sizes += [(1, units) for units in options.units]
    async with AsyncExitStack() as stack:
        subjects = []
        for number, (updates, units) in enumerate(sizes):
            place = folder / str(number)
            document, token = await made(place / "data", updates, units)
            server = await stack.enter_async_context(
                serving("collab", place, server_core, COLLAB_MAX_DOCUMENT_UNITS=str(MAX_UNITS))
            )
            one = await stack.enter_async_context(
                author(server.url, document, token, f"bench-grows-{number:04}")
            )
            subjects.append((Subject(updates, units, server, one), document, token))
        with on_core(load_core):
            for subject, _, _ in subjects:
                await subject.type(min(WARM_UP_PUSHES, options.pushes), 1)
            for _ in range(options.rounds):
                for per_push in (1, options.per_push):
                    for subject, _, _ in subjects:
                        await subject.measure(options.pushes, per_push)
        report([subject for subject, _, _ in subjects], len(options.updates))
        keep(options, [row(subject) for subject, _, _ in subjects])
        right = True
        for subject, document, token in subjects:
            shown = await read_text(subject.server.url, token, document)
            if shown != str(subject.author.text()):
                print(f"WRONG: another text of {subject.updates} updates, {subject.units} units")
                right = False
        return right


async def made(data_dir: Path, updates: int, units: int) -> tuple[str, str]:
    """A document's id, and a token."""
    async with services.running(Settings(data_dir=data_dir), time.time) as started:
        token, _ = started.tokens.issue(AUTHOR)
        document = await typed(started, prose(units), edits(units, updates - 1))
    return document.id, token


def row(subject: Subject) -> dict[str, Any]:
    return {
        "updates": subject.updates,
        "units": subject.units,
        "rss_bytes": subject.server.tree.rss_bytes,
        "cpu_s": {str(per_push): median(costs) for per_push, costs in subject.costs.items()},
    }


def report(subjects: Sequence[Subject], histories: int) -> None:
    """First those that differ in their history, then those that differ in their text."""
    for title, some in (
        ("by the length of the history", subjects[:histories]),
        ("by the length of the text", subjects[histories:]),
    ):
        if not some:
            continue
        print(f"{title}: the server's cpu seconds for 1,000 updates")
        counts = list(some[0].costs)
        head = ["updates", "units", *(f"{n} a push" for n in counts for _ in "12"), "MB"]
        rows = []
        for each in some:
            cells = []
            for count in counts:
                cost, least = (1_000 * median(one.costs[count]) for one in (each, some[0]))
                cells += [f"{cost:.3f}", ratio(cost, least)]
            memory = mb(each.server.tree.rss_bytes)
            rows.append([str(each.updates), str(each.units), *cells, memory])
        print(table(head, rows, words=0))


def main(arguments: list[str] | None = None) -> int:
    options_of = parser("Type into documents of any length and past.")
    options_of.add_argument("--updates", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    options_of.add_argument(
        "--units", type=int, nargs="*", default=[1_000, 100_000, 1_000_000, 10_000_000]
    )
    options_of.add_argument("--pushes", type=int, default=2_000, help="of each kind, a round")
    options_of.add_argument("--per-push", type=int, default=20, help="2 or more")
    options_of.add_argument("--rounds", type=int, default=3)
    return 0 if scratch.run(partial(measure, options_of.parse_args(arguments))) else 1


if __name__ == "__main__":
    sys.exit(main())
