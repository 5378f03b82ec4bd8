"""What a long history costs whoever opens the document: cold openings, and texts of the past.

    python -m bench.opening [--updates 1000 30000 300000] [--opens 7]

The documents have texts of the same length and are typed letter by letter, each in a database of
its own. For every opening a server is started anew; another document is opened first, so that it
is the document which is cold and not the server (the file is in the system's cache). Shown are the
times from a handshake to its welcome, of reading the text then, and of reading it as it was in the
middle of its history; the bytes of the database, and the memory that the opening took. The exit
code is 1 if any of these texts is not the one that was typed.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING

from bench import scratch
from bench.author import session
from bench.figures import mb, ms, percentile, ratio, table
from bench.long_history import made
from bench.rest import rest
from bench.server import running
from collab.errors import Unprocessable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.long_history import Data, Long
    from bench.server import ServerProcess

READS = 5


@dataclass
class Size:
    """What was measured of a document of so many updates: seconds and bytes."""

    updates: int
    made_s: float = 0.0
    file_bytes: int = 0
    opened_s: list[float] = field(default_factory=list)
    text_s: list[float] = field(default_factory=list)
    middle_s: list[float] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)
    grown_bytes: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Where another text was seen than the one that was typed."""


async def measure(updates: int, opens: int, data_dir: Path) -> Size:
    """Make a document and open it."""
    size = Size(updates)
    began = perf_counter()
    data = await made(data_dir / "data", updates)
    size.made_s = perf_counter() - began
    size.file_bytes = data.bytes
    for _ in range(opens):
        async with running(data_dir) as server:
            await open_cold(server, data, size)
            await server.stop()
    return size


async def open_cold(server: ServerProcess, data: Data, size: Size) -> None:
    """Open the document on a server that has only the short one open."""
    async with session(server.url, data.short.id, data.token, "bench-opens-short"):
        before = server.rss_bytes
        began = perf_counter()
        opening = session(server.url, data.long.id, data.token, "bench-opens-long")
        async with opening as (_, welcome):
            size.opened_s.append(perf_counter() - began)
            size.rss_bytes.append(server.rss_bytes)
            size.grown_bytes.append(server.rss_bytes - before)
            if (welcome.revision, welcome.text) != (data.long.revision, data.long.text):
                size.wrong.append("welcome")
            await asyncio.to_thread(_read, server.url, data.token, data.long, size)


def _read(url: str, token: str, long: Long, size: Size) -> None:
    path = f"/v1/documents/{long.id}/text"
    with rest(url, token) as api:
        for _ in range(READS):
            answer = api.get(path)
            size.text_s.append(answer.took_s)
            if answer.body.decode() != long.text:
                size.wrong.append("GET text")
        for _ in range(READS):
            try:
                answer = api.get(path, revision=str(long.middle_revision))
            except Unprocessable:
                return  # this server keeps no texts of the past
            size.middle_s.append(answer.took_s)
            if answer.body.decode() != long.middle_text:
                size.wrong.append(f"GET text?revision={long.middle_revision}")


def report(sizes: Sequence[Size]) -> None:
    """A column for each size, and how each stands to the one before."""
    rows = [
        _row("handshake to welcome, p50 ms", [_middle(size.opened_s) for size in sizes], ms),
        _row("handshake to welcome, most ms", [max(size.opened_s) for size in sizes], ms),
        _row("GET text, p50 ms", [_middle(size.text_s) for size in sizes], ms),
        _row("GET text in the middle, p50 ms", [_middle(size.middle_s) for size in sizes], ms),
        _row("database, MB", [size.file_bytes for size in sizes], mb),
        _row("server after, p50 MB", [_middle(size.rss_bytes) for size in sizes], mb),
        _row("grown by the opening, p50 MB", [_middle(size.grown_bytes) for size in sizes], mb),
        _row("to make it, s", [size.made_s for size in sizes], "{:.1f}".format),
    ]
    names = [str(size.updates) for size in sizes]
    against = [f"{after}/{before}" for before, after in pairwise(names)]
    opens, reads = len(sizes[0].opened_s), len(sizes[0].text_s)
    print(f"by updates; {opens} openings and {reads} readings of each")
    print(table(("", *names, *against), rows))


def _row(name: str, values: Sequence[float], show: Callable[[float], str]) -> list[str]:
    cells = ["-" if math.isnan(value) else show(value) for value in values]
    return [name, *cells, *(ratio(after, before) for before, after in pairwise(values))]


def _middle(samples: Sequence[float]) -> float:
    return percentile(samples, 0.5)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Open documents with a long history.")
    parser.add_argument("--updates", type=int, nargs="+", default=[1_000, 30_000, 300_000])
    parser.add_argument("--opens", type=int, default=7, help="of each document")
    options = parser.parse_args(arguments)
    sizes = [scratch.run(partial(measure, updates, options.opens)) for updates in options.updates]
    report(sizes)
    for size in sizes:
        for where in sorted(set(size.wrong)):
            print(f"WRONG: another text of {size.updates} updates: {where}")
    return 1 if any(size.wrong for size in sizes) else 0


if __name__ == "__main__":
    sys.exit(main())
