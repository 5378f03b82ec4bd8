"""What a server has counted since it started, in plain numbers: counting costs next to nothing.

All of it is counted in the event loop's thread. `api.metrics` shows it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field


class Histogram:
    """How many values there were up to each bound, and above the last; and their sum."""

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.numbers = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.numbers[bisect_left(self.bounds, value)] += 1
        self.sum += value


_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(slots=True)
class Counts:
    """One server's."""

    pushes: Counter[str] = field(default_factory=lambda: Counter(ordered=0))
    """What became of them: `ordered`, or the code of the refusal."""
    updates: int = 0
    """Those that took effect."""
    deliveries: int = 0
    """Updates, times the sessions that they were sent to."""
    readings: int = 0
    """Documents that were read from the database to be open here, each time."""
    handshakes: Counter[int] = field(default_factory=lambda: Counter({101: 0}))
    """By the status that they were answered with."""
    closes: Counter[int] = field(default_factory=Counter)
    """Sessions that ended, by the close code, whoever sent it."""
    commit_seconds: Histogram = field(default_factory=lambda: Histogram(*_SECONDS))
    commit_pushes: Histogram = field(
        default_factory=lambda: Histogram(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
    )
    failed_commits: int = 0
    flush_seconds: Histogram = field(default_factory=lambda: Histogram(*_SECONDS))
    """How long what was committed waited for the disk."""
    failed_flushes: int = 0
    repairs: Counter[str] = field(
        default_factory=lambda: Counter(settled=0, put_back=0, adrift=0, ordered_again=0)
    )
    """Of the order of many servers: pushes whose fate was settled, pushes that Redis had lost and
    that were put back, rooms that were adrift, and pushes of theirs that were ordered again."""
    upkeep: Counter[str] = field(default_factory=lambda: Counter(snapshot=0, merge=0, failure=0))
    """Work that was done, by its kind."""
