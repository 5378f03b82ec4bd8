"""Processes as Linux sees them: which core they run on, what they use."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started in here runs on this core alone, for good; this process does meanwhile."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Tree:
    """A process and everything that it has started, as long as these live."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @property
    def cpu_s(self) -> float:
        """Processor seconds of the user and of the system, in steps of a hundredth."""
        return (
            sum(int(ticks) for each in _family(self.pid) for ticks in _after_name(each)[11:13])
            / _TICKS_PER_S
        )

    @property
    def rss_bytes(self) -> int:
        """Resident memory. What several of them share counts once for each."""
        return sum(_rss_bytes(each) for each in _family(self.pid))


def _family(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended since
            each = int(folder.name)
            children.setdefault(int(_after_name(each)[1]), []).append(each)
    found = [pid]
    for each in found:  # grows
        found += children.get(each, ())
    return found


def _after_name(pid: int) -> list[str]:
    """What `stat` tells after the name, which may hold anything: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
