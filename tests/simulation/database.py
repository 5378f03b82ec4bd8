"""One database of all servers: real tables and statements, in memory, with faults as they are.

A transaction is asked for over the network, done at one moment, and answered. It may fail before it
is done, or its answer may be lost: then it was done, or is done a little later, or never.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.pool import StaticPool

from collab.storage import history
from collab.storage.flushing import Committed, flushed
from collab.storage.migrations import MIGRATIONS
from collab.storage.tables import metadata

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.simulation.loop import Future, Machine

T = TypeVar("T")

ANSWER_S = 12.0
LATE_S = 4.0
"""How long after its answer was given up a transaction may still be done."""


class Failing(OperationalError):
    """The statement failed."""

    def __init__(self) -> None:
        super().__init__("COMMIT", {}, RuntimeError("simulated"))


class Tables:
    """The tables in memory: one engine for all runs, begun anew in each."""

    def __init__(self) -> None:
        self._engine: Engine = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        event.listen(self._engine, "connect", _no_driver_transactions)
        event.listen(self._engine, "begin", _begin)
        with self._engine.begin() as connection:
            metadata.create_all(connection)
        raw: Any = self._engine.raw_connection().dbapi_connection
        self._raw = raw
        self._empty: bytes = raw.serialize()

    def clear(self) -> None:
        self._raw.deserialize(self._empty)

    def saved(self, document_id: str) -> tuple[int, str]:
        """A document's saved revision and mark, past all engines: it is asked for often."""
        statement = "SELECT saved_revision, saved_mark FROM documents WHERE id = ?"
        found: tuple[int, str] = self._raw.execute(statement, (document_id,)).fetchone()
        return found

    def transaction(self, work: Callable[[Connection], T], *, commit: bool = True) -> T:
        with self._engine.connect() as connection:
            done = work(connection)
            if commit:
                connection.commit()
            return done


def _no_driver_transactions(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


_tables: list[Tables] = []


def tables() -> Tables:
    if not _tables:
        _tables.append(Tables())
    return _tables[0]


class DatabaseServer:
    """What all servers share. Faults are set from outside."""

    def __init__(self, machine: Machine, rng: random.Random) -> None:
        self.machine = machine
        self.random = rng
        self.tables = tables()
        self.tables.clear()
        self.down = False
        """It refuses at once."""
        self.hanging = False
        """It does not answer."""
        self.usual_s = self.slow_s = 0.0
        self.failing = 0.0
        """How often a write fails, with whatever consequence."""
        self.late_commits = False
        """Whether what had no answer may be done later."""

    def recover(self) -> None:
        self.down = self.hanging = False
        self.slow_s, self.failing = self.usual_s, 0.0

    def text(self, document_id: str) -> str:
        """A document's text, for those who look at it from outside."""
        _, mark = self.tables.saved(document_id)
        read = self.tables.transaction(
            lambda connection: history._read_end(connection, document_id), commit=False
        )
        saved = history._restore(*read)
        assert saved.end.mark == mark
        return str(saved.text)


class SimulatedDatabase:
    """The database as one server has it."""

    name = "simulated"

    def __init__(self, machine: Machine, server: DatabaseServer) -> None:
        self._machine = machine
        self._server = server
        self._writing: asyncio.Lock | None = None

    async def start(self) -> None: ...

    async def migrate(self, migrations: Path = MIGRATIONS) -> None: ...

    async def close(self) -> None: ...

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        assert not self.name, "nobody reads like this here"
        yield None  # type: ignore[misc]

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        done: T = await self._ask(work, writing=False)
        return done

    async def write(self, work: Callable[[Connection], T]) -> T:
        """No two of one server run at once."""
        running = self._machine.create_task(self._write(work), name="transaction")
        running.add_done_callback(_heard)
        done: T = await asyncio.shield(running)
        return done

    async def commit(self, work: Callable[[Connection], T]) -> Committed[T]:
        return Committed(await self.write(work), flushed)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        if self._writing is None:
            self._writing = asyncio.Lock()
        async with self._writing:
            done: T = await self._ask(work, writing=True)
            return done

    def _ask(self, work: Callable[[Connection], T], *, writing: bool) -> Future:
        server, machine = self._server, self._machine
        answer = machine.create_future()
        delay_s = server.random.uniform(0.0003, 0.003) + server.slow_s * server.random.random()
        server.machine.call_later(delay_s, self._do, work, answer, writing)
        timer = machine.call_later(ANSWER_S, _fail, answer, DisconnectionError("no answer"))
        answer.add_done_callback(lambda _: timer.cancel())
        return answer

    def _do(self, work: Callable[[Connection], T], answer: Future, writing: bool) -> None:
        """At the database."""
        server = self._server
        if server.hanging:
            if server.late_commits and server.random.random() < 0.3:
                server.machine.call_later(server.random.uniform(0, ANSWER_S), self._late, work)
            return
        if server.down:
            self._answer(_fail, answer, DisconnectionError("no connection"))
            return
        if self._machine.dead and server.random.random() < 0.5:
            return
        fails = writing and server.random.random() < server.failing
        if fails:
            self._fail(work, answer)
            return
        try:
            result = server.tables.transaction(work, commit=writing)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self._answer(_fail, answer, error)
        else:
            self._answer(_succeed, answer, result)

    def _fail(self, work: Callable[[Connection], T], answer: Future) -> None:
        server = self._server
        kind = server.random.choice(["before", "after", "late", "rolled back"])
        if kind == "late" and not server.late_commits:
            kind = "after"
        match kind:
            case "after":
                self._late(work)
            case "late":
                server.machine.call_later(server.random.uniform(0, LATE_S), self._late, work)
            case "rolled back":
                try:
                    server.tables.transaction(work, commit=False)
                except Exception as error:  # noqa: BLE001 - it is the caller's
                    self._answer(_fail, answer, error)
                    return
        failure = Failing() if kind in {"before", "rolled back"} else DisconnectionError("lost")
        self._answer(_fail, answer, failure)

    def _late(self, work: Callable[[Connection], T]) -> None:
        with suppress(Exception):  # nobody hears of it
            self._server.tables.transaction(work)

    def _answer(self, callback: Callable[..., None], answer: Future, result: object) -> None:
        delay_s = self._server.random.uniform(0.0003, 0.003)
        self._machine.call_later(delay_s, callback, answer, result)


def _heard(running: asyncio.Task[Any]) -> None:
    if not running.cancelled():
        running.exception()  # perhaps nobody waits for it any more


def _succeed(answer: Future, result: object) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: Future, error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
