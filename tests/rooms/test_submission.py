"""Pushes that no session sends, and texts as they were, where showing and saving differ."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

from collab.errors import NotFound, Refusal, Stale, Unavailable
from collab.log.entry import Entry, Point, first_mark
from collab.log.local import LocalFeed
from collab.rooms import past, submission
from collab.rooms.budget import Budget
from collab.rooms.history import History
from collab.rooms.open_room import OpenRoom
from collab.rooms.room import Room
from collab.text import Change, Text
from tests.rooms.looking import Access
from tests.rooms.test_open_room import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from collab.storage.database import Database


T = TypeVar("T")


class KeepingFeed(LocalFeed):
    """Keeps what the database does not have yet, as a log of many servers."""

    @property
    def run(self) -> str:  # type: ignore[override]
        return "a run"


class LaterFeed(KeepingFeed):
    """Orders when it is told to, and may refuse."""

    def __init__(self, room: OpenRoom) -> None:
        super().__init__(room)
        self._room = room
        self.waiting: list[Entry] = []

    def append(self, entry: Entry) -> None:
        self.waiting.append(entry)

    def order(self) -> None:
        for entry in self.waiting:
            super().append(entry)
        self.waiting.clear()

    def refuse(self, refusal: Refusal) -> None:
        for entry in self.waiting:
            self._room.refused(entry, refusal)


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def make_room(writer: Writer) -> Callable[[type[LocalFeed]], OpenRoom]:
    def make(feed: type[LocalFeed]) -> OpenRoom:
        start = History(Point(0, first_mark("d"), 0))
        budget = Budget(10_000_000, 10_000_000, lambda: None)
        room = OpenRoom(
            "d",
            Room(Text.empty(), start),
            writer,
            budget,
            Access(),
            max_units=100,
            presence_hz=10,
            on_broken=lambda _: None,
        )
        room.open(feed(room))
        return room

    return make


def entry(room: OpenRoom, client: str = "robot") -> Entry:
    change = Change.replace(len(room.visible_text), 0, 0, "x")
    return Entry(client, 1, room.visible_revision, (change,), "ada", 1)


async def begun(waiting: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that has come as far as it can, and waits."""
    task = asyncio.create_task(waiting)
    stepped = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(stepped.set_result, None)  # after the task's first step
    await stepped
    assert not task.done()
    return task


async def test_it_returns_when_the_push_is_shown_and_not_before(
    make_room: Callable[..., OpenRoom], writer: Writer
) -> None:
    room = make_room(KeepingFeed)
    first = await begun(submission.submit(room, entry(room, "a")))
    second = await begun(submission.submit(room, entry(room, "b")))
    assert (room.revision, room.visible_revision) == (2, 0)
    room.durable(1)
    assert await first == (1, 1)
    assert not second.done()
    writer.save()
    assert await second == (2, 2)


async def test_where_the_database_is_all_there_is_it_returns_when_the_push_is_saved(
    make_room: Callable[..., OpenRoom], writer: Writer
) -> None:
    room = make_room(LocalFeed)
    task = await begun(submission.submit(room, entry(room)))
    room.durable(1)
    await asyncio.sleep(0)
    assert not task.done()
    writer.save()
    assert await task == (1, 1)


async def test_a_log_may_order_it_later(make_room: Callable[..., OpenRoom]) -> None:
    room = make_room(LaterFeed)
    task = await begun(submission.submit(room, entry(room)))
    cast("LaterFeed", room.feed).order()
    room.durable(1)
    assert await task == (1, 1)


async def test_what_the_room_or_the_log_refuses_is_raised(
    make_room: Callable[..., OpenRoom],
) -> None:
    room = make_room(LaterFeed)
    task = await begun(submission.submit(room, entry(room)))
    cast("LaterFeed", room.feed).refuse(Stale("too late"))
    with pytest.raises(Stale, match="too late"):
        await task
    change = Change.replace(7, 0, 0, "x")
    with pytest.raises(Refusal, match="lengths do not fit"):
        await submission.submit(room, Entry("robot", 2, 0, (change,), "ada", 1))


async def test_whoever_waits_is_told_when_the_room_is_closed(
    make_room: Callable[..., OpenRoom], writer: Writer
) -> None:
    room = make_room(LocalFeed)
    task = await begun(submission.submit(room, entry(room)))
    writer.fail()
    with pytest.raises(Unavailable):
        await task
    with pytest.raises(Unavailable):
        await room.shown(1)


async def test_who_stops_waiting_takes_nothing_back(
    make_room: Callable[..., OpenRoom], writer: Writer
) -> None:
    room = make_room(LocalFeed)
    task = await begun(submission.submit(room, entry(room)))
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    writer.save()
    assert str(room.visible_text) == "x"


async def test_nor_before_it_is_ordered(make_room: Callable[..., OpenRoom], writer: Writer) -> None:
    room = make_room(LaterFeed)
    for fate in ("ordered", "refused"):
        task = await begun(submission.submit(room, entry(room, fate)))
        task.cancel()
        await asyncio.wait([task])
        if fate == "ordered":
            cast("LaterFeed", room.feed).order()
        else:
            cast("LaterFeed", room.feed).refuse(Stale("too late"))
    writer.save()
    assert room.visible_revision == 1


async def test_what_became_of_a_push_is_known_when_it_is_shown(
    make_room: Callable[..., OpenRoom], writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The push of a request that was given up: ordered, not saved yet."""

    async def none_is_saved(*_: object) -> int:
        return -1

    monkeypatch.setattr("collab.storage.history.last_seq", none_is_saved)
    room = make_room(LocalFeed)
    database = cast("Database", None)
    assert await submission.earlier(database, room, "robot") == (-1, False)
    room.push(entry(room), Listens())
    asking = await begun(submission.earlier(database, room, "robot"))
    assert await submission.earlier(database, room, "another") == (-1, False)
    assert not asking.done()
    writer.save()
    assert await asking == (1, True)


class Saved:
    """Stands for the database's texts: it has them up to a revision."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    async def text_at(self, _database: Database, document_id: str, revision: int) -> Text:
        assert document_id == "d"
        if revision >= len(self.texts):
            raise NotFound("not saved")
        return Text.of(self.texts[revision])


async def test_a_text_that_is_shown_and_not_saved_yet_is_made_of_the_one_that_is(
    make_room: Callable[..., OpenRoom], writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that keeps what the database does not have yet shows it before it is saved."""
    room = make_room(KeepingFeed)
    saved = Saved("")
    monkeypatch.setattr("collab.storage.history.text_at", saved.text_at)
    database = cast("Database", None)
    for revision in range(1, 6):
        room.push(entry(room, str(revision)), Listens())
        room.durable(revision)
        if revision == 2:
            writer.save()
            saved.texts = ("", "x", "xx")
    assert (room.saved_revision, room.visible_revision) == (2, 5)
    for revision in range(6):
        assert str(await past.text_at(database, room, revision)) == "x" * revision
        assert past.length_at(room, revision) == revision
    with pytest.raises(NotFound):
        await past.text_at(database, room, 6)


async def test_what_is_ordered_and_not_shown_has_no_text(
    make_room: Callable[..., OpenRoom], writer: Writer
) -> None:
    room = make_room(LocalFeed)
    room.push(entry(room), Listens())
    with pytest.raises(NotFound):
        await past.text_at(cast("Database", None), room, 1)
    assert past.length_at(room, 0) == 0
    writer.save()
    assert (past.length_at(room, 0), past.length_at(room, 1)) == (0, 1)


class Listens:
    may_write = True

    def ordered(self, seq: int, last: int) -> None: ...

    def refused(self, seq: int, refusal: Refusal) -> None: ...
