"""The database, whichever it is: what the code above relies on.

A transaction is given as a function of a plain connection, which SQLite runs in a thread, in one
hop, and PostgreSQL in the event loop. So it only talks to the database: what takes the processor
long is done before or after it, or the event loop stands still meanwhile.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from sqlalchemy import make_url

from collab.errors import Misconfigured
from collab.storage.migrations import MIGRATIONS
from collab.storage.postgres import PostgresDatabase
from collab.storage.sqlite import SQLiteDatabase

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from collab.storage.flushing import Committed

T = TypeVar("T")


class Database(Protocol):
    """A database that this server uses alone, since it orders by itself and two would not; or that
    servers share whose order Redis gives.

    Whatever fails of it, or of the way to it, is an `SQLAlchemyError`: a `DisconnectionError` if it
    is not there at all. It serves again by itself when it is back.
    """

    @property
    def name(self) -> str:
        """For people; it holds no password."""

    async def start(self) -> None:
        """Connect. Raises `Misconfigured` when another server uses it, and either of them means to
        use it alone.
        """

    async def migrate(self, migrations: Path = MIGRATIONS) -> None:
        """Bring the tables to this version, all of it or nothing. Several servers take turns."""

    async def close(self) -> None:
        """Wait for what runs, then disconnect. May be called twice."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection that only reads: what it reads until the end belongs together."""

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads; what it reads belongs together."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction, commit it, and return when it is on the disk. No two of
        this server run at once, even if one was given up without an answer; those of others may, on
        PostgreSQL.

        A cancelled caller does not undo it: once begun, the transaction ends on its own. If it
        fails before the commit, it may begin anew: only what `work` returns last counts.
        """

    async def commit(self, work: Callable[[Connection], T]) -> Committed[T]:
        """The same, but return as soon as it holds, though it may not be on the disk."""


def database_at(url: str, *, shared: bool = False, beside: bool = False) -> Database:
    """The database that a URL names; it is not connected yet. Raises `Misconfigured`.

    With `shared`, other servers use it too that say so. With `beside`, it is there already, and
    whoever uses it need not know: for what orders nothing and saves no document.
    """
    scheme, _, rest = url.partition("://")
    backend = scheme.partition("+")[0]
    if backend in {"postgresql", "postgres"}:
        return PostgresDatabase(f"postgresql://{rest}", shared=shared, beside=beside)
    if backend == "sqlite" and (path := make_url(url).database) not in {None, "", ":memory:"}:
        return SQLiteDatabase(Path(path), shared=shared, beside=beside)
    raise Misconfigured(
        "COLLAB_DATABASE_URL must be sqlite:///path or postgresql://user:password@host/database"
    )
