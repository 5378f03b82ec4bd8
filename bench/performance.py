"""Rebuild docs/performance.md: its tables and plots, from what was measured.

    python -m bench.performance [--measure [peers opening joining idling …]]

With `--measure` everything is measured first, or what is named: all of it takes more than an hour
on two cores that do nothing else. What was found is kept in docs/performance/; without `--measure`
the page is made of what is there. The words of the page are written by hand, around the marks of
what is made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.peers import install

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
KEPT = ROOT / "docs" / "performance"

TYPISTS = "10,50,100,200,500,1000"
PEERS = "bench.peers", "--typists", TYPISTS, "--seconds", "8", "--rounds", "2", "--json"
COMMANDS = {
    "opening": ("bench.peers.opening", "--servers", "collab,y-websocket,hocuspocus"),
    "joining": ("bench.peers.joining", "--servers", "collab,y-websocket"),
    "idling": ("bench.peers.idling", "--rounds", "1"),
    "where": ("bench.peers.idling", "--where"),
    "returning": ("bench.returning",),
    "typing": ("bench.typing",),
    "growing": ("bench.growing",),
    "closing": ("bench.closing",),
    "profile": ("bench.profile",),
    "hot": ("bench.hot",),
}
"""What else is measured: what it prints is kept, and shown as it is."""

MEASURE_TIMEOUT_S = 2 * 3600.0
PLOT_TIMEOUT_S = 120.0


class Figure(NamedTuple):
    """A column: its name in the figures, its head, and how a value is written."""

    name: str
    head: str
    form: str


FIGURES = (
    Figure("CPU s/1,000", "CPU s per 1,000 deliveries", "{:.4f}"),
    Figure("p50 ms", "p50 ms", "{:.1f}"),
    Figure("p95 ms", "p95 ms", "{:.1f}"),
    Figure("p99 ms", "p99 ms", "{:.1f}"),
    Figure("deliveries/s", "deliveries/s", "{:,.0f}"),
    Figure("server", "of its core", "{:.0%}"),
    Figure("MB", "MB", "{:.0f}"),
)


def measure(names: Sequence[str]) -> None:
    """Run these, one after the other, and keep what they found."""
    for name in names:
        command = [*PEERS, str(KEPT / "peers.json")] if name == "peers" else [*COMMANDS[name]]
        print("python -m", *command, file=sys.stderr)
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            check=True,
            timeout=MEASURE_TIMEOUT_S,
            stdout=subprocess.PIPE,
            text=True,
        )
        if name in COMMANDS:  # the peers' figures are kept by themselves
            (KEPT / f"{name}.txt").write_text(done.stdout)


# -- The page -------------------------------------------------------------------------------------


def peers_tables(found: dict[str, Any]) -> str:
    """A table for each workload: a row for each server, Collab's first."""
    by_workload: dict[str, list[dict[str, Any]]] = {}
    for row in found["rows"]:
        by_workload.setdefault(row["workload"]["name"], []).append(row)
    parts = []
    for name, rows in by_workload.items():
        lines = [[row["server"], *_cells(row)] for row in rows]
        notes = [f"- {row['server']}: {note}" for row in rows for note in row["notes"]]
        parts.append("\n".join([f"**{name}**", "", *_table(_head(), lines), *_notes(notes)]))
    return "\n\n".join(parts)


def _head() -> list[str]:
    return ["", *(figure.head for figure in FIGURES)]


def _cells(row: dict[str, Any]) -> list[str]:
    values = [row["figures"][figure.name] for figure in FIGURES]
    return [
        "-" if value is None else figure.form.format(value)
        for figure, value in zip(FIGURES, values, strict=True)
    ]


def _notes(notes: Sequence[str]) -> list[str]:
    return ["", *notes] if notes else []


def versions(found: dict[str, Any]) -> str:
    """What was measured, and where."""
    servers = dict.fromkeys(f"{row['server']} {row['version']}" for row in found["rows"])
    machine = found["machine"]
    return (
        f"{', '.join(servers)}. {machine['processor']}, {machine['cores']} cores, "
        f"{machine['system']}, Python {machine['python']}; medians of rounds of "
        f"{found['seconds']:g} s after {found['warm_up_s']:g} s."
    )


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---", *(["---:"] * (len(head) - 1))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *lines)]


def parts() -> dict[str, str]:
    """What stands between the marks of a name, of all that was measured."""
    made = {}
    if (KEPT / "peers.json").exists():
        found = json.loads((KEPT / "peers.json").read_text())
        made = {"versions": versions(found), "peers": peers_tables(found)}
    for name, command in COMMANDS.items():
        path = KEPT / f"{name}.txt"
        if path.exists():
            made[name] = f"```\n$ python -m {' '.join(command)}\n{path.read_text().rstrip()}\n```"
    return made


def rebuilt(page: str, made: Mapping[str, str]) -> str:
    """The page with the parts that are made in their places."""
    for name, part in made.items():
        begin, end = f"<!-- made: {name} -->", f"<!-- end: {name} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        assert found, f"the page has no place for {name}"
        page = f"{before}{begin}\n{part}\n{end}{after}"
    return page


def plot() -> None:
    """Draw the plots, with the library that is installed beside the peers."""
    install.install_python_peers()
    command = [str(install.PYTHON), "-m", "bench.plots", str(KEPT)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=PLOT_TIMEOUT_S)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Rebuild docs/performance.md.")
    parser.add_argument(
        "--measure",
        nargs="*",
        choices=("peers", *COMMANDS),
        metavar="WHAT",
        help="measure first: everything, or what is named",
    )
    options = parser.parse_args(arguments)
    KEPT.mkdir(exist_ok=True)
    if options.measure is not None:
        measure(options.measure or ["peers", *COMMANDS])
    PAGE.write_text(rebuilt(PAGE.read_text(), parts()))
    plot()
    return 0


if __name__ == "__main__":
    sys.exit(main())
