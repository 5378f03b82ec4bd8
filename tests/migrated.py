"""A database as the migrations make it: made once in a process, copied wherever one is needed."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from collab.storage.migrations import migrate_sqlite


@cache
def _made() -> bytes:
    with tempfile.TemporaryDirectory(prefix="collab-migrated-") as folder:
        path = Path(folder) / "made.db"
        migrate_sqlite(path)
        return path.read_bytes()


def begin(path: Path) -> None:
    """Put one at `path`, if none is there. Whoever opens it finds nothing to migrate."""
    if not path.exists():
        path.write_bytes(_made())


def begin_in(data_dir: Path) -> None:
    """The one that a server has in its data directory, unless it is told otherwise."""
    data_dir.mkdir(parents=True, exist_ok=True)
    begin(data_dir / "collab.db")
