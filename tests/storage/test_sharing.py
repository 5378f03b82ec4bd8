"""One database, and several servers that use it at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from random import Random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import bindparam, select

from collab.access.roles import Role
from collab.access.tokens import User
from collab.errors import Misconfigured
from collab.storage import documents, history, idempotency, upkeep, users, versions
from collab.storage.commit import Batch, Conflict, save
from collab.storage.database import database_at
from collab.storage.history import forget_clients
from collab.storage.runs import Row, Runs
from collab.storage.tables import segments
from tests.storage.saving import ADA, PATIENCE_S, Document, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from collab.storage.database import Database
    from tests.storage.saving import Bench

BOB = User("bob", "Bob", guest=True)


@pytest.fixture
async def benches(url: str) -> AsyncIterator[list[Bench]]:
    """Two servers, each with its own connections."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running(url, PATIENCE_S, shared=True)) for _ in range(2)
        ]


class Saver:
    """One server's listener of a document whose log is `document`'s: it puts what is not saved, as
    long as the database has the same history.
    """

    def __init__(self, bench: Bench, document: Document, run: str | None = None) -> None:
        self.bench = bench
        self.document = document
        self.run = run
        self.saved_revision = 0
        self.conflicts: list[Conflict] = []
        self._heard = asyncio.Event()

    def put(self, after: int) -> None:
        for push in self.document.pushes:
            if push.first > after:
                self.bench.writer.put(self.document.id, push, self, self.run)

    def committed(self, _revision: int) -> None: ...

    def saved(self, revision: int) -> None:
        self.saved_revision = revision
        self._heard.set()

    def not_saved(self, error: Exception) -> None:
        assert isinstance(error, Conflict)
        self.conflicts.append(error)
        self._heard.set()
        if error.row.run == (self.run or ""):
            ends = {push.last: push.mark for push in self.document.pushes}
            assert error.row.revision == 0 or ends[error.row.revision] == error.row.mark
            self.saved_revision = error.row.revision
            self.put(error.row.revision)

    async def heard(self) -> None:
        """Wait until all is saved, or another run holds."""
        async with asyncio.timeout(PATIENCE_S):
            while self.saved_revision < self.document.room.revision and not self._is_shut_out():
                self._heard.clear()
                await self._heard.wait()

    def _is_shut_out(self) -> bool:
        return any(conflict.row.run != (self.run or "") for conflict in self.conflicts)


async def read(database: Database, document: Document) -> None:
    """The saved history is exactly the log."""
    saved = await history.load(database, document.id)
    assert saved.end == document.room.history.end
    assert [push.mark for push in saved.tail] == [push.mark for push in document.pushes]
    assert saved.text == document.room.text
    # No two segments overlap.
    rows = await database.look_up(lambda c: c.execute(SEGMENTS, {"document": document.id}).all())
    assert sum(last - first + 1 for first, last in rows) == saved.end.revision


SEGMENTS = select(segments.c.first_revision, segments.c.last_revision).where(
    segments.c.document_id == bindparam("document")
)


# -- Who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first_shares", "message"),
    [(True, "another server uses .*; several need Redis"), (False, "a server without Redis uses")],
)
async def test_a_server_alone_and_servers_that_share_exclude_each_other(
    url: str, monkeypatch: pytest.MonkeyPatch, first_shares: bool, message: str
) -> None:
    monkeypatch.setattr("collab.storage.postgres.LOCK_TIMEOUT_S", 0.2)
    first, second = (
        database_at(url, shared=first_shares),
        database_at(url, shared=not first_shares),
    )
    await first.start()
    with pytest.raises(Misconfigured, match=message):
        await second.start()
    await second.close()
    await first.close()


async def test_what_orders_nothing_may_be_done_beside_a_server_that_uses_it_alone(
    database: Database, url: str
) -> None:
    beside = database_at(url, beside=True)
    await beside.start()
    await beside.write(lambda connection: users.add(connection, ADA, 1))
    await beside.close()
    known = await database.look_up(lambda connection: users.names(connection, [ADA.id]))
    assert known == {ADA.id: ADA.name}


@pytest.fixture(params=["sqlite", "postgresql"])
async def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.db"
        return
    async with request.getfixturevalue("postgres").without_tables() as made:
        yield made


async def test_servers_may_begin_with_a_new_database_at_once(new_url: str) -> None:
    async with AsyncExitStack() as stack:
        databases = [database_at(new_url, shared=True) for _ in range(4)]
        for each in databases:
            stack.push_async_callback(each.close)

        async def begin(database: Database, user: User) -> None:
            await database.start()
            await database.migrate()
            await database.write(lambda connection: users.add(connection, user, 1))

        people = [User(f"u{number}", "", guest=True) for number in range(len(databases))]
        await asyncio.gather(*map(begin, databases, people))
        known = await databases[0].look_up(lambda c: users.names(c, [user.id for user in people]))
        assert len(known) == len(people)


# -- Two writers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_part_of_a_log_is_saved_when_the_saved_history_is_its_beginning(
    database: Database, seed: int
) -> None:
    """Random parts of one log, beside what must become of each."""
    rng = Random(seed)
    first = history.first_segment("d", "", "ada", 1)
    await database.write(lambda c: documents.create(c, "d", "Notes", first, ADA, 1))
    document = Document("d")
    points = [document.room.history.end]
    for _ in range(15):
        document.type(*rng.choices("abc", k=rng.randint(1, 2)))
        points.append(document.room.history.end)
    done, run = 0, ""
    while done < 15:
        if rng.random() < 0.1:
            run = await claim(database, rng.choice("ab"))
        begin = rng.choice([done, rng.randrange(15)])
        end = rng.randint(begin + 1, min(begin + 4, 15))
        batch = Batch(pushes=document.pushes[begin:end], run=rng.choice(["a", "b", None]))
        outcome = await database.write(lambda c: save(c, {"d": batch}))  # noqa: B023 - it is awaited
        if begin == done and batch.run in (None, run):
            assert (outcome.failed, len(outcome.kept)) == ({}, 1)
            done = end
        elif end == done:
            assert outcome == ({}, [])
        else:
            failure = outcome.failed["d"]
            assert isinstance(failure, Conflict)
            assert failure.row == (run, *points[done][:2])
            assert not outcome.kept
    await read(database, document)


async def claim(database: Database, run: str) -> str:
    runs = Runs(database)
    claimed = await runs.claim("d", run, (await runs.look("d")).run)
    assert claimed is not None
    return claimed.run


@pytest.mark.parametrize("seed", range(4))
async def test_two_writers_of_one_log_save_exactly_that_log(
    benches: list[Bench], seed: int
) -> None:
    """Each is behind now and then, and puts any end of the log."""
    rng = Random(seed)
    document = await benches[0].document("d")
    savers = [Saver(bench, document) for bench in benches]
    for _ in range(12):
        for _ in range(rng.randint(1, 3)):
            document.type(*rng.choices("abc", k=rng.randint(1, 2)))
        saved = [saver.saved_revision for saver in savers]
        hurried = rng.sample(savers, rng.randint(1, 2))
        for saver in hurried:
            saver.put(after=rng.choice([0, *saved]))
        if rng.random() < 0.5:
            await rng.choice(hurried).heard()
    for saver in savers:
        saver.put(saver.saved_revision)
        await saver.heard()
    await read(benches[0].database, document)


async def test_of_two_histories_one_is_saved_and_the_other_told(benches: list[Bench]) -> None:
    ours, theirs = await benches[0].document("d"), Document("d")
    for bench, document in zip(benches, (ours, theirs), strict=True):
        for text in ("one ", "two "):
            bench.writer.put("d", document.type(text, client=repr(bench)), document)
    await asyncio.gather(ours.heard(), theirs.heard())
    winner, loser = (ours, theirs) if theirs.failures else (theirs, ours)
    (failure,) = loser.failures
    assert isinstance(failure, Conflict)
    assert failure.row == Row("", 2, winner.room.mark)
    assert not winner.failures
    await read(benches[0].database, winner)


async def test_once_a_run_is_claimed_nobody_saves_under_another(benches: list[Bench]) -> None:
    """Not even what was put before."""
    document = await benches[0].document("d")
    first, second = (Saver(bench, document, run) for bench, run in zip(benches, "ab", strict=True))
    runs = Runs(benches[1].database)
    await runs.claim("d", "a", "")
    document.type("one ")
    first.put(0)
    await first.heard()
    for text in ("two ", "three "):
        document.type(text)
        first.put(document.last.before.revision)
        await asyncio.sleep(0)
    claimed = await runs.claim("d", "b", "a")
    assert claimed is not None
    await first.heard()
    assert await runs.look("d") == claimed
    second.saved_revision = claimed.revision
    second.put(claimed.revision)
    await second.heard()
    await read(benches[1].database, document)


# -- Everything else that writes -----------------------------------------------------------------


async def test_two_servers_may_look_after_one_document_at_once(
    benches: list[Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One merges and takes the snapshot, the other finds it done or gives up."""
    monkeypatch.setattr(upkeep, "MERGED_BYTES", 200)
    monkeypatch.setattr(upkeep, "SNAPSHOT_WEIGHT", 1_000)
    document = await benches[0].document("d")
    for round_ in range(4):
        for text in "abcdef":
            await benches[round_ % 2].save(document, text)
        done = await asyncio.gather(
            *(upkeep.merge(bench.database, "d") for bench in benches),
            *(upkeep.take_snapshot(bench.database, "d", document.last) for bench in benches),
            return_exceptions=True,
        )
        assert len([error for error in done if error is not None]) <= 1
        await read(benches[0].database, document)
        ((loose, weight),) = await benches[0].rows(
            "select loose_segments, snapshot_weight from documents"
        )
        assert weight == document.last.weight
        ((held,),) = await benches[0].rows(
            "select count(*) from segments, documents where first_revision > merged_revision"
        )
        assert held == loose


async def test_two_servers_may_forget_at_once(benches: list[Bench]) -> None:
    document = await benches[0].document("d")
    for number in range(50):
        benches[0].writer.put("d", document.type("x", client=f"c{number}"), document)
    await document.heard()
    forgotten = await asyncio.gather(
        *(bench.database.write(lambda c: forget_clients(c, 10_000, 30)) for bench in benches)
    )
    assert sum(forgotten) == 50 - await _count(benches[0], "clients") > 0


async def _count(bench: Bench, table: str) -> int:
    ((rows,),) = await bench.rows(f"select count(*) from {table}")
    return int(rows)


async def test_versions_keys_and_members_that_come_to_two_servers_at_once_are_told_apart(
    benches: list[Bench],
) -> None:
    await benches[0].document("d", Role.EDITOR)
    databases = [bench.database for bench in benches]
    numbers = await asyncio.gather(
        *(each.write(lambda c: versions.add(c, "d", "name", 0, "ada", 2)) for each in databases * 5)
    )
    assert sorted(numbers) == [*range(1, 11)]
    begun = await asyncio.gather(
        *(
            each.write(lambda c: idempotency.begin(c, "ada", "key", b"same", 2))
            for each in databases * 5
        )
    )
    assert sorted(each.again for each in begun) == [False] + [True] * 9
    opened = await asyncio.gather(*(documents.opened(each, "d", BOB, 2) for each in databases * 5))
    assert len({*opened}) == 1
