"""Attacks a real server in every known way, while somebody types in the same document.

    python -m bench.hostile [--only WORD]

Each attack goes on for a while beside an editor in a process of its own. Shown are what the attack
was answered, and how long the editor's pushes took to come back, before the attack and during it.
The exit code is 1 unless each answer is the one it has to be, every word of the editor's is in the
text once, and the server has logged no error.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from bench import scratch
from bench.attacks import access, connections, content, storms
from bench.attacks.host import publishing
from bench.attacks.scene import Scene, Size, in_one
from bench.figures import ms, percentile, table
from bench.server import running
from bench.witness import witness, word
from collab.client import create_document, guest_token, read_text
from tests.live.raw import Raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bench.attacks.host import Host
    from bench.attacks.scene import Attack
    from bench.server import ServerProcess
    from bench.witness import Witness

ATTACKS: list[Attack] = [
    *access.ATTACKS,
    *connections.ATTACKS,
    *storms.ATTACKS,
    *content.ATTACKS,
]

SETTINGS = {
    "COLLAB_SECRET": access.SECRET,
    "COLLAB_ANYONE": "nobody",
    "COLLAB_GUESTS": "true",
    "COLLAB_REGISTRATION": "true",
    "COLLAB_TRUSTED_PROXIES": "",  # so that attackers of this machine are counted
    "COLLAB_MAX_DOCUMENT_UNITS": "250000",
}
"""Of a server that others can reach, and that a few attackers can bring to its limits."""

FULL = Size(
    half_open=10_000,
    ids=200,
    stormers=20,
    guesses=600,
    pause_s=0.05,
    before_s=2.0,
    at_least_s=3.0,
    settings={
        **SETTINGS,
        "COLLAB_PUSHES_PER_SECOND": "50",
        "COLLAB_STALL_S": "5",
        "COLLAB_SLOW_REQUEST_S": "10",
        "COLLAB_HEARTBEAT_S": "5",
        "COLLAB_MAX_HALF_OPEN": "200",
        "COLLAB_HANDSHAKES_PER_SECOND": "5",
        "COLLAB_ADDRESS_GUESSES": "50",
    },
)

SMALL = Size(
    half_open=300,
    ids=20,
    stormers=3,
    guesses=60,
    pause_s=0.25,
    before_s=0.0,
    at_least_s=0.0,
    settings={
        **SETTINGS,
        "COLLAB_PUSHES_PER_SECOND": "8",
        "COLLAB_STALL_S": "1.5",
        "COLLAB_SLOW_REQUEST_S": "2",
        "COLLAB_HEARTBEAT_S": "2",
        "COLLAB_MAX_HALF_OPEN": "100",
        "COLLAB_HANDSHAKES_AT_ONCE": "50",
        "COLLAB_HANDSHAKES_PER_SECOND": "1",
        "COLLAB_ADDRESS_GUESSES": "20",
        "COLLAB_PASSWORD_MEMORY_KIB": "32",
        "COLLAB_PASSWORD_PASSES": "1",
    },
)
"""The same in seconds."""

MARGIN = 500
"""Open files besides the attackers' connections."""


@dataclass(frozen=True)
class Seen:
    """What came of an attack. The times are the editor's, in seconds."""

    attack: Attack
    answer: str
    before: Sequence[float] = ()
    during: Sequence[float] = ()

    @property
    def is_right(self) -> bool:
        return self.answer == self.attack.answer


class Siege:
    """A server with a document in it, whose owner types. `seen` is what came of each attack."""

    def __init__(self, server: ServerProcess, host: Host, size: Size) -> None:
        self.seen: list[Seen] = []
        self.server = server
        self._host = host
        self._size = size
        self._owner = self._document_id = ""

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[Witness]:
        """The document is there, and its owner types. Raises AssertionError in the end if a word is
        not in the text as it was typed.
        """
        url = self.server.url
        self._owner = await guest_token(url, "Ada")
        self._document_id = await create_document(url, self._owner, "Under siege", "")
        async with witness(url, self._document_id, self._owner, self._size.pause_s) as editor:
            yield editor
            typed = await editor.stop()
        text = await read_text(url, self._owner, self._document_id)
        wrong = [word(number) for number in range(typed) if text.count(word(number)) != 1]
        assert not wrong, f"not once in the text: {wrong[:10]}"

    async def attack(self, attack: Attack) -> str:
        """Attack once."""
        scene = Scene(self.server.port, self._document_id, self._owner, self._host, self._size)
        return await attack.run(scene)

    async def measure(self, attack: Attack, editor: Witness) -> None:
        """Attack for a while, and note how the editor fares."""
        await editor.times()
        await asyncio.sleep(self._size.before_s)
        before = await editor.times()
        began, answers = perf_counter(), list[str]()
        while not answers or perf_counter() - began < self._size.at_least_s:
            answers.append(await self.attack(attack))
        during = await editor.times()
        await Raw.close_all()
        self.seen.append(Seen(attack, in_one(answers), before, during))


@asynccontextmanager
async def besieged(data_dir: Path, size: Size) -> AsyncIterator[Siege]:
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(publishing())
        settings = {**size.settings, **host.settings}
        server = await stack.enter_async_context(running(data_dir, **settings))
        yield Siege(server, host, size)


def errors(server: ServerProcess) -> list[str]:
    """What the server has logged that it should not have."""
    marks = '"error"', '"critical"', "Traceback", "[error", "[critical"
    lines = server.log.read_text().splitlines()
    return [line for line in lines if any(mark in line for mark in marks)]


async def measure(options: argparse.Namespace, data_dir: Path) -> bool:
    """Print what was seen, and tell whether all is as it has to be."""
    attacks = [attack for attack in ATTACKS if options.only in attack.name]
    async with besieged(data_dir, FULL) as siege:
        async with siege.going_on() as editor:
            for attack in attacks:
                await siege.measure(attack, editor)
                print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        figures = siege.server.cpu_s, siege.server.peak_rss_bytes
        code, logged = await siege.server.stop(), errors(siege.server)
    print(report(siege.seen))
    print("every word that the editor typed came back, and is in the text once")
    print(
        f"the server took {figures[0]:.0f} s and {figures[1] / 2**20:.0f} MiB; it ended with {code}"
    )
    print(f"errors in its log: {len(logged)}", *logged[:20], sep="\n")
    return not code and not logged and all(each.is_right for each in siege.seen)


def report(seen: Sequence[Seen]) -> str:
    shares = 0.5, 0.99
    head = "attack", "answer", "p50 ms before", "during", "p99 ms before", "during"
    rows = []
    for each in seen:
        times = each.before, each.during
        figures = [ms(percentile(those, share)) for share in shares for those in times]
        wrong = "" if each.is_right else f"  WRONG, not: {each.attack.answer}"
        rows.append((each.attack.name, each.answer + wrong, *figures))
    return table(head, rows, words=2)


def allow_open_files(wanted: int) -> None:
    """As many as the system lets this process and its children have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    if most < wanted:
        print(f"only {most} open files are allowed here", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Attack a server while somebody types.")
    parser.add_argument("--only", default="", help="those attacks whose name has this in it")
    options = parser.parse_args(arguments)
    allow_open_files(FULL.half_open + MARGIN)
    return 0 if scratch.run(partial(measure, options)) else 1


if __name__ == "__main__":
    sys.exit(main())
