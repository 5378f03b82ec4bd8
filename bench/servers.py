"""How much longer it takes from a keystroke to another editor if that one is at another server.

    python -m bench.servers [--seconds 30] [--rounds 30] [--typists 20] [--documents 4]
                            [--per-second 5] [--database postgresql] [--appendfsync everysec]

The same people type at one server without Redis, on SQLite; at one with Redis; and at two with
Redis, half of them at each. First many type, then two people in one document, at twice the rate.
The three take turns, round by round, so that whatever else the machine does meets them alike. Shown
are the times from a key to the letter in every other editor, at two servers in every editor of the
other one; and from a push to its own updates (P3). The exit code is 1 if a letter is missing or
doubled in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import uvloop

from bench.figures import SHARES, compared, own_cpu_s, percentile, ratio, table
from bench.postgres import DATABASE_HELP, database_url
from bench.redis import private_server
from bench.server import running
from bench.typist import Times, letters_wrong, typist
from collab.client import create_document, guest_token, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.redis import RedisServer
    from bench.server import ServerProcess
    from bench.typist import Keys, Typist

LETTERS = "abcdefghijklmnopqrstuvwxyz"
AIM = 2.0
"""Two servers may take so many times what one takes, at p50 and p99."""


class Load(NamedTuple):
    """So many people in so many documents, and the keys a second of each."""

    name: str
    typists: int
    documents: int
    per_second: float


class Place:
    """Where people type: at one server, or spread over several. `redis` is what these share."""

    def __init__(
        self, name: str, servers: Sequence[ServerProcess], redis: RedisServer | None = None
    ) -> None:
        self.name = name
        self.servers = servers
        self.redis = redis


class Crowd:
    """The people of a load at one place, and what was measured of them in all their rounds."""

    def __init__(self, place: Place, token: str, per_second: float) -> None:
        self.place = place
        self.times = Times()
        self.typed = 0
        self.server_s = self.redis_s = self.own_s = self.took_s = 0.0
        self._token = token
        self._per_second = per_second
        self._rooms: dict[str, list[Typist]] = {}

    async def enter(self, stack: AsyncExitStack, load: Load) -> None:
        """Everybody opens a document; those of one document are spread over the servers."""
        servers = self.place.servers
        for number in range(load.documents):
            title = f"{load.name} {number}"
            document = await create_document(servers[0].url, self._token, title)
            keys: Keys = {}
            count = load.typists // load.documents + (number < load.typists % load.documents)
            at = [
                [
                    await stack.enter_async_context(
                        typist(server.url, document, self._token, letter, keys, Times())
                    )
                    for letter in LETTERS[place : count : len(servers)]
                ]
                for place, server in enumerate(servers)
            ]
            if len(servers) > 1:
                for neighbours in at:
                    for one in neighbours:
                        one.near = frozenset(other.name for other in neighbours)
            self._rooms[document] = [one for neighbours in at for one in neighbours]

    async def warm_up(self, seconds: float) -> None:
        """Type without measuring; from then on it is measured."""
        await self._type(seconds)
        await self._settled()
        for one in self._everybody:
            one.times = self.times

    async def measure(self, seconds: float) -> None:
        """One round."""
        before, typed, began = self._cpu_s(), self._typed, perf_counter()
        await self._type(seconds)
        self.took_s += perf_counter() - began
        after = self._cpu_s()
        self.typed += self._typed - typed
        self.server_s += after[0] - before[0]
        self.redis_s += after[1] - before[1]
        self.own_s += after[2] - before[2]
        await self._settled()

    async def wrong(self) -> list[str]:
        """What is wrong in the end at any of the servers: documents, and the letters in them."""
        found = []
        for document, room in self._rooms.items():
            revision = max(one.revision for one in room)
            for one in room:
                await one.at(revision)
            for server in self.place.servers:
                text = await read_text(server.url, self._token, document)
                found += [f"{document}: {letter}" for letter in letters_wrong(text, room)]
        return found

    @property
    def _everybody(self) -> list[Typist]:
        return [one for room in self._rooms.values() for one in room]

    @property
    def _typed(self) -> int:
        return sum(one.typed for one in self._everybody)

    async def _type(self, seconds: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            for one in self._everybody:
                tasks.create_task(one.type(self._per_second, seconds), name=f"types {one.letter}")

    async def _settled(self) -> None:
        for one in self._everybody:
            await one.settled()

    def _cpu_s(self) -> tuple[float, float, float]:
        """Of the servers, of Redis, and of those who type."""
        redis = self.place.redis
        servers_s = sum(server.cpu_s for server in self.place.servers)
        return servers_s, 0.0 if redis is None else redis.cpu_s, own_cpu_s()


async def measure(load: Load, places: Sequence[Place], seconds: float, rounds: int) -> bool:
    """Let everybody type in turns, print what was seen, and tell whether every letter is there."""
    async with AsyncExitStack() as stack:
        crowds = []
        for place in places:
            token = await guest_token(place.servers[0].url, "bench")
            crowd = Crowd(place, token, load.per_second)
            await crowd.enter(stack, load)
            await crowd.warm_up(seconds / rounds)
            crowds.append(crowd)
        turns = cycle((crowds, crowds[::-1]))  # nobody always follows the same one
        for _, turn in zip(range(rounds), turns, strict=False):
            for crowd in turn:
                await crowd.measure(seconds / rounds)
        wrong = [each for crowd in crowds for each in await crowd.wrong()]
    report(load, crowds)
    if wrong:
        print(f"WRONG: not there as often as typed: {', '.join(wrong)}")
    return not wrong


def report(load: Load, crowds: Sequence[Crowd]) -> None:
    print(
        f"{load.name}: {load.typists} typists, {load.documents} documents,",
        f"{load.per_second:g} keys a second each",
    )
    print("from a key to the letter in another editor")
    print(compared(*((crowd.place.name, crowd.times.heard) for crowd in crowds)))
    *ones, two = crowds
    for one in ones:
        print(f"aim: {two.place.name} within x {AIM:.2f} of {one.place.name}: {verdict(one, two)}")
    print("from a push to its own updates")
    print(compared(*((crowd.place.name, crowd.times.ordered) for crowd in crowds)))
    head = "cpu ms an update", "updates/s", "servers", "redis", "typists"
    rows = [
        (
            crowd.place.name,
            f"{crowd.typed / crowd.took_s:.0f}",
            *(
                f"{1_000 * used_s / max(crowd.typed, 1):.2f}"
                for used_s in (crowd.server_s, crowd.redis_s, crowd.own_s)
            ),
        )
        for crowd in crowds
    ]
    print(table(head, rows))


def verdict(one: Crowd, two: Crowd) -> str:
    pairs = {
        name: (percentile(two.times.heard, SHARES[name]), percentile(one.times.heard, SHARES[name]))
        for name in ("p50", "p99")
    }
    kept = all(long <= AIM * short for long, short in pairs.values())
    shown = ", ".join(f"{name} {ratio(*pair)}" for name, pair in pairs.items())
    return f"{'kept' if kept else 'MISSED'} ({shown})"


async def run(options: argparse.Namespace, folder: Path, database: str, redis: RedisServer) -> bool:
    """Both loads. Returns whether every letter is there once."""
    busy = Load("busy", options.typists, options.documents, options.per_second)
    quiet = Load("quiet", 2, 1, 2 * options.per_second)
    for name in ("alone", "together"):
        (folder / name).mkdir()
    async with AsyncExitStack() as stack:
        alone = await stack.enter_async_context(running(folder / "alone"))
        together = [
            await stack.enter_async_context(
                running(
                    folder / "together",
                    COLLAB_DATABASE_URL=database,
                    COLLAB_REDIS_URL=redis.url,
                )
            )
            for _ in range(2)
        ]
        places = (
            Place("one, no Redis", [alone]),
            Place("one, Redis", together[:1], redis),
            Place("two, Redis", together, redis),
        )
        good = [
            await measure(load, places, options.seconds, options.rounds) for load in (busy, quiet)
        ]
    return all(good)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Time keystrokes across servers.")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="of each of the two loads at each place"
    )
    parser.add_argument("--rounds", type=int, default=30, help="into which these are cut")
    parser.add_argument("--typists", type=int, default=20, help="up to 26 a document")
    parser.add_argument("--documents", type=int, default=4)
    parser.add_argument("--per-second", type=float, default=5.0, help="letters of each typist")
    parser.add_argument("--database", default="", help=f"{DATABASE_HELP}; of those with Redis")
    parser.add_argument(
        "--appendfsync",
        default="everysec",
        choices=("no", "everysec", "always"),
        help="when Redis flushes its file",
    )
    options = parser.parse_args(arguments)
    if options.typists > len(LETTERS) * options.documents:
        parser.error(f"more than {len(LETTERS)} typists in a document")
    with (
        database_url(options.database) as database,
        private_server(appendonly="yes", appendfsync=options.appendfsync) as redis,
        tempfile.TemporaryDirectory(prefix="collab-bench-") as folder,
    ):
        running_all = run(options, Path(folder), database, redis)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return 0 if runner.run(running_all) else 1


if __name__ == "__main__":
    sys.exit(main())
