"""PostgreSQL databases for tests, on a server of our own."""

from __future__ import annotations

import itertools
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from collab.storage.database import database_at
from collab.storage.tables import metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.postgres import PostgresServer

# A language's order, which is not that of the code points.
LOCALE = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"

CUT_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


class Postgres:
    """A test may stop the server and start it again: nobody else uses it meanwhile."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._numbers = itertools.count(1)
        self._used: str | None = None

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of a database whose tables are empty. To make one takes long: it is kept."""
        if self._used is None or not self._emptied(self._used):
            self._used = self._create()
            database = database_at(self.server.url(self._used))
            await database.migrate()
            await database.close()
        try:
            yield self.server.url(self._used)
        finally:
            self.server.start()  # if the test failed while it was stopped

    @asynccontextmanager
    async def without_tables(self) -> AsyncIterator[str]:
        """The URL of a new database."""
        name = self._create()
        try:
            yield self.server.url(name)
        finally:
            self.server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def cut_connections(self) -> None:
        """End all of them, as an administrator may at any time."""
        self.server.execute(CUT_CONNECTIONS)

    def _create(self) -> str:
        name = f"test_{next(self._numbers)}"
        self.server.execute(f"CREATE DATABASE {name} TEMPLATE template0 {LOCALE}")
        return name

    def _emptied(self, name: str) -> bool:
        """False if its tables are not as they were: a test failed while it had altered them."""
        emptying = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)]
        try:
            self.server.execute("; ".join([CUT_CONNECTIONS, *emptying]), database=name)
        except subprocess.CalledProcessError:
            return False
        return True
