"""What is PostgreSQL's alone, and what it does when its server or its connections fail."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import inspect, select, text, update
from sqlalchemy.exc import DBAPIError, DisconnectionError

from collab.access.roles import Role
from collab.access.tokens import User
from collab.errors import Misconfigured, NotFound, Unavailable
from collab.storage import documents as stored
from collab.storage import history, idempotency, upkeep, versions
from collab.storage.commit import Conflict
from collab.storage.database import database_at
from collab.storage.runs import Runs
from collab.storage.segments import encode, holding
from collab.storage.tables import documents, metadata
from tests.storage.saving import PATIENCE_S, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from collab.storage.database import Database
    from tests.postgres import Postgres
    from tests.storage.saving import Bench


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
BOB = User("bob", "Bob", guest=True)


@pytest.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    """In place of one of each kind."""
    async with postgres.database() as made:
        yield made


async def titles(database: Database) -> list[str]:
    return await database.look_up(lambda c: list(c.scalars(select(documents.c.title))))


def rename(connection: Connection) -> None:
    connection.execute(update(documents).values(title="Renamed"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for another server to end."""
    monkeypatch.setattr("collab.storage.postgres.LOCK_TIMEOUT_S", 0.2)


# -- One server ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
async def test_a_second_server_on_the_same_database_is_refused(bench: Bench, url: str) -> None:
    second = database_at(url)
    with pytest.raises(Misconfigured, match="another server uses this database"):
        await second.start()
    await second.close()
    await bench.document("d")


async def test_a_server_that_starts_as_another_ends_waits_for_it(url: str) -> None:
    first, second = database_at(url), database_at(url)
    await first.start()
    starting = asyncio.create_task(second.start())
    async with asyncio.timeout(PATIENCE_S):
        while not await first.write(lambda c: c.scalar(text(WAITING))):  # noqa: ASYNC110
            await asyncio.sleep(0)  # nobody tells of it
    await first.close()
    await starting
    await second.close()


@pytest.mark.usefixtures("impatient")
async def test_who_lost_the_database_to_another_server_writes_nothing(
    bench: Bench, url: str, postgres: Postgres
) -> None:
    """The lock goes with its connection, and no other connection writes."""
    await bench.document("d")
    postgres.cut_connections()
    second = database_at(url)
    await second.start()
    with pytest.raises(DisconnectionError, match="another server uses this database"):
        await bench.database.write(rename)
    await second.close()
    assert await titles(bench.database) == ["Notes"]
    await bench.database.write(rename)
    assert await titles(bench.database) == ["Renamed"]


async def test_servers_that_migrate_at_once_do_so_one_after_the_other(postgres: Postgres) -> None:
    async with postgres.without_tables() as url, AsyncExitStack() as stack:
        databases = [database_at(url) for _ in range(3)]
        for each in databases:
            stack.push_async_callback(each.close)
        await asyncio.gather(*(each.migrate() for each in databases))
        async with databases[0].read() as connection:
            found = await connection.run_sync(lambda c: inspect(c).get_table_names())
        assert set(found) == {*metadata.tables, "alembic_version"}


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres: Postgres) -> None:
    postgres.server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
    database = database_at(postgres.server.url("latin"))
    with pytest.raises(Misconfigured, match="UTF8 and is LATIN1"):
        await database.start()
    await database.close()


# -- Several servers -----------------------------------------------------------------------------


async def test_servers_that_share_the_database_find_it_again_when_they_lost_it(
    url: str, postgres: Postgres
) -> None:
    async with running(url, shared=True) as one, running(url, shared=True) as two:
        document = await one.document("d")
        for bench in (one, two, one):
            postgres.cut_connections()
            await bench.save(document, "word ")
        assert not document.failures
        assert str((await history.load(two.database, "d")).text) == "word word word "


@pytest.mark.usefixtures("impatient")
async def test_h7_a_server_that_shares_the_database_writes_nothing_while_its_lost_connection_lives(
    url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit of that connection may be under way: what is written next comes after it."""
    monkeypatch.setattr("collab.storage.postgres.secrets.randbits", lambda _: 7)
    async with running(url, shared=True) as bench:
        await bench.document("d")
        postgres.cut_connections()
        lives_on = await asyncpg.connect(url)
        await lives_on.execute("SELECT pg_advisory_lock(7)")
        with pytest.raises(DisconnectionError, match="this server's last connection"):
            await bench.database.write(rename)
        await lives_on.close()
        await bench.database.write(rename)
        assert await titles(bench.database) == ["Renamed"]


# -- Transactions --------------------------------------------------------------------------------


async def test_commits_reach_the_disk(bench: Bench, postgres: Postgres) -> None:
    """Whatever the database's default is: what is committed outlives a loss of power."""
    name = await bench.database.look_up(lambda c: c.scalar(text("SELECT current_database()")))
    postgres.server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    postgres.cut_connections()
    found = await bench.database.write(lambda c: c.scalar(text("SHOW synchronous_commit")))
    assert found == "on"


async def test_what_is_read_belongs_together(bench: Bench) -> None:
    """Reads see what was committed when they began, however many they are."""
    await bench.document("d")
    async with bench.database.read() as connection:
        assert await connection.scalar(select(documents.c.title)) == "Notes"
        await bench.database.write(rename)
        assert await connection.scalar(select(documents.c.title)) == "Notes"
    assert await titles(bench.database) == ["Renamed"]


async def test_who_reads_cannot_write(bench: Bench) -> None:
    await bench.document("d")
    with pytest.raises(DBAPIError, match="read-only"):
        await bench.database.look_up(rename)


async def test_a_write_that_fails_leaves_nothing(bench: Bench) -> None:
    await bench.document("d")

    def fail(connection: Connection) -> None:
        rename(connection)
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        await bench.database.write(fail)
    assert await titles(bench.database) == ["Notes"]


async def test_a_write_whose_caller_is_cancelled_is_done_or_not_but_never_half(
    bench: Bench,
) -> None:
    """And the database is not closed before it is done."""
    await bench.document("d")
    begun = asyncio.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        connection.execute(text("SELECT pg_sleep(0.1)"))
        rename(connection)

    writing = asyncio.create_task(bench.database.write(slow))
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await titles(bench.database) == ["Notes"]
    await bench.database.write(lambda c: None)  # they follow one another
    assert await titles(bench.database) == ["Renamed"]


async def test_a_cancelled_reading_costs_nobody_a_connection(bench: Bench) -> None:
    begun = asyncio.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        connection.execute(text("SELECT pg_sleep(0.1)"))

    reading = asyncio.create_task(bench.database.look_up(slow))
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with asyncio.timeout(PATIENCE_S), bench.database.read() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
        reading = asyncio.create_task(ask(connection))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert await titles(bench.database) == []


async def ask(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT pg_sleep(60)"))


async def test_a_statement_that_takes_too_long_is_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = await bench.database.write(lambda c: c.scalar(text("SHOW statement_timeout")))
    assert limit == "10s"

    def slow(connection: Connection) -> None:
        connection.execute(text("SET LOCAL statement_timeout = 20"))
        connection.execute(text("SELECT pg_sleep(60)"))

    with pytest.raises(DBAPIError, match="statement timeout"):
        await bench.database.write(slow)
    await bench.document("d")


# -- Faults --------------------------------------------------------------------------------------


async def test_connections_that_were_cut_are_replaced_before_anybody_notices(
    bench: Bench, postgres: Postgres
) -> None:
    document = await bench.document("d")
    await bench.save(document, "one ")
    for word in ("two ", "three "):
        postgres.cut_connections()
        await bench.save(document, word)
        assert str((await history.load(bench.database, "d")).text) == str(document.room.text)
    assert not document.failures


@pytest.mark.parametrize("times", [1, 2])
async def test_a_transaction_whose_connection_is_cut_begins_anew_once(
    bench: Bench, postgres: Postgres, times: int
) -> None:
    await bench.document("d")
    tries = 0

    def cut(connection: Connection) -> None:
        nonlocal tries
        rename(connection)
        tries += 1
        if tries <= times:
            postgres.cut_connections()
            connection.execute(text("SELECT 1"))

    if times == 1:
        await bench.database.write(cut)
        assert await titles(bench.database) == ["Renamed"]
    else:
        with pytest.raises(DisconnectionError):
            await bench.database.write(cut)
        assert await titles(bench.database) == ["Notes"]
    assert tries == 2


async def test_a_connection_that_is_cut_in_a_commit_is_tried_again_and_found(
    url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether it was committed: the writer finds its own mark, or writes it."""
    async with running(url, patience_s=10) as bench:
        document = await bench.document("d")
        write, cuts = bench.database.commit, 0

        async def cut_after(work: Any) -> Any:
            nonlocal cuts
            cuts += 1
            done = await write(work)
            if cuts == 1:
                postgres.cut_connections()
                raise DisconnectionError("the answer was lost")
            return done

        monkeypatch.setattr(bench.database, "commit", cut_after)
        await bench.save(document, "once")
        assert cuts == 2
        assert not document.failures
        assert str((await history.load(bench.database, "d")).text) == "once"


@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_a_server_that_stops_is_told_by_every_way_to_it_and_used_again_when_it_is_back(
    bench: Bench, postgres: Postgres, how: str
) -> None:
    document = await bench.document("d")
    await bench.save(document, "kept")
    postgres.server.stop("fast" if how == "fast" else "immediate")
    with pytest.raises(DisconnectionError):
        await history.load(bench.database, "d")
    with pytest.raises(DisconnectionError):
        await bench.database.write(rename)
    with pytest.raises(DisconnectionError):
        async with bench.database.read() as connection:
            await connection.execute(text("SELECT 1"))
    bench.writer.put("d", document.type("lost "), document)
    await document.heard()
    assert document.failures

    postgres.server.start()
    assert str((await history.load(bench.database, "d")).text) == "kept"
    await bench.database.write(rename)
    assert await titles(bench.database) == ["Renamed"]


async def test_all_documents_are_told_at_once_when_the_server_is_gone(
    bench: Bench, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patience is one for all, however many they are."""
    made = [await bench.document(f"d{number}") for number in range(20)]
    postgres.server.stop()
    write, tries = bench.database.commit, 0

    async def count(work: Any) -> Any:
        nonlocal tries
        tries += 1
        return await write(work)

    monkeypatch.setattr(bench.database, "commit", count)
    for document in made:
        bench.writer.put(document.id, document.type("x"), document)
    for document in made:
        await document.heard()
    assert all(document.failures for document in made)
    assert tries < 20


async def test_a_server_that_does_not_answer_is_given_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes connections and says nothing, as one behind a broken network."""
    heard = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    monkeypatch.setattr("collab.storage.postgres.CONNECT_TIMEOUT_S", 0.1)
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    database = database_at(f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable")
    with pytest.raises(DisconnectionError, match="TimeoutError"):
        await database.start()
    await database.close()
    assert heard.is_set()
    server.close()


async def test_a_connection_that_falls_silent_is_given_up(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a network that loses every packet: neither side hears that the other is gone."""
    monkeypatch.setattr("collab.storage.postgres.ANSWER_TIMEOUT_S", 0.5)
    async with Relay(url, tmp_path) as relay, running(relay.url) as bench:
        await bench.document("d")
        monkeypatch.setattr("collab.storage.postgres.CONNECT_TIMEOUT_S", 0.2)
        relay.passes.clear()
        for _ in range(2):
            with pytest.raises(DisconnectionError):
                await titles(bench.database)
            with pytest.raises(DisconnectionError):
                await bench.database.write(rename)
        monkeypatch.undo()  # who is there may take its time
        relay.passes.set()
        assert await titles(bench.database) == ["Notes"]
        await bench.database.write(rename)
        assert await titles(bench.database) == ["Renamed"]


class Relay:
    """A way to PostgreSQL that can be made to lose everything."""

    def __init__(self, url: str, folder: Path) -> None:
        name = ".s.PGSQL.5432"
        start, _, self._folder = url.partition("?host=")
        self.url = f"{start}?host={folder}"
        self.passes = asyncio.Event()
        self.passes.set()
        self._here, self._there = f"{folder}/{name}", f"{self._folder}/{name}"

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_unix_server(self._serve, self._here)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._there)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self.passes.is_set():
                    writer.write(data)
        writer.close()


# -- What SQLite's single writer hides -----------------------------------------------------------


@asynccontextmanager
async def another_server(url: str, statement: str) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """It has executed a statement, and commits when called, as soon as somebody waits for that:
    after one more statement, if it is given.
    """
    connection = await asyncpg.connect(url)
    await connection.execute(f"BEGIN; {statement}")

    async def commit(statement: str = "") -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await connection.fetchval(WAITING):  # noqa: ASYNC110
                await asyncio.sleep(0)  # nobody tells of it
        await connection.execute(f"{statement}; COMMIT")

    try:
        yield commit
    finally:
        await connection.close()


async def test_nobody_is_put_on_the_list_of_a_document_that_is_being_deleted(
    bench: Bench, url: str
) -> None:
    await bench.document("d", Role.EDITOR)
    async with another_server(url, "DELETE FROM documents") as commit:
        opening = asyncio.create_task(stored.opened(bench.database, "d", BOB, 2))
        await commit()
        with pytest.raises(NotFound):
            await opening


async def test_a_request_that_comes_to_two_servers_is_begun_once(bench: Bench, url: str) -> None:
    statement = "INSERT INTO idempotency_keys VALUES ('bob', 'key', 'same', NULL, 1)"
    async with another_server(url, statement) as commit:
        beginning = asyncio.create_task(
            bench.database.write(lambda c: idempotency.begin(c, "bob", "key", b"same", 2))
        )
        await commit()
        assert await beginning == (1, True, None)


async def test_a_client_that_pushes_on_another_server_meanwhile_is_not_forgotten(
    bench: Bench, url: str
) -> None:
    document = await bench.document("d")
    await bench.save(document, "x")
    async with another_server(url, "UPDATE clients SET at = 9000"):
        forgotten = await bench.database.write(lambda c: history.forget_clients(c, 5_000, 10))
    assert forgotten == 0
    assert await history.last_seq(bench.database, "d", "ada") == 1


async def test_keys_that_another_server_forgets_are_left_to_it(bench: Bench, url: str) -> None:
    for key in ("one", "two"):
        await bench.database.write(partial(idempotency.begin, **request(key)))
    async with another_server(url, "DELETE FROM idempotency_keys WHERE key = 'one'"):
        forgotten = await bench.database.write(
            lambda c: idempotency.forget_expired(c, 1 + idempotency.KEPT_MS, 10)
        )
    assert forgotten == 1


def request(key: str) -> dict[str, Any]:
    return {"user_id": "ada", "key": key, "fingerprint": b"", "now": 1}


async def test_versions_that_are_made_on_two_servers_have_numbers_of_their_own(
    bench: Bench, url: str
) -> None:
    await bench.document("d")
    statement = (
        "SELECT 1 FROM documents FOR NO KEY UPDATE;"
        "INSERT INTO versions VALUES ('d', 1, 'theirs', 0, 'ada', 1)"
    )
    async with another_server(url, statement) as commit:
        adding = asyncio.create_task(
            bench.database.write(lambda c: versions.add(c, "d", "ours", 0, "ada", 2))
        )
        await commit()
        assert await adding == 2


async def test_segments_that_another_server_merges_are_left_to_it(bench: Bench, url: str) -> None:
    document = await bench.document("d")
    for word in ("one ", "two ", "three "):
        await bench.save(document, word)
    loose = await bench.database.look_up(lambda c: list(holding(c, "d", 0, 3)))
    _, (merged,) = upkeep._put_together(loose)
    statement = (
        "UPDATE documents SET loose_segments = 1;"
        "DELETE FROM segments WHERE first_revision > 1;"
        f"UPDATE segments SET last_revision = 3, pushes = '\\x{merged.pushes.hex()}'"
    )
    async with another_server(url, statement) as commit:
        merging = asyncio.create_task(upkeep.merge(bench.database, "d"))
        await commit()
        with pytest.raises(Unavailable):
            await merging
    assert str((await history.load(bench.database, "d")).text) == str(document.room.text)


async def test_a_claim_waits_for_a_commit_under_way_and_tells_of_it(bench: Bench, url: str) -> None:
    await bench.document("d")
    statement = "UPDATE documents SET saved_revision = 1, saved_mark = 'm' WHERE redis_run = ''"
    async with another_server(url, statement) as commit:
        claiming = asyncio.create_task(Runs(bench.database).claim("d", "new", ""))
        await commit()
        assert await claiming == ("new", 1, "m")


async def test_a_commit_under_way_is_fenced_by_a_claim_that_came_first(
    bench: Bench, url: str
) -> None:
    """Its condition held when it was looked at, and not any more when the row is its own."""
    document = await bench.document("d")
    async with another_server(url, "UPDATE documents SET redis_run = 'new'") as commit:
        bench.writer.put("d", document.type("late"), document, "")
        await commit()
        await document.heard()
    (failure,) = document.failures
    assert isinstance(failure, Conflict)
    assert failure.row == ("new", 0, document.pushes[0].before.mark)
    assert str((await history.load(bench.database, "d")).text) == ""


async def test_a_writer_that_waited_for_another_finds_the_same_pushes_saved(
    bench: Bench, url: str
) -> None:
    document = await bench.document("d")
    push = document.type("once")
    statement = (
        f"UPDATE documents SET saved_revision = 1, saved_mark = '{push.mark}';"
        "INSERT INTO segments (document_id, first_revision, last_revision, mark_before, pushes)"
        f" VALUES ('d', 1, 1, '{push.before.mark}', '\\x{encode([push]).hex()}')"
    )
    async with another_server(url, statement) as commit:
        bench.writer.put("d", push, document)
        await commit()
        await document.heard()
    assert not document.failures
    assert await bench.rows("SELECT count(*) FROM segments") == [(1,)]


async def test_a_commit_that_waited_for_whatever_else_of_the_row_changed_is_saved(
    bench: Bench, url: str
) -> None:
    document, other = await bench.document("d"), await bench.document("e")
    statement = "UPDATE documents SET title = 'Other', loose_segments = 7 WHERE id = 'd'"
    async with another_server(url, statement) as commit:
        for each in (document, other):
            bench.writer.put(each.id, each.type("kept"), each)
        await commit()
        await document.heard()
        await other.heard()
    assert not document.failures
    assert not other.failures
    assert await bench.rows(
        "SELECT title, saved_revision, loose_segments FROM documents ORDER BY id"
    ) == [
        ("Other", 1, 8),
        ("Notes", 1, 1),
    ]


async def test_a_commit_that_waits_for_a_document_holds_none_that_comes_after_it(
    bench: Bench, url: str
) -> None:
    """Else two servers might wait for each other."""
    saved = [await bench.document(name) for name in "cbda"]
    async with another_server(url, "UPDATE documents SET title = '' WHERE id = 'a'") as commit:
        for each in saved:
            bench.writer.put(each.id, each.type("kept"), each)
        await commit("UPDATE documents SET title = ''")
        for each in saved:
            await each.heard()
    assert not any(each.failures for each in saved)
