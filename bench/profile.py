"""Where a keystroke's time goes: the server's processor time by part, for two workloads.

    python -m bench.profile [--seconds 30] [--warm-up 3] [--rate 40] [--no-pin]

The load is that of `bench.peers`; py-spy looks on, which is installed beside the peers and may have
to be root. It tells where each thread is, in Python and in C, so many times a second. Each sample
belongs to the part whose function is innermost in it; who waits is in none. What the parts take is
their share of the samples in the processor time that the server used meanwhile, by the kernel's
count, for each update that was typed: so it adds up.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.command import cores
from bench.peers import install, servers
from bench.peers.load import Pace, load
from bench.peers.processes import on_core, open_all_files
from bench.peers.workloads import Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WORKLOADS = (
    Workload("100 typists", typists=100),
    Workload("200 documents of two", typists=2, documents=200),
)

RECORDED = 0.8
"""The share of the window that is recorded: the recorder takes a while to begin."""

PATIENCE_S = 60.0

WAITING = "waiting"
OTHER = "other"

PARTS: Mapping[str, Sequence[str]] = {
    "receive: system": ("uv__read",),
    "receive: frames": ("loop___uv_stream_on_read", "FramedProtocol.data_received"),
    "decode, check": ("Session.receive",),
    "judge, rebase": ("Room.judge", "Account.admit"),
    "order, apply": ("LocalFeed.append",),
    "fan-out": ("Fanout._flush", "Fanout.show", "Fanout.save"),
    "send: frames": ("Session.write",),
    "send: system": ("UVStream__exec_write", "UVStream__exec_queued_writes"),
    "commit: hand over, report": ("Saving.ordered", "Writer.run", "_WorkItem.run"),
    "commit: transaction": ("_Engines.transaction",),
    "commit: SQLite": ("sqlite3_step", "pysqlite_connection_commit", "sqlite3_prepare_v2"),
    "event loop": ("Loop__run", "_worker"),
    "garbage collector": ("gc_collect_main",),
    WAITING: ("PyThread_acquire_lock_timed", "pthread_cond_timedwait", "epoll_pwait", "fdatasync"),
    OTHER: (),
}
"""The functions that each part begins with."""

_PART_OF = {function: part for part, functions in PARTS.items() for function in functions}


class Spent(NamedTuple):
    """What an update took, in microseconds, and what it is known from."""

    by_part: dict[str, float]
    samples: int
    server: float
    """The share of its core that it used."""

    @property
    def together(self) -> float:
        return sum(self.by_part.values())


def by_part(lines: Iterable[str]) -> Counter[str]:
    """How many samples are in each part; a line is a stack, the outermost first, and their number.

    main (a.py:1);Session.receive (b.py:7);Room.judge (c.py:3) 12
    """
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        functions = (re.sub(r" \(.*", "", frame) for frame in reversed(stack.split(";")))
        found[next((_PART_OF[each] for each in functions if each in _PART_OF), OTHER)] += int(count)
    return found


async def measure(workload: Workload, options: argparse.Namespace) -> Spent:
    """One round."""
    server_core, load_core = cores(options)
    pace = Pace(options.warm_up, options.seconds)
    with tempfile.TemporaryDirectory(prefix="collab-bench-") as folder:
        found = Path(folder) / "stacks"
        async with servers.serving("collab", Path(folder), server_core) as server:
            command = [
                *(str(install.PYTHON.with_name("py-spy")), "record", "--native"),
                *("--pid", str(server.tree.pid), "--rate", str(options.rate)),
                *("--duration", str(max(round(pace.seconds * RECORDED), 1))),
                *("--format", "raw", "--output", str(found)),
            ]
            recording: list[subprocess.Popen[bytes]] = []

            def record() -> None:
                with on_core(load_core):
                    recording.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

            try:
                told, used = await load(server, workload, pace, load_core, on_window=record)
                await asyncio.to_thread(recording[0].wait, PATIENCE_S)
            finally:
                for each in recording:
                    each.kill()
        samples = by_part(found.read_text().splitlines())
    del samples[WAITING]
    each_us = used.cpu_s / told.window.typed * 1e6
    spent = {part: count / samples.total() * each_us for part, count in samples.items()}
    return Spent(spent, samples.total(), used.cpu_s / (told.window.ms / 1_000))


def shown(columns: Mapping[str, Spent]) -> str:
    """A line for each part, and a column for each workload."""
    width = max(map(len, PARTS))
    lines = [f"{'µs an update':{width}}  {'  '.join(columns)}"]

    def line(name: str, values: Iterable[str]) -> None:
        cells = (f"{value:>{len(head)}}" for head, value in zip(columns, values, strict=True))
        lines.append(f"{name:{width}}  {'  '.join(cells)}")

    for part in PARTS:
        if part != WAITING:
            line(part, (f"{each.by_part.get(part, 0.0):.1f}" for each in columns.values()))
    line("together", (f"{each.together:.1f}" for each in columns.values()))
    line("of its core", (f"{each.server:.0%}" for each in columns.values()))
    line("samples", (f"{each.samples:,}" for each in columns.values()))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Tell where a keystroke's time goes.")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each workload")
    parser.add_argument("--warm-up", type=float, default=3.0, help="before them")
    parser.add_argument(
        "--rate", type=int, default=40, help="samples a second: the server stands still for each"
    )
    parser.add_argument("--no-pin", action="store_true", help="run on whichever core is free")
    options = parser.parse_args(arguments)
    install.install_python_peers()
    print(shown({each.name: asyncio.run(measure(each, options)) for each in WORKLOADS}))
    return 0


if __name__ == "__main__":
    open_all_files()
    sys.exit(main())
