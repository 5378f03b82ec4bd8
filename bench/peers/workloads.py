"""What the servers are asked to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.peers.servers import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EVERYBODY = 10, 50, 100, 200, 500, 1_000
"""So many typists at once, where nothing else is asked for."""


@dataclass(frozen=True)
class Workload:
    """So many typists and readers in each of the documents; rates are those of one typist."""

    name: str
    typists: int
    readers: int = 0
    documents: int = 1
    per_second: float = 5.0
    presence_hz: float = 0.0
    servers: tuple[str, ...] = NAMES
    """Those that can do it."""

    @property
    def editors(self) -> int:
        return self.documents * (self.typists + self.readers)

    def is_more_than(self, other: Workload) -> bool:
        """Whether who cannot do the other one cannot do this one either."""
        alike = replace(self, name=other.name, typists=other.typists) == other
        return alike and self.typists > other.typists

    @property
    def keys_per_s(self) -> float:
        return self.documents * self.typists * self.per_second


def two(_: Sequence[int]) -> list[Workload]:
    """Fast typists, so that there are keys enough for a p99."""
    return [Workload("two editors", typists=2, per_second=10)]


def typists(everybody: Sequence[int]) -> list[Workload]:
    """Many in one document."""
    return [Workload(f"{count} typists", typists=count) for count in everybody]


def readers(_: Sequence[int]) -> list[Workload]:
    """A lecture."""
    return [Workload("1 typist, 1,500 readers", typists=1, readers=1_500)]


def rooms(_: Sequence[int]) -> list[Workload]:
    """A company."""
    return [Workload("200 documents of two", typists=2, documents=200)]


def presence(_: Sequence[int]) -> list[Workload]:
    """Cursors that move beside the typing, and the same without them."""
    still = Workload("200 typists", typists=200, servers=("collab",))
    return [still, replace(still, name="200 typists, cursors at 10 Hz", presence_hz=10)]


WORKLOADS: dict[str, Callable[[Sequence[int]], list[Workload]]] = {
    make.__name__: make for make in (two, typists, readers, rooms, presence)
}
