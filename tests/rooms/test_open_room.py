"""An open document and its sessions."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from collab.errors import CloseCode, NotFound, Refusal, SessionEnd, Unavailable
from collab.log.entry import Entry, Point, first_mark
from collab.log.local import LocalFeed
from collab.rooms.budget import MAX_UNSAVED_REVISIONS, Budget
from collab.rooms.history import History
from collab.rooms.open_room import OpenRoom
from collab.rooms.room import Room
from collab.text import Change, Text
from tests.rooms.looking import Access

if TYPE_CHECKING:
    from collab.log.entry import Ordered
    from collab.rooms.frames import Batch
    from collab.storage.writer import Listener


class Writer:
    """Keeps what is put until it is told to save it."""

    def __init__(self) -> None:
        self.put_pushes: list[tuple[Ordered, Listener]] = []
        self.error: Exception = OSError("the disk is full")

    def put(
        self, _document_id: str, push: Ordered, listener: Listener, _run: str | None = None
    ) -> None:
        self.put_pushes.append((push, listener))

    def save(self) -> None:
        for push, listener in self.put_pushes:
            listener.committed(push.last)
            listener.saved(push.last)
        self.put_pushes.clear()

    def fail(self) -> None:
        for _, listener in self.put_pushes:
            listener.not_saved(self.error)
        self.put_pushes.clear()


class Session:
    writable = False
    may_write = True
    color = "#000000"

    def __init__(self, client: str) -> None:
        self.client = self.name = client
        self.position = self.saved = self.presence = 0
        self.ended: list[CloseCode] = []
        self.heard: list[object] = []

    def write(self, batch: Batch) -> None: ...

    def fell_behind(self) -> None: ...

    def check(self, now: float) -> None: ...

    def say_goodbye(self) -> None: ...

    def ordered(self, seq: int, last: int) -> None:
        self.heard.append((seq, last))

    def refused(self, seq: int, refusal: Refusal) -> None:
        self.heard.append((seq, refusal.code))

    def settled(self, seq: int) -> None: ...

    def end(self, reason: SessionEnd) -> None:
        self.ended.append(reason.close)


def enter(room: OpenRoom, session: Session, arrival: int) -> None:
    """Join, and be heard."""
    room.attendance.join(session, arrival)
    room.attendance.heard(session)


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def broken() -> list[OpenRoom]:
    """The rooms that said that they know their document no longer."""
    return []


@pytest.fixture
def budget() -> Budget:
    return Budget(1_000_000_000, 100_000_000, lambda: None)


@pytest.fixture
def room(writer: Writer, broken: list[OpenRoom], budget: Budget) -> OpenRoom:
    return opened(writer, broken, budget)


def opened(
    writer: Writer, broken: list[OpenRoom], budget: Budget, max_units: int = 100
) -> OpenRoom:
    """A room of an empty document."""
    empty = Room(Text.empty(), History(Point(0, first_mark("d"), 0)))
    room = OpenRoom(
        "d",
        empty,
        writer,
        budget,
        Access(),
        max_units=max_units,
        presence_hz=10,
        on_broken=broken.append,
    )
    room.open(LocalFeed(room))
    return room


def push(room: OpenRoom, session: Session, seq: int, text: str = "x") -> None:
    change = Change.replace(len(room.visible_text), 0, 0, text)
    entry = Entry(session.client, seq, room.visible_revision, (change,), "ada", 1)
    room.push(entry, session)


async def test_a_push_is_shown_when_it_is_saved_and_not_before(
    room: OpenRoom, writer: Writer
) -> None:
    ada = Session("ada")
    enter(room, ada, 1)
    push(room, ada, 1)
    assert (room.revision, room.visible_revision, str(room.visible_text)) == (1, 0, "")
    assert not room.idle
    writer.save()
    assert (room.visible_revision, room.saved_revision, str(room.visible_text)) == (1, 1, "x")


async def test_the_welcomes_text_is_encoded_once_a_revision(room: OpenRoom, writer: Writer) -> None:
    ada = Session("ada")
    push(room, ada, 1, "😀\n")
    writer.save()
    first = await room.snapshots.take(deflated=False)
    assert (first.revision, first.mark) == (1, room.visible_mark)
    assert first.json == '"😀\\n"'.encode()
    push(room, ada, 2)
    assert await room.snapshots.take(deflated=True) is first
    writer.save()
    assert (await room.snapshots.take(deflated=False)).json == '"x😀\\n"'.encode()


async def test_h7_a_handshake_that_was_overtaken_does_not_end_the_newer_session(
    room: OpenRoom,
) -> None:
    """A client gave up on a slow handshake and came again; the first is completed last."""
    first, second = Session("ada"), Session("ada")
    room.attendance.arrive("ada", 1)
    room.attendance.arrive("ada", 2)
    assert not room.attendance.is_newest("ada", 1)
    enter(room, second, 2)
    enter(room, first, 1)
    assert (first.ended, second.ended) == ([CloseCode.REPLACED], [])
    assert room.attendance.sessions() == (second,)


async def test_h7_arrivals_count_in_their_order_whoever_reaches_the_room_first(
    room: OpenRoom,
) -> None:
    first, second = Session("ada"), Session("ada")
    room.attendance.arrive("ada", 2)
    enter(room, second, 2)
    room.attendance.arrive("ada", 1)
    enter(room, first, 1)
    assert room.attendance.sessions() == (second,)


async def test_h7_a_handshake_that_failed_leaves_the_older_one_its_place(room: OpenRoom) -> None:
    first = Session("ada")
    room.attendance.arrive("ada", 1)
    room.attendance.arrive("ada", 2)
    room.attendance.depart("ada", 2)
    enter(room, first, 1)
    assert room.attendance.sessions() == (first,)


async def test_a_newer_session_of_a_client_ends_the_older(room: OpenRoom) -> None:
    """L3: 4409."""
    first, second, other = Session("ada"), Session("ada"), Session("bob")
    enter(room, other, 1)
    enter(room, first, 2)
    enter(room, second, 3)
    assert (first.ended, second.ended, other.ended) == ([CloseCode.REPLACED], [], [])


async def test_a_room_that_cannot_save_ends_its_sessions_and_takes_no_more(
    room: OpenRoom, writer: Writer, broken: list[OpenRoom]
) -> None:
    ada, bob = Session("ada"), Session("bob")
    enter(room, ada, 1)
    enter(room, bob, 2)
    push(room, ada, 1)
    push(room, bob, 1)
    writer.fail()
    assert broken == [room]
    assert ada.ended == bob.ended == [CloseCode.RESTART]
    assert room.attendance.sessions() == ()
    with pytest.raises(Unavailable):
        push(room, ada, 2)
    with pytest.raises(Unavailable):
        await room.fate("ada", 1)
    late = Session("eve")
    enter(room, late, 3)
    assert late.ended == [CloseCode.RESTART]


async def test_x2_a_deleted_document_says_so_to_all_who_have_it_and_who_still_come(
    room: OpenRoom, writer: Writer
) -> None:
    """Also where the writer finds out before the registry."""
    ada = Session("ada")
    enter(room, ada, 1)
    push(room, ada, 1)
    writer.error = NotFound("the document was deleted")
    writer.fail()
    late = Session("eve")
    enter(room, late, 2)
    assert ada.ended == late.ended == [CloseCode.DELETED]


async def test_a_full_document_may_still_shrink(room: OpenRoom, writer: Writer) -> None:
    ada = Session("ada")
    push(room, ada, 1, "x" * 100)
    writer.save()
    with pytest.raises(Refusal, match="at most 100"):
        push(room, ada, 2)
    room.push(Entry("ada", 3, 1, (Change.replace(100, 0, 1, ""),), "ada", 1), ada)
    assert ada.heard == [(1, 1), (3, 2)]


# -- How far the order may be ahead of the database ------------------------------------------------


def fill(room: OpenRoom, session: Session, updates: int) -> None:
    """A push of so many updates, which do nothing."""
    empty = Change.empty(len(room.visible_text))
    seq = room.revision + 1
    entry = Entry(session.client, seq, room.visible_revision, (empty,) * updates, "ada", 1)
    room.push(entry, session)


async def test_p5_so_many_revisions_may_be_unsaved_and_no_more(
    room: OpenRoom, writer: Writer
) -> None:
    ada = Session("ada")
    fill(room, ada, MAX_UNSAVED_REVISIONS - 1)
    with pytest.raises(Unavailable) as caught:
        fill(room, ada, 2)
    assert caught.value.retry_after_ms == 1_000
    fill(room, ada, 1)
    with pytest.raises(Unavailable):
        fill(room, ada, 1)
    writer.save()
    fill(room, ada, 1)
    assert room.revision == MAX_UNSAVED_REVISIONS + 1


async def test_a_push_larger_than_what_may_be_unsaved_is_ordered_when_all_else_is_saved(
    room: OpenRoom, writer: Writer
) -> None:
    ada = Session("ada")
    fill(room, ada, 2 * MAX_UNSAVED_REVISIONS)
    with pytest.raises(Unavailable):
        fill(room, ada, 1)
    assert room.visible_mark
    writer.save()
    fill(room, ada, 1)


async def test_what_is_visible_is_kept_however_heavy_the_unsaved_pushes_are(
    writer: Writer, broken: list[OpenRoom], budget: Budget
) -> None:
    room = opened(writer, broken, budget, max_units=100_000_000)
    ada = Session("ada")
    visible = room.visible_mark
    refused = False
    for size in (1_000, 3_000_000, 3_000_000, 3_000_000, 20_000_000):
        try:
            push(room, ada, room.revision + 1, "x" * size)
        except Unavailable:
            refused = True
        assert room.visible_mark == visible
    assert refused
    writer.save()
    push(room, ada, room.revision + 1, "x" * 20_000_000)
    assert room.visible_mark


async def test_a_text_may_shrink_but_not_grow_while_memory_is_full(
    writer: Writer, broken: list[OpenRoom]
) -> None:
    freed: list[None] = []
    room = opened(writer, broken, Budget(1, 10_000_000, lambda: freed.append(None)))
    ada = Session("ada")
    with pytest.raises(Unavailable, match="memory"):
        push(room, ada, 1)
    assert freed  # what is idle was closed first
    fill(room, ada, 1)
    assert ada.heard == [(1, 1)]


# -- Failures ----------------------------------------------------------------------------------


async def test_a_failure_ends_the_room_for_all_who_use_it(
    room: OpenRoom, writer: Writer, broken: list[OpenRoom], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is put any more."""
    ada, bob = Session("ada"), Session("bob")
    enter(room, ada, 1)
    enter(room, bob, 2)
    push(room, ada, 1)
    shown = asyncio.create_task(room.shown(1))
    await asyncio.sleep(0)
    monkeypatch.setattr(Room, "apply", None)
    push(room, bob, 1)
    assert bob.heard == [(1, "unavailable")]
    assert broken == [room]
    assert (ada.ended, bob.ended) == ([CloseCode.RESTART], [CloseCode.RESTART])
    with pytest.raises(Unavailable):
        await shown
    assert len(writer.put_pushes) == 1


async def test_a_session_that_cannot_even_end_does_not_keep_the_others(
    room: OpenRoom, broken: list[OpenRoom], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [Session("ada"), Session("bob"), Session("eve")]
    for arrival, session in enumerate(sessions):
        enter(room, session, arrival)
    for name in ("end", "check", "say_goodbye"):
        monkeypatch.setattr(sessions[1], name, None)
    room.check(0)
    assert broken == [room]
    assert [session.ended for session in sessions] == [
        [CloseCode.RESTART],
        [],
        [CloseCode.RESTART],
    ]
    assert room.attendance.sessions() == ()
    room.say_goodbye()


class LostFeed(LocalFeed):
    """Of a log that many servers share, whose order another one saves."""

    leading = False
    run = "a run"  # type: ignore[assignment]


async def test_a_room_that_is_adrift_saves_nothing_more(
    room: OpenRoom, writer: Writer, budget: Budget
) -> None:
    """What it has heard is not the order: the database is not to have it before that has it."""
    room.open(LostFeed(room))
    push(room, Session("ada"), 1)
    assert budget.unsaved_revisions == 1
    room.adrift()
    assert writer.put_pushes == []
    assert budget.unsaved_revisions == 0


async def test_a_push_that_cannot_be_judged_is_refused_at_once(
    room: OpenRoom, broken: list[OpenRoom], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room, "judge", None)
    ada = Session("ada")
    with pytest.raises(Unavailable):
        push(room, ada, 1)
    assert (broken, ada.heard) == ([room], [])


async def test_no_timer_holds_a_room_that_was_closed_with_its_sessions(
    writer: Writer, budget: Budget
) -> None:
    room = opened(writer, [], budget)
    for arrival, session in enumerate((Session("ada"), Session("bob"), Session("eve"))):
        enter(room, session, arrival)
    room.close()
    closed = weakref.ref(room)
    del room
    gc.collect()
    assert closed() is None
    assert (budget.memory, budget.unsaved) == (0, 0)
