"""An SQLite database.

A write is a function of a plain connection that runs as one transaction in one hop to the writing
thread: on SQLite a transaction whose every statement hops costs three times as much, and there is
only one writer at a time anyway. What is committed is brought to the disk in a thread of its own
(`wal`), while the next transaction runs. A reading that every handshake needs goes the same way, to
threads of its own (`look_up`); other readings go through SQLAlchemy's async engine (`read`).
"""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import StaticPool

from collab.errors import Misconfigured
from collab.storage.flushing import Committed
from collab.storage.migrations import MIGRATIONS, migrate_sqlite
from collab.storage.sharing import in_use
from collab.storage.wal import MAX_FRAMES, WriteAheadLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

log = structlog.get_logger(__name__)

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
BUSY_PAUSE_S = 0.002
READING_THREADS = 2
REOPEN_TIMEOUT_S = 30.0


class SQLiteDatabase:
    """An SQLite database in WAL mode, used by this process alone or, if it is shared, by several of
    this machine: SQLite lets one write at a time, and the others wait.

    SQLite goes on writing into a file that was moved or deleted. So each use looks first whether
    the file is still there, and each commit once more before it counts: without its file the
    database fails as any other that does not answer, and it serves again when the file is back. One
    that was put in its place is opened anew, after all connections to the old one are closed.
    """

    def __init__(self, path: Path, *, shared: bool = False, beside: bool = False) -> None:
        self.path = path
        self._shared = shared
        self._beside = beside
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="collab-writer")
        self._readers = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="collab-reader")
        self._lock: IO[str] | None = None
        self._engines: _Engines | None = None
        self._uses = 0
        self._unused = asyncio.Event()
        self._reopening = asyncio.Lock()

    @property
    def name(self) -> str:
        return str(self.path)

    async def start(self) -> None:
        if self._beside:
            if not self.path.exists():
                raise Misconfigured(f"there is no database at {self.path}")
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.path, shared=self._shared)
            self.path.touch()
        self._engines = _Engines(self.path)

    async def migrate(self, migrations: Path = MIGRATIONS) -> None:
        await asyncio.to_thread(migrate_sqlite, self.path, migrations)

    async def close(self) -> None:
        engines, self._engines = self._engines, None
        if engines is not None:
            await self._disconnect(engines)
        self._readers.shutdown(wait=True)
        self._thread.shutdown(wait=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        engines = await self._use()
        try:
            async with engines.reading.connect() as connection:
                yield connection
        finally:
            self._used()

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        engines = await self._use()
        return await self._run(self._readers, _reading, engines.looking, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        done, flush = await self.commit(work)
        await flush()
        return done

    async def commit(self, work: Callable[[Connection], T]) -> Committed[T]:
        engines = await self._use()
        done = await self._run(self._thread, engines.transaction, work)
        return Committed(done, engines.flush)

    def _run(
        self, threads: ThreadPoolExecutor, call: Callable[..., T], *args: object
    ) -> asyncio.Future[T]:
        """The use ends when the thread is done, whether somebody still waits for it or not."""
        running = asyncio.get_running_loop().run_in_executor(threads, call, *args)
        running.add_done_callback(self._used)
        return asyncio.shield(running)

    # -- The file -----------------------------------------------------------------------------

    async def _use(self) -> _Engines:
        """The engines on the file that is there now. Raises `DisconnectionError` if none is."""
        assert self._engines is not None, "the database is not started"
        if not self._engines.on_file():
            async with self._reopening:
                if not self._engines.on_file():
                    await self._reopen()
        self._uses += 1
        return self._engines

    def _used(self, _running: object = None) -> None:
        self._uses -= 1
        self._unused.set()

    async def _reopen(self) -> None:
        """Leave the old file altogether before the new one is opened: they share side files."""
        assert self._engines is not None
        if not self.path.exists():
            raise _gone()
        try:
            async with asyncio.timeout(REOPEN_TIMEOUT_S):
                while self._uses:
                    self._unused.clear()
                    await self._unused.wait()
        except TimeoutError:
            raise DisconnectionError("the database file that was replaced is in use yet") from None
        log.warning("the database file was replaced; opening it anew")
        await self._disconnect(self._engines)
        self._engines = _Engines(self.path)

    async def _disconnect(self, engines: _Engines) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(engines.log.close)
        await engines.reading.dispose()
        await loop.run_in_executor(self._readers, engines.looking.dispose)
        await loop.run_in_executor(self._thread, engines.writing.dispose)


class _Engines:
    """The ways to one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _identity(path)
        self.log = WriteAheadLog(path)
        # Never made anew by a connection: an empty file in its place would hide that it is gone.
        database = f"file:{quote(str(path))}"
        url = URL.create("sqlite", database=database, query={"mode": "rw", "uri": "true"})
        self.writing = create_engine(
            url,
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
            hide_parameters=True,  # titles and names reach no log
        )
        self.looking = create_engine(
            url,
            pool_size=READING_THREADS,
            connect_args={"check_same_thread": False},
            hide_parameters=True,
        )
        self.reading = create_async_engine(
            url.set(drivername="sqlite+aiosqlite"), hide_parameters=True
        )
        event.listen(self.writing, "connect", _set_up_connection)
        event.listen(self.writing, "connect", _set_up_writing)
        event.listen(self.writing, "begin", _begin_immediate)
        for reading in (self.looking, self.reading.sync_engine):
            event.listen(reading, "connect", _set_up_connection)
            event.listen(reading, "begin", _begin)

    def on_file(self) -> bool:
        return _identity(self._path) == self._file is not None

    def transaction(self, work: Callable[[Connection], T]) -> T:
        with self.writing.begin() as connection:
            done = work(connection)
        self.log.committed()
        self._check_file()
        return done

    async def flush(self) -> None:
        await self.log.flush()
        self._check_file()

    def _check_file(self) -> None:
        if not self.on_file():  # what was committed may be in a file that nobody can reach
            raise _gone()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _gone() -> DisconnectionError:
    return DisconnectionError("the database file is gone")


def _reading(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return work(connection)


def _set_up_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event begins, not the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")  # first: the next may have to wait
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")  # a commit does not wait for the disk: `wal` does
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")  # what is read until the end belongs together


def _set_up_writing(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=0")  # `_begin_immediate` waits
    connection.execute(f"PRAGMA wal_autocheckpoint={MAX_FRAMES}")


def _begin_immediate(connection: Connection) -> None:
    """Wait for another writer, and look often: SQLite would look ever more seldom, in the end every
    100 ms, where a commit takes a few.
    """
    raw: Any = connection.connection.dbapi_connection  # SQLAlchemy's way costs more than all else
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise OperationalError("BEGIN IMMEDIATE", None, error) from error
            time.sleep(BUSY_PAUSE_S)
        else:
            return


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the rest tells more


def _lock(path: Path, *, shared: bool) -> IO[str]:
    """Hold the file for this process, alone or with others that share it."""
    lock = path.with_name(f"{path.name}.lock").open("w")
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise Misconfigured(in_use(str(path), shared=shared)) from None
    return lock
