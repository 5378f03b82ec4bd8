"""`collab serve`, which counts its own memory whenever it is told to (SIGUSR1).

    python -m bench.census FILE [--trace]

Each census is a line of JSON at the end of the file. With `--trace` the later ones also tell what
each line of code has allocated since the first, and more memory is taken by the tracing itself.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import signal
import sys
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

from collab import cli

Counted: TypeAlias = dict[str, tuple[int, int]]
"""By a name: how many, and how many bytes together."""


def census() -> dict[str, Any]:
    """The process's memory, from the outside to the inside, in bytes; while tracing its lines."""
    if tracemalloc.is_tracing():
        return {"lines": allocated_by_line()}
    rss = resident()
    gc.collect()
    return {"resident": rss, "arenas": arenas(), **heap(), "objects": objects(), "lines": {}}


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def arenas() -> int:
    """What Python holds for objects of up to 512 bytes."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        found = re.search(rb"(\d+) arenas \* (\d+) bytes/arena", file.read())
    assert found, "this Python tells its arenas in another way"
    return int(found[1]) * int(found[2])


class _Mallinfo2(ctypes.Structure):
    """glibc's, all of type size_t."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def heap() -> dict[str, int]:
    """What glibc's malloc has handed out, and what it holds beside. Larger objects of Python are
    there, and everything of libraries in C.
    """
    tell = ctypes.CDLL(None).mallinfo2
    tell.restype = _Mallinfo2
    found = tell()
    return {"malloc": found.uordblks + found.hblkhd, "malloc_free": found.fordblks}


def objects() -> Counted:
    """Those that came since the start, by their types. One that several refer to counts once."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    # What was there when the server started is frozen, and no longer listed.
    left: list[Any] = gc.get_objects()
    seen = {id(left), id(counts), id(sizes)}
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        kind = f"{type(each).__module__}.{type(each).__qualname__}".removeprefix("builtins.")
        counts[kind] += 1
        sizes[kind] += sys.getsizeof(each)
        # Whatever is tracked is listed already.
        left += [other for other in gc.get_referents(each) if not gc.is_tracked(other)]
    return {kind: (counts[kind], sizes[kind]) for kind in counts}


def allocated_by_line() -> Counted:
    found: Counted = {}
    for each in tracemalloc.take_snapshot().statistics("lineno"):
        frame = each.traceback[0]
        found[f"{_short(frame.filename)}:{frame.lineno}"] = each.count, each.size
    return found


def _short(filename: str) -> str:
    return re.sub(r".*/(site-packages|lib/python3\.\d+|(?=collab/))/?", "", filename)


def main() -> int:
    path, traced = Path(sys.argv[1]), "--trace" in sys.argv

    def count(*_: object) -> None:
        line = json.dumps(census())
        if traced and not tracemalloc.is_tracing():
            tracemalloc.start()
        with path.open("a") as file:
            file.write(line + "\n")

    signal.signal(signal.SIGUSR1, count)
    return cli.main(["serve"])


if __name__ == "__main__":
    sys.exit(main())
