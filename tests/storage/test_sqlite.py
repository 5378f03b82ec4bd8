"""What is SQLite's alone, and what it does when its file or its disk fails."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DisconnectionError, OperationalError

from collab.errors import Misconfigured
from collab.storage import history
from collab.storage.database import database_at
from collab.storage.tables import documents
from tests.storage.saving import PATIENCE_S, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.saving import Bench


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
def url(path: Path) -> str:
    """In place of one of each kind."""
    return f"sqlite:///{path}"


def put_aside(path: Path, folder: Path) -> None:
    """Move a database and what lies beside it."""
    folder.mkdir(exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(folder / file.name)


def is_there(path: Path) -> bool:
    return path.exists()


async def test_a_file_that_is_gone_is_told_by_every_way_to_it_and_made_by_none(
    bench: Bench, path: Path, tmp_path: Path
) -> None:
    document = await bench.document("d")
    await bench.save(document, "kept")
    put_aside(path, tmp_path / "aside")
    with pytest.raises(DisconnectionError, match="gone"):
        await history.load(bench.database, "d")
    with pytest.raises(DisconnectionError):
        await bench.database.write(lambda connection: connection.execute(text("select 1")))
    with pytest.raises(DisconnectionError):
        async with bench.database.read():
            pass
    bench.writer.put("d", document.type("lost "), document)
    await document.heard()
    assert document.failures
    assert not is_there(path)

    put_aside(tmp_path / "aside" / path.name, path.parent)
    saved = await history.load(bench.database, "d")
    assert str(saved.text) == "kept"
    async with bench.database.read() as connection:
        assert await connection.scalar(select(documents.c.saved_revision)) == 1


async def test_what_is_committed_as_the_file_vanishes_does_not_count(
    bench: Bench, path: Path, tmp_path: Path
) -> None:
    """SQLite reports it committed: into a file that nobody can reach."""
    document = await bench.document("d")
    await bench.save(document, "kept")

    def vanish(connection: Any) -> None:
        connection.execute(text("update documents set title = 'nowhere'"))
        path.rename(tmp_path / "aside.db")

    with pytest.raises(DisconnectionError):
        await bench.database.write(vanish)


async def test_a_commit_that_was_tried_as_the_file_vanished_is_found_when_it_is_back(
    url: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, and recognised."""
    async with running(url, patience_s=10) as bench:
        document = await bench.document("d")
        write, tries = bench.database.commit, list[int]()

        async def vanish_once(work: Any) -> Any:
            def and_vanish(connection: Any) -> Any:
                done = work(connection)
                if not tries:
                    path.rename(tmp_path / "aside.db")
                return done

            try:
                return await write(and_vanish)
            finally:
                tries.append(1)
                if len(tries) == 2:
                    (tmp_path / "aside.db").rename(path)

        monkeypatch.setattr(bench.database, "commit", vanish_once)
        await bench.save(document, "once")
        assert len(tries) > 2
        assert not document.failures
        assert str((await history.load(bench.database, "d")).text) == "once"


async def test_a_file_that_was_put_in_its_place_is_opened_anew(
    bench: Bench, path: Path, tmp_path: Path
) -> None:
    """A backup, say. What was open on the old one is not saved into it."""
    document = await bench.document("d")
    await bench.save(document, "old ")
    with sqlite3.connect(path) as other:
        other.execute("pragma wal_checkpoint(truncate)")
    shutil.copy(path, tmp_path / "backup.db")
    await bench.save(document, "newer ")
    put_aside(path, tmp_path / "aside")
    with pytest.raises(DisconnectionError):
        await history.load(bench.database, "d")
    shutil.copy(tmp_path / "backup.db", path)
    assert str((await history.load(bench.database, "d")).text) == "old "
    bench.writer.put("d", document.type("newest "), document)
    await document.heard()
    assert document.failures
    async with bench.database.read() as connection:
        assert await connection.scalar(select(documents.c.saved_revision)) == 1
    assert await bench.rows("pragma integrity_check") == [("ok",)]


async def test_each_process_opens_a_file_that_was_put_in_its_place(
    url: str, path: Path, tmp_path: Path
) -> None:
    """One does so while the other has the old one open yet: neither is any harm to the new one."""
    async with running(url, shared=True) as one, running(url, shared=True) as two:
        document = await one.document("d")
        await one.save(document, "old ")
        with sqlite3.connect(path) as other:
            other.execute("pragma wal_checkpoint(truncate)")
        shutil.copy(path, tmp_path / "backup.db")
        await two.save(document, "lost ")
        put_aside(path, tmp_path / "aside")
        shutil.copy(tmp_path / "backup.db", path)
        again = await one.document("e")
        await one.save(again, "new ")
        assert str((await history.load(two.database, "d")).text) == "old "
        await two.save(again, "newer ")
        assert str((await history.load(one.database, "e")).text) == "newer new "
        for bench in (one, two):
            assert await bench.rows("pragma integrity_check") == [("ok",)]


async def test_a_full_disk_fails_the_commit_and_is_no_harm_when_there_is_room_again(
    bench: Bench,
) -> None:
    document = await bench.document("d")
    await bench.save(document, "kept")

    async def allow(pages: int) -> None:
        pragma = f"pragma max_page_count={pages}"
        await bench.database.write(lambda connection: connection.exec_driver_sql(pragma).close())

    await allow(1)  # SQLite takes the least that it needs
    bench.writer.put("d", document.type("x" * 100_000), document)
    await document.heard()
    (failure,) = document.failures
    assert isinstance(failure, OperationalError)
    assert "full" in str(failure)
    await allow(1_000_000)
    assert str((await history.load(bench.database, "d")).text) == "kept"
    again = await bench.document("e")
    await bench.save(again, "x" * 100_000)
    assert not again.failures


async def test_a_second_server_on_the_same_file_is_refused(bench: Bench, url: str) -> None:
    second = database_at(url)
    with pytest.raises(Misconfigured, match="another server uses"):
        await second.start()
    await second.close()
    await bench.document("d")


async def test_a_write_waits_for_another_program_that_writes(
    bench: Bench, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.document("d")
    looked = threading.Semaphore(0)
    monkeypatch.setattr("collab.storage.sqlite.time.sleep", lambda _: looked.release())
    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(bench.rows("UPDATE documents SET title = 'Renamed'"))
        for _ in range(3):
            assert await asyncio.to_thread(looked.acquire, timeout=PATIENCE_S)
        assert not writing.done()
        another.execute("COMMIT")
    await writing
    assert await bench.rows("SELECT title FROM documents") == [("Renamed",)]


async def test_a_write_waits_no_longer_than_another_program_may_take(
    bench: Bench, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collab.storage.sqlite.BUSY_TIMEOUT_MS", 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"):
            await bench.rows("UPDATE documents SET title = 'Renamed'")
    await bench.document("d")
