"""A PostgreSQL database."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import asyncpg
import structlog
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from collab.errors import Misconfigured
from collab.storage.flushing import Committed, flushed
from collab.storage.migrations import MIGRATIONS, upgrade
from collab.storage.sharing import in_use

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

log = structlog.get_logger(__name__)

T = TypeVar("T")

READING_CONNECTIONS = 8
CONNECT_TIMEOUT_S = 5.0
POOL_TIMEOUT_S = 15.0

LOCK_TIMEOUT_S = 3.0
"""How long to wait until a connection that is lost, or a server that has ended, lets go of it."""

STATEMENT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 12.0
"""How long to wait for PostgreSQL, which ends a statement itself before that if it can."""

# Advisory locks, whose numbers mean something to those only who use this database.
SERVING_LOCK = int.from_bytes(b"collab 1")
MIGRATING_LOCK = int.from_bytes(b"collab 2")

_SESSION = {
    "application_name": "collab",
    "client_encoding": "utf8",
    "synchronous_commit": "on",  # what is committed is on the disk: "saved" is true
    "statement_timeout": f"{STATEMENT_TIMEOUT_S:.0f}s",
    "idle_in_transaction_session_timeout": f"{STATEMENT_TIMEOUT_S:.0f}s",
    "jit": "off",  # no statement here takes as long as it takes to compile one
    # A connection whose other end is gone without a word lets go of its locks within half a minute.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


class _Lock(NamedTuple):
    """An advisory lock, and why it may be that it cannot be had."""

    statement: str
    refusal: str


_ALONE = _Lock(f"SELECT pg_advisory_lock({SERVING_LOCK})", in_use("this database", shared=False))
_SHARED = _Lock(
    f"SELECT pg_advisory_lock_shared({SERVING_LOCK})", in_use("this database", shared=True)
)


def _own_lock() -> _Lock:
    """One that no other server knows."""
    number = secrets.randbits(63)
    return _Lock(
        f"SELECT pg_advisory_lock({number})",
        "PostgreSQL has not ended this server's last connection yet",
    )


class PostgresDatabase:
    """A PostgreSQL database, used by this server alone or, if it is shared, by several.

    All writes go through one connection, which holds advisory locks for as long as it lives. Where
    it is lost, nothing is written before a new one holds them: a commit that was given up is over
    then, and if the server uses the database alone and another one took it meanwhile, writes fail.
    """

    def __init__(self, url: str, *, shared: bool = False, beside: bool = False) -> None:
        self._url = url
        self._locks: tuple[_Lock, ...] = (_own_lock(), _SHARED) if shared else (_ALONE,)
        if beside:
            self._locks = ()
        # Writes follow one another, as on SQLite: the pool is their queue.
        self._writing = _engine(self._connect_and_lock, **_pool(1))
        self._reading = _engine(
            partial(_connect, url),
            execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
            **_pool(READING_CONNECTIONS),
        )
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def name(self) -> str:
        return f"postgresql://{self._url.partition('?')[0].rpartition('@')[2].rpartition('//')[2]}"

    async def start(self) -> None:
        try:
            async with self._writing.connect() as connection:
                encoding = await connection.scalar(text("SHOW server_encoding"))
        except _Locked as error:
            raise Misconfigured(str(error)) from None
        if encoding != "UTF8":
            raise Misconfigured(f"the database's encoding must be UTF8 and is {encoding}")

    async def migrate(self, migrations: Path = MIGRATIONS) -> None:
        """On a connection of its own: a migration may take long."""
        no_limit = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
        patient = {**_SESSION, **no_limit}
        connect = partial(_connect, self._url, command_timeout=None, server_settings=patient)
        engine = _engine(connect, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(MIGRATING_LOCK)))
            await connection.run_sync(upgrade, migrations)

    async def close(self) -> None:
        while self._running:
            await asyncio.wait(self._running)  # each has its time limits
        await self._reading.dispose()
        await self._writing.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._reading.connect() as connection:
            yield connection

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        return await self._run(self._reading, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        return (await self.commit(work)).done

    async def commit(self, work: Callable[[Connection], T]) -> Committed[T]:
        return Committed(await self._run(self._writing, work), flushed)

    async def _run(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        """Whether somebody still waits for it or not: a statement that is cancelled costs its
        connection.
        """
        running = asyncio.create_task(_transaction(engine, work), name="transaction")
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return await asyncio.shield(running)

    async def _connect_and_lock(self) -> asyncpg.Connection:
        connection = await _connect(self._url)
        try:
            for lock in self._locks:
                await _hold(connection, lock)
        except BaseException:
            connection.terminate()
            raise
        return connection


async def _transaction(engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
    """Where the connection turns out to be lost before the commit, it begins anew, once: so it is
    found out, and nothing need be asked before.
    """
    lost = False
    while True:
        async with engine.connect() as connection:
            try:
                done = await connection.run_sync(work)
            except DisconnectionError:
                if lost:
                    raise
                lost = True
                continue
            await connection.commit()
            return done


# -- Connections ---------------------------------------------------------------------------------

FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class _Locked(DisconnectionError):
    """Another connection holds a lock."""


async def _hold(connection: asyncpg.Connection, lock: _Lock) -> None:
    """Hold a lock for as long as the connection lives."""
    try:
        await connection.execute(lock.statement, timeout=LOCK_TIMEOUT_S)
    except TimeoutError:
        log.error(lock.refusal)  # noqa: TRY400 - there is no more to tell
        raise _Locked(lock.refusal) from None
    except FAILURES as error:
        raise _no_connection(error) from error


async def _connect(url: str, **other: Any) -> asyncpg.Connection:
    """Raises `DisconnectionError`; `Misconfigured` if the URL cannot be understood."""
    options = {
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": ANSWER_TIMEOUT_S,
        "server_settings": _SESSION,
        **other,
    }
    try:
        return await asyncpg.connect(url, **options)
    except ValueError as error:
        raise Misconfigured(f"COLLAB_DATABASE_URL: {error}") from error
    except FAILURES as error:
        raise _no_connection(error) from error


def _no_connection(error: BaseException) -> DisconnectionError:
    return DisconnectionError(f"no connection to PostgreSQL: {str(error) or type(error).__name__}")


# -- Engines -------------------------------------------------------------------------------------


def _engine(connect: Callable[[], Awaitable[asyncpg.Connection]], **options: Any) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        hide_parameters=True,  # titles and names reach no log
        **options,
    )
    event.listen(engine.sync_engine, "handle_error", _tell_of_loss, retval=True)
    return engine


def _pool(size: int) -> dict[str, Any]:
    return {"pool_size": size, "max_overflow": 0, "pool_timeout": POOL_TIMEOUT_S}


def _tell_of_loss(context: ExceptionContext) -> DisconnectionError | None:
    """What is no error of PostgreSQL's is one of the way to it: its connections are given up."""
    error = context.original_exception
    if not isinstance(error, Exception):
        return None  # a cancellation stays one
    if not context.is_disconnect and not isinstance(error, OSError):
        return None
    context.is_disconnect = context.invalidate_pool_on_disconnect = True
    return _no_connection(error)
