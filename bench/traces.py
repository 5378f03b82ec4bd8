"""Recorded sessions, typed again through the real server: is every text right, and how fast is it?

    python -m bench.traces [--only NAME] [--limit EDITS] [--per-push EDITS] [--no-pin] [--json FILE]

Each recording is typed by clients of its authors, with one more client watching: one edit a push,
each waiting for its acknowledgement; then as many a push as the server takes, or as its author
typed before the other went on. Authors, watcher and REST must show the recording's text, and REST
and a fresh welcome again after the server was killed, and after it was stopped and started; else
the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import uvloop

from bench.author import author
from bench.command import cores, keep, parser
from bench.figures import percentile
from bench.peers.processes import on_core
from bench.recordings import NAMES, folder, load
from bench.server import running
from collab.client import connect, create_document, guest_token, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.recordings import Recording
    from bench.server import ServerProcess

SETTINGS = {"COLLAB_PUSHES_PER_SECOND": "1000000", "COLLAB_LOG_LEVEL": "warning"}
UPDATES_PER_PUSH = 1_000
"""The server's default limit."""

ROW = "{:<16} {:>6} {:>8} {:>8} {:>8} {:>9} {:>8} {:>8} {:>8} {:>7}  {}"
HEAD = "trace", "a push", "edits", "pushes", "s", "edits/s", "p50 ms", "p99 ms", "cpu s", "MB", ""


@dataclass
class Result:
    """One typing of one recording. `cpu_s` and `rss_bytes` are the server's, while typing."""

    edits: int
    seconds: float
    latencies_s: list[float]
    cpu_s: float
    rss_bytes: int
    wrong: list[str] = field(default_factory=list)
    """Where another text was seen than the recording's."""


async def type_again(
    recording: Recording, per_push: int, data_dir: Path, core: int | None = None
) -> Result:
    """Type a recording into a new document of a new server, which runs on this core, and look at
    what became of it.
    """
    async with AsyncExitStack() as clients:
        with on_core(core):
            server = await clients.enter_async_context(running(data_dir, **SETTINGS))
        token = await guest_token(server.url, "bench")
        document_id = await create_document(server.url, token, recording.name)
        authors = [
            await clients.enter_async_context(
                author(server.url, document_id, token, f"bench-author-{number:04}")
            )
            for number in range(max(recording.authors) + 1)
        ]
        watcher = await clients.enter_async_context(connect(server.url, document_id, token=token))

        cpu_s, began, revision = server.cpu_s, perf_counter(), 0
        for who, updates in pushes(recording, per_push):
            await authors[who].at(revision)
            await authors[who].push(updates)
            revision += len(updates)
        result = Result(
            edits=revision,
            seconds=perf_counter() - began,
            latencies_s=[latency for one in authors for latency in one.latencies_s],
            cpu_s=server.cpu_s - cpu_s,
            rss_bytes=server.peak_rss_bytes,
        )
        for one in authors:
            await one.at(revision)
        await watcher.at(revision)
        seen = {f"author {number}": str(one.text()) for number, one in enumerate(authors)}
        seen["watcher"] = str(watcher.text)
        seen["REST"] = await read_text(server.url, token, document_id)
        # What was acknowledged outlives the process that said so, however it ends (P3).
        await server.kill()
        with on_core(core):
            await server.start()
        seen |= await shown(server, document_id, token, "after a kill")
        await server.stop()
        with on_core(core):
            await server.start()
        seen |= await shown(server, document_id, token, "after a restart")
        result.wrong = [who for who, text in seen.items() if text != recording.text]
        return result


def pushes(recording: Recording, per_push: int) -> Iterator[tuple[int, list[bytes]]]:
    """What is pushed at once, and by whom: edits of one author in a row, `per_push` at most."""
    for who, edits in groupby(
        zip(recording.authors, recording.updates, strict=True), itemgetter(0)
    ):
        turn = [update for _, update in edits]
        for start in range(0, len(turn), per_push):
            yield who, turn[start : start + per_push]


async def shown(server: ServerProcess, document_id: str, token: str, when: str) -> dict[str, str]:
    """What the server shows to someone new."""
    async with connect(server.url, document_id, token=token) as editor:
        return {
            f"REST {when}": await read_text(server.url, token, document_id),
            f"welcome {when}": str(editor.text),
        }


def row(recording: Recording, per_push: int, result: Result) -> str:
    latencies_ms = sorted(1_000 * latency for latency in result.latencies_s)
    return ROW.format(
        recording.name,
        per_push,
        result.edits,
        len(latencies_ms),
        f"{result.seconds:.1f}",
        f"{result.edits / result.seconds:.0f}",
        f"{latencies_ms[len(latencies_ms) // 2]:.2f}",
        f"{latencies_ms[len(latencies_ms) * 99 // 100]:.2f}",
        f"{result.cpu_s:.1f}",
        f"{result.rss_bytes / 1e6:.0f}",
        f"WRONG: {', '.join(result.wrong)}" if result.wrong else "all equal",
    )


def positive(argument: str) -> int:
    number = int(argument)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def kept(recording: Recording, per_push: int, result: Result) -> dict[str, Any]:
    return {
        "recording": recording.name,
        "per_push": per_push,
        "updates": result.edits,
        "seconds": result.seconds,
        "p50_s": percentile(result.latencies_s, 0.5),
        "p99_s": percentile(result.latencies_s, 0.99),
        "cpu_s": result.cpu_s,
        "rss_bytes": result.rss_bytes,
        "wrong": result.wrong,
    }


def main() -> int:
    options_of = parser("Type recorded sessions through the real server.")
    options_of.add_argument("--only", choices=NAMES, help="this recording alone")
    options_of.add_argument("--limit", type=positive, help="so many of its first edits")
    options_of.add_argument("--per-push", type=positive, help="so many edits a push alone")
    options = options_of.parse_args()
    try:
        folder()
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    server_core, load_core = cores(options)
    rows = []
    print(ROW.format(*HEAD), flush=True)
    for name in [options.only] if options.only else NAMES:
        recording = load(name, options.limit)
        for per_push in [options.per_push] if options.per_push else (1, UPDATES_PER_PUSH):
            with (
                tempfile.TemporaryDirectory(prefix="collab-bench-") as data_dir,
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
                on_core(load_core),
            ):
                typing = type_again(recording, per_push, Path(data_dir), server_core)
                result = runner.run(typing)
            print(row(recording, per_push, result), flush=True)
            rows.append(kept(recording, per_push, result))
    keep(options, rows)
    return 1 if any(each["wrong"] for each in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
