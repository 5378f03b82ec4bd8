"""Processes as Linux sees them: which core they run on, what they may open, what they use."""

from __future__ import annotations

import os
import resource
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def open_all_files() -> None:
    """Let this process, and what it starts, have as many files open as it may ask for."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Tree:
    """A process and everything that it has started, as long as these live."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @property
    def cpu_s(self) -> float:
        """Processor seconds of the user and of the system, to the microsecond."""
        used = 0.0
        for each in _family(self.pid):
            with suppress(OSError):  # ended since
                used += time.clock_gettime(_cpu_clock(each))
        return used

    @property
    def rss_bytes(self) -> int:
        """Resident memory. What several of them share counts once for each."""
        sizes = 0
        for each in _family(self.pid):
            with suppress(OSError):
                sizes += _rss_bytes(each)
        return sizes


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


def _cpu_clock(pid: int) -> int:
    """The clock of all its threads, as clock_getcpuclockid(3) makes its name."""
    return (~pid << 3) | 2


def _rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
