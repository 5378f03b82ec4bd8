"""The fault drill: people type all the time while servers, Redis and the database fail.

    python -m bench.drill [--short] [--only NAME]... [--times 10] [--editors 20] [--documents 4]
                          [--json FILE]

All processes are real: servers behind a load balancer, a Redis and a PostgreSQL of their own, and
editors that know nothing of it all. For each fault it prints a row of a Markdown table: the
insertions that were acknowledged, and in how many pushes; how many of them were lost, doubled or
out of order in the end; how long after the fault was over everybody's typing worked again; and the
longest that anybody waited for an acknowledgement. A row is good if, when all is typed and saved,
every acknowledged insertion is there exactly once, each person's in the order they were typed, and
every editor, every server and the database show the same text at the same revision.

The exit code is 1 if a row is not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from bench.drill import report
from bench.drill.faults import FAULTS
from bench.drill.run import go_through
from bench.drill.site import site

if TYPE_CHECKING:
    from bench.drill.faults import Fault
    from bench.drill.report import Row


async def drill(faults: list[Fault], options: argparse.Namespace) -> list[Row]:
    """Once through all faults; those of the same plan on the same site, until one goes wrong."""
    rows: list[Row] = []
    plans = list(dict.fromkeys(fault.plan for fault in faults))
    by_plan = sorted(faults, key=lambda fault: plans.index(fault.plan))
    for plan, group in groupby(by_plan, attrgetter("plan")):
        left = list(group)
        while left:
            with tempfile.TemporaryDirectory(prefix="collab-drill-") as folder:
                async with site(Path(folder), plan) as place:
                    while left:
                        fault = left.pop(0)
                        row = await go_through(fault, place, options.documents, options.editors)
                        rows.append(row)
                        print(report.line(row), flush=True)
                        if not row.is_good:
                            break
    return rows


def main(arguments: list[str] | None = None) -> int:
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(description="Let people type while things fail.")
    parser.add_argument("--short", action="store_true", help="a few faults, in under 3 minutes")
    parser.add_argument("--only", action="append", choices=names, help="this fault, and others so")
    parser.add_argument("--times", type=int, default=1, help="how often to go through all")
    parser.add_argument("--editors", type=int, default=20)
    parser.add_argument("--documents", type=int, default=4)
    parser.add_argument("--json", type=Path, help="where to write the figures as well")
    options = parser.parse_args(arguments)
    faults = [
        fault
        for fault in FAULTS
        if (fault.short or not options.short) and fault.name in (options.only or names)
    ]
    rounds: list[list[Row]] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for _ in range(options.times):
            print(report.HEAD)
            rounds.append(runner.run(drill(faults, options)))
    together = report.together(rounds)
    if options.times > 1:
        print(f"\n{options.times} times\n\n{report.HEAD}")
        print(*map(report.line, together), sep="\n")
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_json(together), indent=2) + "\n")
    return 0 if all(row.is_good for row in together) else 1


if __name__ == "__main__":
    sys.exit(main())
