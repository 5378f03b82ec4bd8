"""The background writer, on a real SQLite file."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from collab.access.tokens import User
from collab.errors import Damaged, NotFound
from collab.log.entry import Entry, first_mark, next_mark
from collab.rooms.history import History
from collab.rooms.room import Room
from collab.storage import documents, history
from collab.storage import writer as writing
from collab.storage.database import Database
from collab.storage.migrations import migrate
from collab.storage.writer import Writer
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from collab.log.entry import Ordered

PATIENCE_S = 10
ADA = User("ada", "Ada", guest=True)


class Document:
    """A document that is typed into; it hears of its pushes from the writer."""

    def __init__(self, document_id: str) -> None:
        self.id = document_id
        mark = first_mark(document_id)
        self.room = Room(Text.empty(), 0, mark, History(0, mark))
        self.saved_revision = 0
        self.failures: list[Exception] = []
        self._heard = asyncio.Event()

    def type(self, text: str, *, seq: int | None = None, client: str = "ada") -> Ordered:
        seq = self.room.revision + 1 if seq is None else seq
        change = Change.replace(len(self.room.text), 0, 0, text)
        entry = Entry(client, seq, self.room.revision, (change,), "ada", 1_000 + seq)
        return self.room.apply(entry, next_mark(self.room.mark, entry.encode()))

    def saved(self, revision: int) -> None:
        self.saved_revision = revision
        self._heard.set()

    def not_saved(self, error: Exception) -> None:
        self.failures.append(error)
        self._heard.set()

    async def heard(self) -> None:
        """Wait until the writer reports all that was typed, or a failure."""
        async with asyncio.timeout(PATIENCE_S):
            while self.saved_revision < self.room.revision and not self.failures:
                self._heard.clear()
                await self._heard.wait()


class Bench:
    def __init__(self, database: Database, writer: Writer) -> None:
        self.database = database
        self.writer = writer

    async def document(self, document_id: str) -> Document:
        first = history.first_segment(document_id, "", "ada", 1)
        await self.database.write(
            lambda connection: documents.create(connection, document_id, "Notes", first, ADA, 1)
        )
        return Document(document_id)

    async def save(self, document: Document, *texts: str) -> None:
        for text in texts:
            self.writer.put(document.id, document.type(text), document)
        await document.heard()

    def rows(self, sql: str) -> list[Any]:
        with sqlite3.connect(self.database.path) as connection:
            return connection.execute(sql).fetchall()


@asynccontextmanager
async def running(path: Path, patience_s: float = 0.2) -> AsyncIterator[Bench]:
    database = Database(f"sqlite:///{path / 'test.db'}")
    await database.start()
    await asyncio.to_thread(migrate, database.path)
    writer = Writer(database, patience_s)
    task = asyncio.create_task(writer.run(), name="writer")
    try:
        yield Bench(database, writer)
    finally:
        writer.stop()
        async with asyncio.timeout(PATIENCE_S):
            await task
        await database.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with running(tmp_path) as made:
        yield made


async def test_what_is_reported_saved_is_read_again(bench: Bench) -> None:
    document = await bench.document("d")
    await bench.save(document, "c", "b", "a 😀 ")
    saved = await history.load(bench.database, "d")
    assert str(saved.text) == "a 😀 bc"
    assert (saved.revision, saved.mark) == (3, document.room.mark)
    again = Room.restore(saved)
    assert again.history.items(0, 3, 10**6) == document.room.history.items(0, 3, 10**6)
    assert again.history.mark_at(2) == document.room.history.mark_at(2)


async def test_pushes_that_wait_share_a_segment_and_a_commit(bench: Bench) -> None:
    document, other = await bench.document("d"), await bench.document("e")
    for text in "abcdef":
        bench.writer.put("d", document.type(text), document)
        bench.writer.put("e", other.type(text), other)
    await document.heard()
    await other.heard()
    found = bench.rows("select document_id, first_revision, last_revision from segments")
    assert sorted(found) == [("d", 1, 6), ("e", 1, 6)]


async def test_segments_follow_one_another_without_a_gap(bench: Bench) -> None:
    document = await bench.document("d")
    for _ in range(5):
        await bench.save(document, "x", "y")
    ends = bench.rows("select first_revision, last_revision from segments order by 1")
    assert ends[0][0] == 1
    assert ends[-1][1] == 10
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(ends))


async def test_another_history_fails_and_fails_only_its_document(bench: Bench) -> None:
    """The saved revision and mark must be where a segment begins."""
    document, other = await bench.document("d"), await bench.document("e")
    stranger = Document("d")
    await bench.save(document, "mine")
    bench.writer.put("d", stranger.type("theirs"), stranger)
    bench.writer.put("e", other.type("fine"), other)
    await stranger.heard()
    await other.heard()
    assert stranger.failures
    assert not other.failures
    assert str((await history.load(bench.database, "d")).text) == "mine"
    # Nor does one that agrees in its revision but not in its mark.
    stranger = Document("d")
    stranger.type("forged")
    await bench.save(stranger, "more")
    assert stranger.failures
    await bench.save(document, "still ")
    assert str((await history.load(bench.database, "d")).text) == "still mine"


async def test_a_commit_that_fails_is_tried_again_until_it_goes_through(tmp_path: Path) -> None:
    async with running(tmp_path, patience_s=PATIENCE_S) as bench:
        document = await bench.document("d")
        bench.rows("alter table segments rename to hidden")
        bench.writer.put("d", document.type("patience"), document)
        await asyncio.to_thread(bench.rows, "alter table hidden rename to segments")
        await document.heard()
        assert not document.failures
        assert str((await history.load(bench.database, "d")).text) == "patience"


async def test_a_commit_that_fails_for_good_is_reported_and_nothing_of_it_is_saved(
    bench: Bench,
) -> None:
    document = await bench.document("d")
    await bench.save(document, "kept")
    bench.rows("alter table segments rename to hidden")
    bench.writer.put("d", document.type("lost "), document)
    bench.writer.put("d", document.type("too "), document)
    await document.heard()
    assert document.failures
    bench.rows("alter table hidden rename to segments")
    assert str((await history.load(bench.database, "d")).text) == "kept"
    assert bench.rows("select saved_revision from documents") == [(1,)]


async def test_a_commit_whose_answer_was_lost_is_recognised(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, and finds its own mark."""
    document = await bench.document("d")
    write = bench.database.write
    lost: list[object] = []

    async def lose_the_first_answer(work: Any) -> Any:
        answer = await write(work)
        if not lost:
            lost.append(answer)
            raise OperationalError("commit", None, ConnectionError("the connection broke"))
        return answer

    monkeypatch.setattr(bench.database, "write", lose_the_first_answer)
    await bench.save(document, "once")
    assert lost == [{}]
    assert not document.failures
    assert str((await history.load(bench.database, "d")).text) == "once"


async def test_the_largest_seq_of_each_client_that_took_effect_is_kept(bench: Bench) -> None:
    document = await bench.document("d")
    bench.writer.put("d", document.type("a", seq=3), document)
    bench.writer.put("d", document.type("b", seq=4, client="bob"), document)
    bench.writer.put("d", document.type("c", seq=7), document)
    void = Entry("ada", 9, None, (), "ada", 1)
    bench.writer.put("d", document.room.apply(void, next_mark(document.room.mark, b"")), document)
    await document.heard()
    assert await history.last_seq(bench.database, "d", "ada") == 7
    assert await history.last_seq(bench.database, "d", "bob") == 4
    assert await history.last_seq(bench.database, "d", "eve") == -1
    saved = await history.load(bench.database, "d")
    assert not Room.restore(saved).history.took_effect("ada", 9)
    assert Room.restore(saved).history.has("ada", 9, 0)


async def test_a_long_history_is_read_from_a_snapshot(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SNAPSHOT_EVERY", 10)
    monkeypatch.setattr(history, "MAX_BASE_DISTANCE", 15)
    document = await bench.document("d")
    for number in range(50):
        await bench.save(document, f"{number} ")
    assert [row[0] for row in bench.rows("select revision from snapshots order by 1")] == [
        10,
        20,
        30,
        40,
        50,
    ]
    saved = await history.load(bench.database, "d")
    assert (saved.start, saved.revision) == (30, 50)
    assert str(saved.text) == str(document.room.text)
    restored = Room.restore(saved).history
    assert restored.mark_at(30) == document.room.history.mark_at(30)
    assert restored.items(30, 50, 10**6) == document.room.history.items(30, 50, 10**6)


async def test_a_snapshot_never_stands_inside_a_segment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups of pushes that reach over the places where snapshots are due."""
    monkeypatch.setattr(writing, "SNAPSHOT_EVERY", 10)
    monkeypatch.setattr(history, "MAX_BASE_DISTANCE", 15)
    document = await bench.document("d")
    for number in range(20):
        await bench.save(document, *(f"{number}.{place} " for place in range(1 + number % 7)))
        saved = await history.load(bench.database, "d")
        assert str(saved.text) == str(document.room.text)
        assert (saved.revision, saved.mark) == (document.room.revision, document.room.mark)
    inside = bench.rows(
        "select count(*) from snapshots, segments "
        "where revision >= first_revision and revision < last_revision"
    )
    assert inside == [(0,)]
    assert len(bench.rows("select 1 from snapshots")) >= 5


@pytest.mark.parametrize(
    "damage",
    [
        "delete from segments where first_revision = 2",
        "update segments set pushes = cast('[' as blob) where first_revision = 2",
        "update documents set saved_mark = 'another'",
        "update documents set saved_revision = 4",
    ],
)
async def test_a_history_that_does_not_fit_together_is_not_served(
    bench: Bench, damage: str
) -> None:
    document = await bench.document("d")
    for text in "abc":
        await bench.save(document, text)
    bench.rows(damage)
    with pytest.raises(Damaged):
        await history.load(bench.database, "d")


async def test_a_document_that_cannot_be_saved_does_not_fail_those_beside_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await bench.document("bad"), await bench.document("good")
    encode = history.encode_pushes

    def choke(pushes: Any) -> bytes:
        if pushes[0].author == "poison":
            raise RuntimeError("this one cannot be written")
        return encode(pushes)

    monkeypatch.setattr(writing, "encode_pushes", choke)
    push = bad.type("x")
    bench.writer.put("bad", dataclasses.replace(push, author="poison"), bad)
    bench.writer.put("good", good.type("fine"), good)
    await bad.heard()
    await good.heard()
    assert bad.failures
    assert not good.failures
    assert str((await history.load(bench.database, "good")).text) == "fine"


async def test_a_push_of_a_deleted_document_is_told_so(bench: Bench) -> None:
    document = await bench.document("d")
    await bench.database.write(lambda connection: documents.delete(connection, "d"))
    await bench.save(document, "late")
    assert [type(failure) for failure in document.failures] == [NotFound]


async def test_the_writer_ends_when_all_that_was_put_is_saved(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        document = await bench.document("d")
        for text in "abc":
            bench.writer.put("d", document.type(text), document)
    assert document.saved_revision == 3


async def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        second = Database(f"sqlite:///{bench.database.path}")
        with pytest.raises(Exception, match="another server uses"):
            await second.start()
        await second.close()


async def test_commits_reach_the_disk(bench: Bench) -> None:
    """`synchronous=FULL` (2): what is committed outlives a loss of power."""
    pragmas = await bench.database.write(
        lambda connection: (
            connection.exec_driver_sql("pragma synchronous").scalar(),
            connection.exec_driver_sql("pragma journal_mode").scalar(),
            connection.exec_driver_sql("pragma foreign_keys").scalar(),
        )
    )
    assert pragmas == (2, "wal", 1)


async def test_the_seqs_of_clients_are_forgotten_in_the_end(bench: Bench) -> None:
    document = await bench.document("d")
    await bench.save(document, "x")
    await bench.database.write(lambda connection: history.forget_clients(connection, 1_001))
    assert await history.last_seq(bench.database, "d", "ada") == 1
    await bench.database.write(lambda connection: history.forget_clients(connection, 1_002))
    assert await history.last_seq(bench.database, "d", "ada") == -1
