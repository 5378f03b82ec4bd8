"""How many pushes one server can order: by itself, and through Redis.

    python -m bench.ordering [--pushes 20000] [--documents 20] [--window 10]

The log alone, without editors, rooms and a database: in each document so many pushes wait for their
place at any time, and each that is heard is followed by another. Shown are the pushes a second, the
processor's time for a thousand of them here and in Redis, and how many appends Redis found at once
when it read from its connection. The exit code is 1 if a push is lost, doubled or out of turn.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, NamedTuple

import uvloop

from bench.figures import own_cpu_s, table
from bench.redis import private_server
from collab.log.entry import Entry
from collab.log.local import LocalLog
from collab.log.redis.links import RedisLinks
from collab.log.redis.log import RedisLog
from collab.logs import set_up
from collab.storage.runs import Row
from collab.text import Change

if TYPE_CHECKING:
    from bench.redis import RedisServer
    from collab.errors import Refusal
    from collab.log.contract import Feed, Log

REDIS_TIMEOUT_S = 3.0
LONGEST_S = 600.0
LETTER = (Change.from_json([1_000, [0, "a"], 1_000]),)


class Figures(NamedTuple):
    """What it took to order all pushes. `reads` is how often Redis read something for it."""

    pushes: int
    took_s: float
    own_s: float
    redis_s: float = 0.0
    reads: int = 0


class Follower:
    """A document's `Subscriber`, which gives one more push to its log for each that it hears."""

    def __init__(self) -> None:
        self.revision = 0
        self.mark = ""
        self.wrong = ""
        self.done = asyncio.Event()
        """All are heard, or something is wrong."""
        self._seq = 0
        self._wanted = 0
        self._feed: Feed | None = None

    def order(self, feed: Feed, pushes: int, window: int) -> None:
        """Order so many pushes, `window` at a time."""
        self._feed, self._wanted = feed, pushes
        for _ in range(min(window, pushes)):
            self._push()

    def _push(self) -> None:
        assert self._feed is not None
        if self._seq < self._wanted:
            self._seq += 1
            at = time_ns() // 1_000_000
            self._feed.append(Entry("follower", self._seq, self.revision, LETTER, "bench", at))

    def ordered(self, entry: Entry, mark: str) -> None:
        self.revision += 1
        self.mark = mark
        if entry.seq != self.revision:
            self._end("pushes are lost, doubled or out of turn")
        elif self.revision == self._wanted:
            self.done.set()
        else:
            # Later: the local log would tell of it before it is told of this one.
            asyncio.get_running_loop().call_soon(self._push)

    def mark_at(self, revision: int) -> str | None:
        return self.mark if revision == self.revision else None

    def knows(self, _: str, seq: int) -> bool:
        return seq <= self.revision

    def refused(self, entry: Entry, refusal: Refusal) -> None:
        self._end(f"push {entry.seq} is refused: {refusal}")

    def adrift(self) -> None:
        self._end("the log went on without it")

    def deleted(self) -> None:
        self._end("the document is deleted")

    def durable(self, _: int) -> None: ...
    def saved_elsewhere(self, _: int) -> None: ...
    def leads(self) -> None: ...
    def heard(self, _: bytes) -> None: ...
    def resubscribed(self) -> None: ...

    def access_changed(self) -> None: ...

    def _end(self, wrong: str) -> None:
        self.wrong = wrong
        self.done.set()


class Rows:
    """What the database's rows say: nothing is saved yet."""

    def __init__(self) -> None:
        self._runs: dict[str, str] = {}

    async def look(self, document_id: str) -> Row:
        return Row(self._runs.get(document_id, ""), 0, "")

    async def claim(self, document_id: str, run: str, former: str) -> Row | None:
        if self._runs.get(document_id, "") not in (run, former):
            return None
        self._runs[document_id] = run
        return await self.look(document_id)


async def order(
    log: Log, options: argparse.Namespace, redis: RedisServer | None = None
) -> tuple[Figures, list[str]]:
    """Order pushes in all documents at once. Returns what is wrong as well."""

    async def read() -> Follower:
        return Follower()

    opened = [await log.open(f"document-{n}", read) for n in range(options.documents)]
    share = options.pushes // options.documents
    reads, redis_s = _used(redis)
    own_s, began = own_cpu_s(), perf_counter()
    for follower, feed in opened:
        follower.order(feed, share, options.window)
    async with asyncio.timeout(LONGEST_S):
        for follower, _ in opened:
            await follower.done.wait()
    took_s, own_s = perf_counter() - began, own_cpu_s() - own_s
    reads_after, redis_s_after = _used(redis)
    for _, feed in opened:
        feed.close()
    figures = Figures(
        share * options.documents, took_s, own_s, redis_s_after - redis_s, reads_after - reads
    )
    return figures, [follower.wrong for follower, _ in opened if follower.wrong]


def _used(redis: RedisServer | None) -> tuple[int, float]:
    """How often Redis has read something, and its processor seconds."""
    if redis is None:
        return 0, 0.0
    return int(redis.execute("INFO", "stats")["total_reads_processed"]), redis.cpu_s


async def measure(options: argparse.Namespace, redis: RedisServer) -> bool:
    """Order by both, print what was seen, and tell whether nothing is wrong."""
    alone, wrong = await order(LocalLog(), options)
    async with asyncio.TaskGroup() as tasks:
        links = RedisLinks(redis.url, REDIS_TIMEOUT_S, tasks)
        await links.start()
        try:
            log = RedisLog(links, Rows(), "bench")
            together, also_wrong = await order(log, options, redis)
            await log.close()
        finally:
            await links.close()
    print(f"{options.documents} documents, {options.window} pushes of each under way")
    head = "", "pushes/s", "cpu ms per 1,000", "redis", "appends a read"
    print(table(head, [row("alone", alone), row("through Redis", together)]))
    for each in wrong + also_wrong:
        print(f"WRONG: {each}")
    return not wrong and not also_wrong


def row(name: str, figures: Figures) -> tuple[str, ...]:
    thousands = figures.pushes / 1_000
    return (
        name,
        f"{figures.pushes / figures.took_s:.0f}",
        f"{1_000 * figures.own_s / thousands:.0f}",
        f"{1_000 * figures.redis_s / thousands:.0f}",
        f"{figures.pushes / figures.reads:.1f}" if figures.reads else "-",
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Order pushes, alone and through Redis.")
    parser.add_argument("--pushes", type=int, default=20_000, help="in all documents together")
    parser.add_argument("--documents", type=int, default=20)
    parser.add_argument("--window", type=int, default=10, help="pushes under way in a document")
    options = parser.parse_args(arguments)
    with (
        private_server(appendonly="yes") as redis,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return 0 if runner.run(measure(options, redis)) else 1


if __name__ == "__main__":
    set_up("warning", sys.stderr)
    sys.exit(main())
