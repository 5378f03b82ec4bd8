"""Does anything remain of documents that were opened, typed into, and closed again?

    python -m bench.closing [--documents 10000] [--rounds 3] [--at-once 50]

In every round each document is opened once by somebody new, who types a letter, sees it ordered and
leaves; the server closes it soon. Shown is what the server holds when all are closed: resident
memory, objects of Python, open files. Before the first round a few documents warm it up; the first
one fills what is bounded, such as the allowances of documents. The exit code is 1 if a room or a
session remains, or if the last round has left a twentieth of an object of any kind for each
document.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bench import scratch
from bench.author import author
from bench.command import cores, keep, parser
from bench.figures import mb, table
from bench.long_history import AUTHOR
from bench.memory import Counting, counted
from bench.metrics import metrics
from bench.peers.processes import on_core
from collab.api import services
from collab.settings import Settings
from collab.storage import documents
from collab.storage.history import first_segment
from collab.storage.ids import new_id

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from bench.census import Counted

WARM_UP_SHARE = 0.1
DOCUMENTS_A_TRANSACTION = 500
ROOM_IDLE_S = 0.5
HEARTBEAT_S = 5.0
"""Rooms are looked at eight times in it."""
EMPTY_S = 120.0
POLL_S = 0.2
QUIET_S = 2.0
LEFT_SHARE, LEFT = 0.05, 1_000
"""What is left of a kind of object is a leak if it is more, for each document and altogether: each
connection to SQLite holds up to 200 references to cursors that are gone.
"""


class Held(NamedTuple):
    """What a server holds when all rooms are closed."""

    rooms: int
    sessions: int
    rss_bytes: int
    files: int
    objects: Counted


async def measure(options: argparse.Namespace, folder: Path) -> bool:
    server_core, load_core = cores(options)
    names, token = await made(folder / "data", options.documents)
    path = folder / "census"
    server = Counting(
        folder,
        path,
        COLLAB_ROOM_IDLE_S=str(ROOM_IDLE_S),
        COLLAB_HEARTBEAT_S=str(HEARTBEAT_S),
        COLLAB_LOG_LEVEL="warning",
    )
    with on_core(server_core):
        await server.start()
    held = []
    try:
        with on_core(load_core):
            few = names[: max(1, int(WARM_UP_SHARE * len(names)))]
            for number, some in enumerate([few, *([names] * options.rounds)]):
                cpu_s = server.cpu_s
                await open_all(server.url, some, token, options.at_once)
                held.append(await all_closed(server, path, number + 1))
                print(
                    f"{len(some)} opened and closed,"
                    f" {1_000 * (server.cpu_s - cpu_s) / len(some):.1f} ms of cpu each",
                    flush=True,
                )
    finally:
        await server.kill()
    left = report(held, options.documents)
    keep(options, [each._asdict() for each in held])
    for each in left:
        print("WRONG:", each)
    return not left


async def made(data_dir: Path, number: int) -> tuple[list[str], str]:
    """So many empty documents, and a token."""
    names = [new_id() for _ in range(number)]

    def add(some: Sequence[str], at: int, connection: Connection) -> None:
        for name in some:
            first = first_segment(name, "", AUTHOR.id, at)
            documents.create(connection, name, "Closing", first, AUTHOR, at)

    async with services.running(Settings(data_dir=data_dir), time.time) as started:
        token, _ = started.tokens.issue(AUTHOR)
        for begin in range(0, number, DOCUMENTS_A_TRANSACTION):
            some = names[begin : begin + DOCUMENTS_A_TRANSACTION]
            await started.database.write(partial(add, some, started.now_ms()))
    return names, token


async def open_all(url: str, names: Sequence[str], token: str, at_once: int) -> None:
    """Each is opened, typed into and left, so many at once."""
    left = iter(names)

    async def visit() -> None:
        for name in left:
            async with author(url, name, token, f"bench-closing-{time.time_ns()}") as one:
                length = len(one.text())
                update = b'[%s[0,"x"]]' % (b"%d," % length if length else b"")
                await one.push([update])

    async with asyncio.TaskGroup() as tasks:
        for number in range(at_once):
            tasks.create_task(visit(), name=f"visitor {number}")


async def all_closed(server: Counting, path: Path, number: int) -> Held:
    """Wait until no room is open and no session left, and look at the server."""
    began = time.monotonic()
    told = await metrics(server.url)
    while (told["collab_rooms"] or told["collab_sessions"]) and time.monotonic() - began < EMPTY_S:
        await asyncio.sleep(POLL_S)  # nobody tells of it
        told = await metrics(server.url)
    await asyncio.sleep(QUIET_S)
    rss_bytes = server.rss_bytes
    census = (await counted(server, path, number))[-1]
    return Held(
        int(told["collab_rooms"]),
        int(told["collab_sessions"]),
        rss_bytes,
        len(server.open_files),
        census["objects"],
    )


def report(held: Sequence[Held], number: int) -> list[str]:
    """Print what was held after each round. Returns what should not have remained."""
    rows: list[tuple[str, ...]] = []
    for place, each in enumerate(held):
        objects = sum(many for many, _ in each.objects.values())
        size = sum(size for _, size in each.objects.values())
        rows.append(
            (
                f"round {place}" if place else "warm-up",
                str(each.rooms),
                str(each.sessions),
                mb(each.rss_bytes),
                str(objects),
                mb(size),
                str(each.files),
            )
        )
    print(table(("", "rooms", "sessions", "MB", "objects", "MB", "files"), rows))
    last, before = held[-1], held[-2]
    few = max(LEFT_SHARE * number, LEFT)
    left = [f"{last.rooms} rooms, {last.sessions} sessions"] if last.rooms + last.sessions else []
    return left + [
        f"{more} more of {kind}"
        for kind, (many, _) in last.objects.items()
        if (more := many - before.objects.get(kind, (0, 0))[0]) > few
    ]


def main(arguments: list[str] | None = None) -> int:
    options_of = parser("Open very many documents and close them again.")
    options_of.add_argument("--documents", type=int, default=10_000)
    options_of.add_argument("--rounds", type=int, default=3)
    options_of.add_argument("--at-once", type=int, default=50)
    return 0 if scratch.run(partial(measure, options_of.parse_args(arguments))) else 1


if __name__ == "__main__":
    sys.exit(main())
