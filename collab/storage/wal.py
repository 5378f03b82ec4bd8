"""The write-ahead log of an SQLite file, as far as this server looks after it itself.

With `synchronous=NORMAL`, a commit is a write to the log: the operating system has it, whatever
becomes of this process. Here the log is brought to the disk, once for all commits that wait for it,
and moved into the database file when it has grown. Both are done in a thread of their own, so that
commits go on meanwhile, however long the disk takes.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sqlalchemy.exc import DisconnectionError

if TYPE_CHECKING:
    from pathlib import Path

CHECKPOINT_FRAMES = 4_000
"""How long the log may become, in pages of the database, before it is moved into its file. The
first commit after that begins the log anew, and waits for the disk.
"""

MAX_FRAMES = 4 * CHECKPOINT_FRAMES
"""How long it may become where commits come too fast for that, before they wait for it."""

BUSY_TIMEOUT_S = 5.0

sync = getattr(os, "fdatasync", os.fsync)  # macOS has but the latter


class WriteAheadLog:
    """One file's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="collab-flusher")
        self._connection: sqlite3.Connection | None = None
        self._committed = 0
        self._flushed = 0
        self._in_doubt = False
        self._closed = False

    def committed(self) -> None:
        """A transaction was committed, by the one thread that does so."""
        self._committed += 1

    async def flush(self) -> None:
        """Return when all that was committed is on the disk: a `Flush`."""
        if self._closed:
            raise DisconnectionError("the database file was closed before all was on the disk")
        loop = asyncio.get_running_loop()
        await asyncio.shield(loop.run_in_executor(self._thread, self._flush, self._committed))

    def close(self) -> None:
        """Wait for what runs. The database is closed after this: it brings the rest to the disk."""
        self._closed = True
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- In the thread ------------------------------------------------------------------------

    def _flush(self, wanted: int) -> None:
        if self._flushed >= wanted:
            return  # an earlier call has waited for it
        reached = self._committed
        log = os.open(self._log, os.O_RDONLY)
        try:
            self._sync(log)
            self._flushed = reached
            if is_longer_than(CHECKPOINT_FRAMES, log):
                self._checkpoint("PASSIVE")
        finally:
            os.close(log)

    def _sync(self, log: int) -> None:
        """Raises `OSError`. What could not be written once may be taken for written ever after: it
        is on the disk for sure when all of it was moved into the database file.
        """
        if self._in_doubt:
            if not self._checkpoint("TRUNCATE"):
                raise OSError("the write-ahead log could not be brought to the disk")
        else:
            self._in_doubt = True
            sync(log)
        self._in_doubt = False

    def _checkpoint(self, mode: str) -> bool:
        """Whether all of the log was moved, which others who use the file may prevent."""
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        try:
            cursor = self._connection.execute(f"PRAGMA wal_checkpoint({mode})")
        except sqlite3.Error as error:
            raise OSError(str(error)) from error
        is_busy, _, _ = cursor.fetchone()
        return not is_busy


def is_longer_than(frames: int, log: int) -> bool:
    """Whether the log has more frames since it was begun anew: then the next one bears the numbers
    that its head does (https://sqlite.org/walformat.html).
    """
    head = os.pread(log, 24, 0)
    page = int.from_bytes(head[8:12])
    frame = os.pread(log, 16, 32 + frames * (24 + page))
    return len(frame) == 16 and frame[8:16] == head[16:24]
