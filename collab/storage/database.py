"""The connection to the database.

A write is a function of a plain connection that runs as one transaction in one hop to the writing
thread: on SQLite a transaction whose every statement hops costs three times as much, and there is
only one writer at a time anyway. A reading that every handshake needs goes the same way, to threads
of its own (`look_up`); other readings go through SQLAlchemy's async engine (`read`).
"""

from __future__ import annotations

import asyncio
import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from collab.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
READING_THREADS = 2


class Database:
    """An SQLite database in WAL mode, used by this server alone."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
            raise Misconfigured("COLLAB_DATABASE_URL must name an SQLite file: sqlite:///path")
        assert parsed.database is not None
        self.path = Path(parsed.database)
        self._sync_url = parsed.set(drivername="sqlite+pysqlite")
        self._async_url = parsed.set(drivername="sqlite+aiosqlite")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="collab-writer")
        self._readers = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="collab-reader")
        self._writing: Engine | None = None
        self._looking: Engine | None = None
        self._reading: AsyncEngine | None = None
        self._lock: IO[str] | None = None

    async def start(self) -> None:
        """Connect. Raises `Misconfigured` when another server uses the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.path)
        self._writing = create_engine(
            self._sync_url,
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
            hide_parameters=True,  # titles and names reach no log
        )
        self._looking = create_engine(
            self._sync_url,
            pool_size=READING_THREADS,
            connect_args={"check_same_thread": False},
            hide_parameters=True,
        )
        self._reading = create_async_engine(self._async_url, hide_parameters=True)
        event.listen(self._writing, "connect", _set_up_connection)
        event.listen(self._writing, "begin", _begin_immediate)
        for reading in (self._looking, self._reading.sync_engine):
            event.listen(reading, "connect", _set_up_connection)
            event.listen(reading, "begin", _begin)

    async def close(self) -> None:
        """Wait for the write that runs, then disconnect. May be called twice."""
        if self._reading is not None:
            await self._reading.dispose()
            self._reading = None
        self._readers.shutdown(wait=True)
        if self._looking is not None:
            self._looking.dispose()
            self._looking = None
        if self._writing is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._writing.dispose)
            self._writing = None
        self._thread.shutdown(wait=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        assert self._reading is not None, "the database is not started"
        return self._reading.connect()

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, in one hop to a reading thread."""
        assert self._looking is not None, "the database is not started"
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, _reading, self._looking, work
        )

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction in the writing thread and commit it.

        A cancelled caller does not undo it: once begun, the transaction ends on its own.
        """
        assert self._writing is not None, "the database is not started"
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, _transaction, self._writing, work
        )


def _transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _reading(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return work(connection)


def _set_up_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event begins, not the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")  # first: the next may have to wait
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")  # what is read until the end belongs together


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _lock(path: Path) -> IO[str]:
    """Hold the file for this process: one server orders by itself, and two would not."""
    lock = Path(f"{path}.lock").open("w")  # noqa: SIM115 - held while the server runs
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise Misconfigured(
            f"another server uses {path}; several servers need COLLAB_REDIS_URL"
        ) from None
    return lock
