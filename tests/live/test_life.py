"""The life of rooms: one that fails ends alone, and what is too much for all is refused."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import weakref
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from collab.live.framed import FramedTransport
from collab.live.session import Session
from collab.log.local import LocalFeed
from collab.rooms import frames
from collab.rooms.presence import News
from collab.rooms.room import Room
from collab.storage.sqlite import READING_THREADS
from tests.serving import PATIENCE_S, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from collab.storage.database import Database
    from tests.peer import Peer


class Bug(Exception):
    """Nobody expects it."""


def fail_once(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, when: Callable[..., bool]
) -> None:
    """Let a function fail the next time that it is called with such arguments."""
    function = getattr(owner, name)
    failed = False

    def failing(*arguments: Any, **named: Any) -> Any:
        nonlocal failed
        if not failed and when(*arguments):
            failed = True
            raise Bug
        return function(*arguments, **named)

    monkeypatch.setattr(owner, name, failing)


async def type_one(peer: Peer) -> None:
    """A push at the end of a text of one unit a revision, which is ordered before any other."""
    length = peer.revision
    await peer.push([length, [0, "x"]] if length else [[0, "x"]])
    message = await peer.hear("updates")
    assert [update[0] for update in message["updates"]] == [peer.name]


@contextmanager
def holding(data_dir: Path) -> Iterator[None]:
    """Another program writes to the database, and does not end."""
    other = sqlite3.connect(data_dir / "collab.db", isolation_level=None)
    other.execute("begin immediate")
    try:
        yield
    finally:
        other.close()


@asynccontextmanager
async def typing(peer: Peer) -> AsyncIterator[None]:
    """The peer types on meanwhile."""
    stop = asyncio.Event()

    async def type_on() -> None:
        while not stop.is_set():
            await type_one(peer)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(type_on(), name="typing")
        yield
        stop.set()


FAULTS: dict[str, tuple[object, str, Callable[..., bool]]] = {
    "judging": (Room, "judge", lambda ada, _, entry: entry.client == ada.name),
    "applying": (Room, "apply", lambda ada, _, entry, _mark: entry.client == ada.name),
    "hearing of a commit": (LocalFeed, "saved", lambda _ada, _, revision: revision == 3),
    "flushing": (frames, "updates", lambda ada, _, _mark, items: ada.name.encode() in items),
    "beating": (frames, "beat", lambda ada, _, mark, *_rest: mark == ada.mark),
    "checking": (Session, "check", lambda ada, session, _: session.client == ada.name),
    "telling presence": (News, "message", lambda ada, news: ada.name in news.peers),
}
"""What fails, and whether it does it in the document that Ada types in."""


@pytest.mark.parametrize("what", FAULTS)
async def test_a_failure_ends_one_rooms_sessions_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """They come back to a room that is read anew, and nothing that was acknowledged is lost."""
    async with serving(tmp_path, heartbeat_s=1.0) as server:
        document_id = await server.document("1")
        ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
        eve = await server.join(await server.document(), "Eve")
        for _ in range(5):
            await type_one(eve)
        with capture_logs() as logged:
            async with typing(eve):
                await ada.push([1, [0, "2"]])
                await ada.hear("updates")
                owner, name, when = FAULTS[what]
                fail_once(monkeypatch, owner, name, partial(when, ada))
                await ada.send({"type": "presence", "revision": 2, "ranges": [[0, 1]]})
                await ada.push([2, [0, "3"]])
                assert (await ada.closed(), await bob.closed()) == (1012, 1012)
                place: dict[str, Any] = {"revision": ada.revision, "mark": ada.mark}
                back = await server.join(document_id, client=ada.client_id, inflight=2, **place)
                assert "reset" not in back.welcome
                if back.welcome["inflight"] == "void":
                    await back.push([2, [0, "3"]], seq=3)
                await back.heard(3)
                again = await server.join(document_id, "Bob")
                await again.push([3, [0, "4"]])
                await back.heard(4)
        assert await server.text(document_id) == "1234"
        (failure,) = [line for line in logged if line["log_level"] == "error"]
        assert isinstance(failure["exc_info"], Bug)
        assert document_id not in str(failure)
        for peer in (eve, back, again):
            await peer.leave()


async def test_a_connection_that_fails_costs_its_session_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as server:
        document_id = await server.document()
        ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
        eve = await server.join(document_id, "Eve")
        fail_once(
            monkeypatch, FramedTransport, "write", lambda _, batch: b'"updates"' in batch.wire
        )
        with capture_logs() as logged:
            await eve.push([[0, "x"]])
            assert await ada.closed() == 1012
        assert [line["log_level"] for line in logged] == ["error"]
        for peer in (bob, eve):
            assert await peer.heard(1) == [(eve.name, 1, [[0, "x"]])]
        back = await server.join(document_id, client=ada.client_id, revision=0, mark=ada.mark)
        assert await back.heard(1) == [(eve.name, 1, [[0, "x"]])]
        for peer in (back, bob, eve):
            await peer.leave()


MEGABYTE = "x" * 1_000_000


async def refused(peers: list[Peer], count: int) -> list[Peer]:
    """Wait until so many have heard that their push is refused, for the time being."""
    hearing = {asyncio.create_task(peer.hear("refused")): peer for peer in peers}
    told: list[Peer] = []
    while len(told) < count:
        done, _ = await asyncio.wait(hearing, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            refusal = task.result()
            assert (refusal["code"], refusal["retry_after_ms"]) == ("unavailable", 1_000)
            told.append(hearing.pop(task))
    for task in hearing:
        task.cancel()
    await asyncio.gather(*hearing, return_exceptions=True)
    return told


async def test_p5_a_document_is_ordered_only_so_far_ahead_of_the_database(tmp_path: Path) -> None:
    """Another program holds the database: what is too much is refused before it is ordered."""
    async with serving(tmp_path) as server:
        document_id = await server.document()
        peers = [await server.join(document_id, f"Typist {n}") for n in range(10)]
        with holding(tmp_path):
            for peer in peers:
                await peer.push([[0, MEGABYTE]], revision=0)
            late = await refused(peers, 2)
        for peer in peers:
            assert len(await peer.heard(8)) == 8
        await peers[0].saved(8)
        await late[0].push([8 * len(MEGABYTE), [0, "again"]])
        await peers[0].heard(9)
        assert len(await server.text(document_id)) == 8 * len(MEGABYTE) + 5
        for peer in peers:
            await peer.leave()


async def test_p5_all_documents_are_ordered_only_so_far_ahead_of_the_database(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, max_unsaved_bytes=2_500_000) as server:
        peers = [await server.join(await server.document()) for _ in range(4)]
        with holding(tmp_path):
            for peer in peers:
                await peer.push([[0, MEGABYTE]])
            late = await refused(peers, 2)
        for peer in sorted(peers, key=late.__contains__):
            if peer in late:
                await peer.push([[0, MEGABYTE]])
            assert len(await peer.heard(1)) == 1
            await peer.saved(1)
            await peer.leave()


async def test_p5_a_text_grows_only_while_there_is_memory(tmp_path: Path) -> None:
    """It may shrink; and it may grow again when another document was closed."""
    async with serving(tmp_path, max_memory_bytes=2_500_000) as server:
        other = await server.join(await server.document("x" * 300_000))
        peer = await server.join(await server.document("x" * 300_000), "Bob")
        await peer.push([300_000, [0, "y"]])
        await refused([peer], 1)
        await peer.push([299_999, [1]])
        await peer.hear("updates")
        status, problem = await server.refusal(await server.document())
        assert (status, problem["code"]) == (429, "rate_limited")
        await other.leave()
        answer = {"type": ""}
        async with asyncio.timeout(PATIENCE_S):
            while answer["type"] != "updates":
                await peer.push([299_999, [0, "y"]])
                answer = await peer.hear("refused", "updates")
        await peer.leave()


async def all_reading_at_once(database: Database) -> None:
    """Have each thread that reads open its connection."""
    together = threading.Barrier(READING_THREADS)
    reading = [
        database.look_up(lambda _: together.wait(PATIENCE_S)) for _ in range(READING_THREADS)
    ]
    await asyncio.gather(*reading)


async def test_nothing_of_a_room_is_left_when_its_last_editor_has_gone(tmp_path: Path) -> None:
    """No object of it, and so no timer; no task; no file."""
    async with serving(tmp_path, room_idle_s=0, heartbeat_s=0.7) as server:
        document_id = await server.document()
        await all_reading_at_once(server.services.database)  # their connections stay
        before = left_over()
        for revision in range(3):
            ada, bob = await server.join(document_id), await server.join(document_id, "Bob")
            room = weakref.ref(server.room(document_id))
            await ada.send({"type": "presence", "revision": 0, "ranges": [[0, 0]]})
            await ada.push([[0, "x"]], revision=0)
            await bob.heard(revision + 1)
            await ada.leave()
            bob.cut()
            await server.closed(document_id)
            gc.collect()
            assert room() is None
            if revision == 0:  # what is made at the first use, and kept
                before = left_over()
        assert left_over() == before
        assert before[0] == {
            "access",
            "flushing",
            "housekeeping",
            "registry",
            "revocations",
            "server",
            "upkeep",
            "writer",
        }


def left_over() -> tuple[set[str], int]:
    """The names of the tasks besides this one, and the number of open files."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return {task.get_name() for task in tasks}, len(list(Path("/proc/self/fd").iterdir()))
