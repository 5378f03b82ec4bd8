"""What one reader that never reads costs everybody else, and what it is told when it reads again.

    python -m bench.slow_reader [--seconds 60] [--typists 20] [--per-second 5]

Typists write in one document, first with nobody slow, then with one more client that joined and
does not read its socket, though it sends its beats. Shown are the times from a key to the letter in
each other editor, and the server's memory at the beginning, in the middle and at the end of either
phase. Then the slow reader reads on. The exit code is 1 unless it catches up to the very text, or
is closed with 4410 and finds the text when it comes back (U4).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from bench import scratch
from bench.author import session
from bench.figures import compared, mb, own_cpu_s, table
from bench.raw_reader import joined
from bench.server import running
from bench.typist import Times, letters_wrong, typist
from collab.client import create_document, guest_token, read_text
from collab.errors import CloseCode

if TYPE_CHECKING:
    from pathlib import Path

    from bench.raw_reader import RawReader
    from bench.server import ServerProcess
    from bench.typist import Keys, Typist

CUT_OFF = 1006
"""What a client notes for a connection that ended without a close frame (RFC 6455, 7.4.1)."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WARM_UP_SHARE = 0.1
"""How long is typed before the first phase, as a share of it."""


class Phase:
    """One stretch of typing: `rss_bytes` at its beginning, middle and end; `cpu` is a share."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.times = Times()
        self.rss_bytes: list[int] = []
        self.server_cpu = self.own_cpu = 0.0

    async def run(
        self, server: ServerProcess, typists: list[Typist], per_second: float, seconds: float
    ) -> None:
        for one in typists:
            one.times = self.times
        began, server_s, own_s = perf_counter(), server.cpu_s, own_cpu_s()
        self.rss_bytes.append(server.rss_bytes)
        async with asyncio.TaskGroup() as tasks:
            for one in typists:
                tasks.create_task(one.type(per_second, seconds), name=f"types {one.letter}")
            await asyncio.sleep(seconds / 2)
            self.rss_bytes.append(server.rss_bytes)
        took_s = perf_counter() - began
        for one in typists:
            await one.settled()
        self.rss_bytes.append(server.rss_bytes)
        self.server_cpu = (server.cpu_s - server_s) / took_s
        self.own_cpu = (own_cpu_s() - own_s) / took_s


async def measure(options: argparse.Namespace, data_dir: Path) -> bool:
    """Run both phases, print what was seen, and tell whether the promises hold."""
    async with running(data_dir) as server, AsyncExitStack() as stack:
        token = await guest_token(server.url, "bench")
        document = await create_document(server.url, token, "One reads slowly")
        keys: Keys = {}
        typists = [
            await stack.enter_async_context(
                typist(server.url, document, token, letter, keys, Times())
            )
            for letter in LETTERS[: options.typists]
        ]
        load = typists, options.per_second
        await Phase("warm-up").run(server, *load, WARM_UP_SHARE * options.seconds)
        alone, beside = Phase("nobody slow"), Phase("one slow")
        await alone.run(server, *load, options.seconds)
        reader = await stack.enter_async_context(joined(server.url, document, token))
        await beside.run(server, *load, options.seconds)
        report(alone, beside)

        revision = max(one.revision for one in typists)
        for one in typists:
            await one.at(revision)
        text = await read_text(server.url, token, document)
        wrong = letters_wrong(text, typists)
        if wrong:
            print(f"WRONG: not there as often as typed: {wrong}")
        told = await read_again(reader, revision, text)
        if reader.close_code is not None:
            async with session(server.url, document, token, reader.client_id) as (_, welcome):
                told = told and welcome.text == text
                print("it comes back to", "the text" if welcome.text == text else "ANOTHER TEXT")
        return told and not wrong


async def read_again(reader: RawReader, revision: int, text: str) -> bool:
    """Let the slow reader read. Returns whether it is told what U4 promises."""
    behind = revision - reader.revision
    began = perf_counter()
    await reader.read_to(revision)
    took_s = perf_counter() - began
    print(
        f"it reads again: {behind} updates behind,",
        f"{reader.updates} came in {reader.messages} messages in {took_s:.2f} s",
    )
    if reader.revision == revision:
        same = str(reader.text) == text
        print("it caught up to", "the very text" if same else "ANOTHER TEXT")
        return same
    code = reader.close_code
    how = "cut off before it read why" if code == CUT_OFF else f"closed with {code}"
    print(f"it was {how}, at revision {reader.revision}")
    return code == CloseCode.FELL_BEHIND


def report(alone: Phase, beside: Phase) -> None:
    print("from a key to the letter in another editor")
    print(compared((alone.name, alone.times.heard), (beside.name, beside.times.heard)))
    print("from a push to its own updates")
    print(compared((alone.name, alone.times.ordered), (beside.name, beside.times.ordered)))
    print("the server")
    head = "", "MB begin", "middle", "end", "grew", "cpu", "typists' cpu"
    rows = [
        (
            phase.name,
            *map(mb, phase.rss_bytes),
            mb(phase.rss_bytes[-1] - phase.rss_bytes[0]),
            f"{phase.server_cpu:.0%}",
            f"{phase.own_cpu:.0%}",
        )
        for phase in (alone, beside)
    ]
    print(table(head, rows))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Type beside a reader that does not read.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the two phases")
    parser.add_argument("--typists", type=int, default=20, choices=range(2, 27), metavar="2-26")
    parser.add_argument("--per-second", type=float, default=5.0, help="letters of each typist")
    options = parser.parse_args(arguments)
    return 0 if scratch.run(partial(measure, options)) else 1


if __name__ == "__main__":
    sys.exit(main())
