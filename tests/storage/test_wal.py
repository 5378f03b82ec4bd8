"""What SQLite commits holds at once, and is called saved when the disk has it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from collab.storage import history, wal
from tests.storage.saving import PATIENCE_S, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.saving import Bench


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


class Disk:
    """In place of the system's flush: it may stall, or fail, and counts."""

    def __init__(self) -> None:
        self.flushes = 0
        self.failures: list[OSError] = []
        self.going_on = threading.Event()
        self.going_on.set()
        self.asked = threading.Semaphore(0)

    def sync(self, file: int) -> None:
        self.flushes += 1
        self.asked.release()
        assert self.going_on.wait(PATIENCE_S)
        if self.failures:
            raise self.failures.pop()
        os.fsync(file)

    async def is_asked(self) -> None:
        assert await asyncio.to_thread(self.asked.acquire, timeout=PATIENCE_S)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(wal, "sync", made.sync)
    return made


async def test_what_is_written_is_on_the_disk_before_anybody_is_told(
    bench: Bench, disk: Disk
) -> None:
    await bench.document("d")
    disk.going_on.clear()
    writing = asyncio.create_task(bench.rows("UPDATE documents SET title = 'Renamed'"))
    await disk.is_asked()  # for the document
    await disk.is_asked()
    assert not writing.done()
    disk.going_on.set()
    await writing


async def test_a_disk_that_stalls_delays_what_is_called_saved_and_no_commit(
    bench: Bench, disk: Disk
) -> None:
    document = await bench.document("d")
    await disk.is_asked()
    disk.going_on.clear()
    for revision, text in enumerate("abc", 1):
        bench.writer.put("d", document.type(text), document)
        await document.holds(revision)
        saved = await history.load(bench.database, "d")
        assert saved.end.revision == revision
    await disk.is_asked()
    settling = asyncio.create_task(bench.writer.settle("d"))
    await asyncio.sleep(0)
    assert (document.saved_revision, settling.done(), disk.flushes) == (0, False, 2)
    disk.going_on.set()
    await settling
    assert document.saved_revision == 3


async def test_commits_that_wait_for_the_disk_share_a_flush(bench: Bench, disk: Disk) -> None:
    await bench.document("d")
    before = disk.flushes
    disk.going_on.clear()
    retitle = "UPDATE documents SET title = 'Renamed'"
    writing = [asyncio.create_task(bench.rows(retitle)) for _ in range(10)]
    await disk.is_asked()
    await disk.is_asked()
    await bench.database.commit(lambda _: None)  # all the others are committed by then
    await asyncio.sleep(0)
    disk.going_on.set()
    await asyncio.gather(*writing)
    assert disk.flushes - before <= 2


async def test_what_the_disk_did_not_take_is_saved_by_a_checkpoint(
    url: str, path: Path, disk: Disk
) -> None:
    """After a failure the system may take for written what is not: a second flush tells nothing."""
    async with running(url, patience_s=PATIENCE_S) as bench:
        document = await bench.document("d")
        before = disk.flushes
        disk.failures.append(OSError("the disk failed"))
        await bench.save(document, "kept")
        assert not document.failures
        assert disk.flushes == before + 1
        assert path.with_name("test.db-wal").stat().st_size == 0
        with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as file:
            assert file.execute("SELECT saved_revision FROM documents").fetchall() == [(1,)]
        await bench.save(document, "on ")
        assert disk.flushes == before + 2


async def test_what_the_disk_does_not_take_for_long_is_not_saved_until_it_does(
    url: str, path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "BUSY_TIMEOUT_S", 0)
    async with running(url, patience_s=0) as bench:
        document = await bench.document("d")
        disk.failures.append(OSError("the disk failed"))
        await bench.save(document, "kept")
        assert [type(failure) for failure in document.failures] == [OSError]
        with closing(sqlite3.connect(path, isolation_level=None)) as another:
            another.execute("BEGIN")
            another.execute("SELECT * FROM documents").fetchall()
            await bench.database.commit(lambda c: c.exec_driver_sql("UPDATE documents SET title=1"))
            with pytest.raises(OSError, match="could not be brought to the disk"):
                await bench.writer.settle("d")
        await bench.writer.settle("d")
        assert str((await history.load(bench.database, "d")).text) == "kept"


async def test_a_long_log_is_moved_into_the_file_and_begun_anew(
    bench: Bench, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "CHECKPOINT_FRAMES", 50)
    document = await bench.document("d")
    for number in range(60):
        await bench.save(document, f"{number} ")
    log = path.with_name("test.db-wal").read_bytes()
    assert int.from_bytes(log[12:16]) > 1  # how often it was begun anew
    assert len(log) < 32 + 150 * (24 + 4096)


async def test_how_long_the_log_is_is_told_by_its_frames(bench: Bench, path: Path) -> None:
    document = await bench.document("d")
    await bench.save(document, "x" * 50_000)
    with closing(sqlite3.connect(path)) as another:
        _, frames, _ = another.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    await bench.save(document, "y")
    log = path.with_name("test.db-wal")
    assert log.stat().st_size >= 32 + frames * (24 + 4096)  # it keeps its length
    with log.open("rb") as file:
        assert not wal.is_longer_than(frames - 1, file.fileno())
        assert wal.is_longer_than(0, file.fileno())
