"""How long after it is sent an edit is saved: for one editor alone, and under load.

    python -m bench.saved [--seconds 30] [--documents 20] [--typists 5] [--per-second 5]
                          [--database postgresql]

First one editor types into one document, then typists into many documents at once, on the same
server. Shown are the times from a push to the word that the database has it (S1), and until its own
updates came back (P3). The exit code is 1 if a letter is missing or doubled in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import uvloop

from bench.figures import compared, own_cpu_s, table
from bench.postgres import DATABASE_HELP, database_url
from bench.server import running
from bench.typist import Times, letters_wrong, typist
from collab.client import create_document, guest_token, read_text

if TYPE_CHECKING:
    from bench.server import ServerProcess
    from bench.typist import Keys, Typist

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ALONE_PER_SECOND = 10.0
WARM_UP_SHARE = 0.1


class Load:
    """Typists in documents of their own, and what was measured of them."""

    def __init__(self, name: str, server: ServerProcess, token: str, per_second: float) -> None:
        self.name = name
        self.times = Times()
        self.cpu = ""
        self.updates_per_s = 0.0
        self._server = server
        self._token = token
        self._per_second = per_second

    async def run(self, documents: int, typists: int, seconds: float) -> list[str]:
        """Measure. Returns what is wrong in the end: documents and the letters in them."""
        async with AsyncExitStack() as stack:
            rooms = {
                document: await self._enter(stack, document, typists)
                for document in [await self._document(n) for n in range(documents)]
            }
            everybody = [one for room in rooms.values() for one in room]
            await self._type(everybody, WARM_UP_SHARE * seconds)
            for one in everybody:
                one.times = self.times
            typed = sum(one.typed for one in everybody)
            began, server_s, own_s = perf_counter(), self._server.cpu_s, own_cpu_s()
            await self._type(everybody, seconds)
            took_s = perf_counter() - began
            self.updates_per_s = (sum(one.typed for one in everybody) - typed) / took_s
            server_share = (self._server.cpu_s - server_s) / took_s
            self.cpu = f"{server_share:.0%} + {(own_cpu_s() - own_s) / took_s:.0%}"
            wrong = []
            for document, room in rooms.items():
                text = await read_text(self._server.url, self._token, document)
                wrong += [f"{document}: {letter}" for letter in letters_wrong(text, room)]
            return wrong

    async def _document(self, number: int) -> str:
        title = f"{self.name} {number}"
        return await create_document(self._server.url, self._token, title)

    async def _enter(self, stack: AsyncExitStack, document: str, count: int) -> list[Typist]:
        keys: Keys = {}
        return [
            await stack.enter_async_context(
                typist(self._server.url, document, self._token, letter, keys, Times())
            )
            for letter in LETTERS[:count]
        ]

    async def _type(self, everybody: list[Typist], seconds: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            for one in everybody:
                tasks.create_task(one.type(self._per_second, seconds))
        for one in everybody:
            await one.settled()


async def measure(options: argparse.Namespace, data_dir: Path, url: str) -> bool:
    """Measure both, print what was seen, and tell whether every letter is there once."""
    async with running(data_dir, COLLAB_DATABASE_URL=url) as server:
        token = await guest_token(server.url, "bench")
        alone = Load("one editor", server, token, ALONE_PER_SECOND)
        busy = Load("under load", server, token, options.per_second)
        wrong = await alone.run(1, 1, options.seconds)
        wrong += await busy.run(options.documents, options.typists, options.seconds)
    report(alone, busy)
    if wrong:
        print(f"WRONG: not there as often as typed: {', '.join(wrong)}")
    return not wrong


def report(alone: Load, busy: Load) -> None:
    print("from a push until it is saved")
    print(compared((alone.name, alone.times.saved), (busy.name, busy.times.saved)))
    print("from a push to its own updates")
    print(compared((alone.name, alone.times.ordered), (busy.name, busy.times.ordered)))
    head = "", "updates/s", "cpu: server + typists"
    loads = alone, busy
    print(table(head, [(load.name, f"{load.updates_per_s:.0f}", load.cpu) for load in loads]))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Type, and time when it is saved.")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the two loads")
    parser.add_argument("--documents", type=int, default=20)
    parser.add_argument(
        "--typists", type=int, default=5, choices=range(1, 27), metavar="1-26", help="a document"
    )
    parser.add_argument("--per-second", type=float, default=5.0, help="letters of each typist")
    parser.add_argument("--database", default="", help=DATABASE_HELP)
    options = parser.parse_args(arguments)
    with (
        database_url(options.database) as url,
        tempfile.TemporaryDirectory(prefix="collab-bench-") as data_dir,
    ):
        measuring = measure(options, Path(data_dir), url)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return 0 if runner.run(measuring) else 1


if __name__ == "__main__":
    sys.exit(main())
