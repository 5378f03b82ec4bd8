"""What came of the rounds: a row for each workload and server."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec

from bench.figures import ratio, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.peers.load import Pace, Times, Told, Used
    from bench.peers.workloads import Workload

MOST_LOAD = 0.90
"""Of its core the load may take; with more, it measures itself."""
LEAST_TYPED = 0.95
"""Of the plan."""
BACKLOG_S = 0.25
"""So much of what is due in a second may be on its way at the end."""
GROWN = 2.0, 100.0
"""A p99 that doubles in the second half, and is over 100 ms, will go on growing."""


@dataclass
class Round:
    """One round of one server, in figures. `limits` says why they do not count."""

    told: Told
    used: Used
    limits: list[str]
    troubles: list[str]
    """What the server did not do."""
    keeps_up: bool = True

    @property
    def cpu_s_per_thousand(self) -> float:
        return 1_000 * self.used.cpu_s / max(self.told.window.delivered, 1)

    @property
    def deliveries_per_s(self) -> float:
        return 1_000 * self.told.window.delivered / self.told.window.ms

    @property
    def server_share(self) -> float:
        """Of its core."""
        return 1_000 * self.used.cpu_s / self.told.window.ms

    @property
    def load_share(self) -> float:
        return self.told.window.cpu_ms / self.told.window.ms


def judged(told: Told, used: Used, workload: Workload, pace: Pace) -> Round:
    """A round, and what is to be said of it."""
    one = Round(told, used, [], [])
    planned = workload.keys_per_s * pace.seconds
    if one.load_share > MOST_LOAD:
        one.limits.append(f"the load was the limit: {one.load_share:.0%} of its core")
    if told.window.typed < LEAST_TYPED * planned:
        one.limits.append(f"the load was the limit: typed {told.window.typed} of {planned:.0f}")
    if told.delivered != told.due:
        one.keeps_up = False
        one.troubles.append(f"delivered {told.delivered:,} of {told.due:,}")
    if told.backlog > BACKLOG_S * told.window.due * 1_000 / told.window.ms:
        one.keeps_up = False
        one.troubles.append(f"does not keep up: {told.backlog:,} deliveries behind at the end")
    if _grew(told.early, told.later):
        one.troubles.append(f"p99 grew from {told.early.p99:.0f} to {told.later.p99:.0f} ms")
    if told.refusals:
        one.troubles.append(f"refused {told.refusals} pushes")
    if told.wrong is not None:
        one.troubles.append(f"WRONG: {told.wrong}")
    return one


def _grew(early: Times, later: Times) -> bool:
    if early.p99 is None or later.p99 is None:
        return False
    factor, least = GROWN
    return later.p99 > max(factor * early.p99, least)


@dataclass
class Row:
    """All rounds of one server at one workload. `failures` are those that came to no end; `skipped`
    says why there was none.
    """

    workload: Workload
    server: str
    version: str
    rounds: list[Round] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def counting(self) -> list[Round]:
        return [one for one in self.rounds if not one.limits]

    def middle(self, figure: Callable[[Round], float | None]) -> float | None:
        """The median of the rounds that count; None where there is none."""
        figures = [figure(one) for one in self.counting]
        return median(found) if (found := [one for one in figures if one is not None]) else None

    @property
    def keeps_up(self) -> bool:
        """Whether it did in most rounds."""
        return 2 * sum(one.keeps_up for one in self.rounds) > len(self.rounds)

    @property
    def notes(self) -> list[str]:
        said = [note for one in self.rounds for note in (*one.limits, *one.troubles)]
        every = dict.fromkeys((*self.failures, self.skipped, *said))
        return [note for note in every if note]

    @property
    def is_wrong(self) -> bool:
        """Whether somebody's text is not what it should be."""
        return any("WRONG" in note for note in self.notes)

    def as_json(self) -> dict[str, Any]:
        return {
            "workload": asdict(self.workload),
            "server": self.server,
            "version": self.version,
            "figures": {name: self.middle(figure) for name, (figure, _) in FIGURES.items()},
            "rounds": [
                {
                    **msgspec.to_builtins(one.told),
                    **one.used._asdict(),
                    "notes": [*one.limits, *one.troubles],
                }
                for one in self.rounds
            ],
            "notes": self.notes,
        }


FIGURES: dict[str, tuple[Callable[[Round], float | None], str]] = {
    "p50 ms": (lambda one: one.told.heard.p50, "{:.1f}"),
    "p95 ms": (lambda one: one.told.heard.p95, "{:.1f}"),
    "p99 ms": (lambda one: one.told.heard.p99, "{:.1f}"),
    "deliveries/s": (lambda one: one.deliveries_per_s, "{:,.0f}"),
    "CPU s/1,000": (lambda one: one.cpu_s_per_thousand, "{:.4f}"),
    "server": (lambda one: one.server_share, "{:.0%}"),
    "load": (lambda one: one.load_share, "{:.0%}"),
    "MB": (lambda one: one.used.rss_bytes / 1e6, "{:.0f}"),
}
"""What is shown of a row, and how."""
COMPARED = "p50 ms", "p95 ms", "p99 ms", "CPU s/1,000", "MB"
"""Less is better."""


def shown(rows: Sequence[Row]) -> str:
    """A table, what is to be said of its rows, and how Collab stands to the best peer."""
    head = "", *FIGURES
    lines = [
        (f"{row.workload.name}: {row.server}", *(_cell(row, name) for name in FIGURES))
        for row in rows
    ]
    notes = [f"{row.workload.name}: {row.server}: {note}" for row in rows for note in row.notes]
    return "\n".join([table(head, lines), *notes, *_against_peers(rows)])


def _cell(row: Row, name: str) -> str:
    figure, form = FIGURES[name]
    value = row.middle(figure)
    return "-" if value is None else form.format(value)


def _against_peers(rows: Iterable[Row]) -> list[str]:
    by_workload: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_workload.setdefault(row.workload.name, {})[row.server] = row
    return [
        f"{name}: collab to the best peer: {', '.join(told)}"
        for name, servers in by_workload.items()
        if (told := _ratios(servers))
    ]


def _ratios(servers: dict[str, Row]) -> list[str]:
    """Collab's figures to those of the best peer that does what it was asked to."""
    told = []
    for name in COMPARED:
        figure, _ = FIGURES[name]
        ours = servers["collab"].middle(figure) if "collab" in servers else None
        peers = [
            (value, server)
            for server, row in servers.items()
            if server != "collab" and row.keeps_up and (value := row.middle(figure)) is not None
        ]
        if ours is not None and peers:
            best, server = min(peers)
            told.append(f"{name} {ratio(ours, best)} ({server})")
    return told
