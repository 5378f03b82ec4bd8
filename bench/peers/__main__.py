"""Collab beside its peers, in the same run: what a delivery costs, and how long it takes.

    python -m bench.peers [--workload two,typists,readers,rooms,presence] [--typists 100,200]
                          [--servers collab,hocuspocus,y-websocket,sharedb,pycrdt]
                          [--per-second 5] [--seconds 10] [--warm-up 3] [--rounds 3]
                          [--no-pin] [--json FILE]

Each server runs on a core of its own and speaks its own protocol to a load on another. All take
turns, started anew each time; shown are the medians of the rounds. Counted is each update that
reaches another editor (not its author), however many come in one message. Times are from the press
of a key to another editor, also while the key waits for what is in flight. CPU is that of all the
server's processes, for 1,000 deliveries. In the end everything must be delivered, and two editors
must show the same text. A round in which the load took more than 90 % of its core, or typed less
than 95 % of its plan, shows no figures. Who does not keep up with some typists is not asked to with
more. The peers keep everything in memory; Collab has committed it before it shows it.

The peers are installed beside this file when they are first asked for. The exit code is 1 if a text
is wrong, or if Collab failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers import servers
from bench.peers.load import Pace, load
from bench.peers.processes import open_all_files
from bench.peers.rows import Row, judged, shown
from bench.peers.workloads import EVERYBODY, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from bench.peers.workloads import Workload

SERVER_CORE, LOAD_CORE = 0, 1


async def measure(
    workloads: Sequence[Workload], names: Sequence[str], pace: Pace, rounds: int, *, pinned: bool
) -> list[Row]:
    """All rounds. What a server does not bear is told in its row."""
    versions = {name: servers.prepare(name) for name in names}
    rows = [
        Row(workload, name, versions[name])
        for workload in workloads
        for name in names
        if name in workload.servers
    ]
    for turn in range(rounds):
        for row in rows:
            print(f"round {turn + 1}: {row.workload.name}: {row.server}", file=sys.stderr)
            if less := _too_much(row, rows):
                row.skipped = f"not asked: it does not keep up with {less}"
            else:
                await _go(row, pace, pinned=pinned)
    return rows


def _too_much(row: Row, rows: Sequence[Row]) -> str:
    """The name of a workload that is less than this one, and already too much for the server."""
    for other in rows:
        is_less = other.server == row.server and row.workload.is_more_than(other.workload)
        if is_less and other.rounds and not other.rounds[-1].keeps_up:
            return other.workload.name
    return ""


async def _go(row: Row, pace: Pace, *, pinned: bool) -> None:
    cores = (SERVER_CORE, LOAD_CORE) if pinned else (None, None)
    try:
        with tempfile.TemporaryDirectory(prefix="collab-bench-") as folder:
            async with servers.serving(row.server, Path(folder), cores[0]) as server:
                told, used = await load(server, row.workload, pace, cores[1])
    except (OSError, RuntimeError, TimeoutError) as error:
        row.failures.append(f"failed: {str(error) or type(error).__name__}")
    else:
        row.rounds.append(judged(told, used, row.workload, pace))


def report(rows: Sequence[Row], pace: Pace, path: Path) -> None:
    """Everything that was measured, as JSON."""
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    found = {"machine": machine, **pace._asdict(), "rows": [row.as_json() for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1))


def _processor() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.machine()


def _some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(given: str) -> list[str]:
        if unknown := set(given.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"{unknown} are none of {', '.join(known)}")
        return given.split(",")

    return names


def _counts(given: str) -> list[int]:
    return [int(count) for count in given.split(",")]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Put Collab beside its peers.")
    parser.add_argument("--workload", type=_some_of(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--typists", type=_counts, default=EVERYBODY, help="at once")
    parser.add_argument("--servers", type=_some_of(servers.NAMES), default=list(servers.NAMES))
    parser.add_argument("--per-second", type=float, help="keys of each typist")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round")
    parser.add_argument("--warm-up", type=float, default=3.0, help="before them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-pin", action="store_true", help="run on whichever core is free")
    parser.add_argument("--json", type=Path, help="where to write the figures as well")
    options = parser.parse_args(arguments)
    workloads = [each for name in options.workload for each in WORKLOADS[name](options.typists)]
    if options.per_second:
        workloads = [replace(each, per_second=options.per_second) for each in workloads]
    pace = Pace(options.warm_up, options.seconds)
    measuring = measure(workloads, options.servers, pace, options.rounds, pinned=not options.no_pin)
    rows = asyncio.run(measuring)
    print(shown(rows))
    if options.json:
        report(rows, pace, options.json)
    return (
        1 if any(row.is_wrong or (row.server == "collab" and row.failures) for row in rows) else 0
    )


if __name__ == "__main__":
    open_all_files()
    sys.exit(main())
