"""An open document and its sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collab.errors import CloseCode, NotFound, Refusal, SessionEnd, Unavailable
from collab.log.entry import Entry, first_mark
from collab.log.local import LocalFeed
from collab.rooms.history import History
from collab.rooms.open_room import OpenRoom
from collab.rooms.room import Room
from collab.text import Change, Text

if TYPE_CHECKING:
    from collab.log.entry import Ordered
    from collab.rooms.frames import Batch
    from collab.storage.writer import Listener


class Writer:
    """Keeps what is put until it is told to save it."""

    def __init__(self) -> None:
        self.put_pushes: list[tuple[Ordered, Listener]] = []
        self.error: Exception = OSError("the disk is full")

    def put(self, _document_id: str, push: Ordered, listener: Listener) -> None:
        self.put_pushes.append((push, listener))

    def save(self) -> None:
        for push, listener in self.put_pushes:
            listener.saved(push.last)
        self.put_pushes.clear()

    def fail(self) -> None:
        for _, listener in self.put_pushes:
            listener.not_saved(self.error)
        self.put_pushes.clear()


class Session:
    writable = False
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

    def end(self, reason: SessionEnd) -> None:
        self.ended.append(reason.close)


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def broken() -> list[OpenRoom]:
    """The rooms that said that they know their document no longer."""
    return []


@pytest.fixture
def room(writer: Writer, broken: list[OpenRoom]) -> OpenRoom:
    mark = first_mark("d")
    empty = Room(Text.empty(), 0, mark, History(0, mark))
    made = OpenRoom("d", empty, writer, max_units=100, presence_hz=10, on_broken=broken.append)
    made.feed = LocalFeed(made)
    return made


def push(room: OpenRoom, session: Session, seq: int, text: str = "x") -> None:
    change = Change.replace(len(room.visible_text), 0, 0, text)
    entry = Entry(session.client, seq, room.visible_revision, (change,), "ada", 1)
    room.push(entry, session)


async def test_a_push_is_shown_when_it_is_saved_and_not_before(
    room: OpenRoom, writer: Writer
) -> None:
    ada = Session("ada")
    room.join(ada, 1)
    push(room, ada, 1)
    assert (room.revision, room.visible_revision, str(room.visible_text)) == (1, 0, "")
    assert not room.idle
    writer.save()
    assert (room.visible_revision, room.saved_revision, str(room.visible_text)) == (1, 1, "x")


async def test_the_welcomes_text_is_encoded_once_a_revision(room: OpenRoom, writer: Writer) -> None:
    ada = Session("ada")
    push(room, ada, 1, "😀\n")
    writer.save()
    encoded = room.visible_text_json
    assert encoded == '"😀\\n"'.encode()
    assert room.visible_text_json is encoded
    push(room, ada, 2)
    assert room.visible_text_json is encoded
    writer.save()
    assert room.visible_text_json == '"x😀\\n"'.encode()


async def test_h7_a_handshake_that_was_overtaken_does_not_end_the_newer_session(
    room: OpenRoom,
) -> None:
    """A client gave up on a slow handshake and came again; the first is completed last."""
    first, second = Session("ada"), Session("ada")
    room.arrive("ada", 1)
    room.arrive("ada", 2)
    assert not room.is_newest("ada", 1)
    room.join(second, 2)
    room.join(first, 1)
    assert (first.ended, second.ended) == ([CloseCode.REPLACED], [])
    assert room.sessions() == (second,)


async def test_h7_arrivals_count_in_their_order_whoever_reaches_the_room_first(
    room: OpenRoom,
) -> None:
    first, second = Session("ada"), Session("ada")
    room.arrive("ada", 2)
    room.join(second, 2)
    room.arrive("ada", 1)
    room.join(first, 1)
    assert room.sessions() == (second,)


async def test_h7_a_handshake_that_failed_leaves_the_older_one_its_place(room: OpenRoom) -> None:
    first = Session("ada")
    room.arrive("ada", 1)
    room.arrive("ada", 2)
    room.depart("ada", 2)
    room.join(first, 1)
    assert room.sessions() == (first,)


async def test_a_newer_session_of_a_client_ends_the_older(room: OpenRoom) -> None:
    """L3: 4409."""
    first, second, other = Session("ada"), Session("ada"), Session("bob")
    room.join(other, 1)
    room.join(first, 2)
    room.join(second, 3)
    assert (first.ended, second.ended, other.ended) == ([CloseCode.REPLACED], [], [])


async def test_a_room_that_cannot_save_ends_its_sessions_and_takes_no_more(
    room: OpenRoom, writer: Writer, broken: list[OpenRoom]
) -> None:
    ada, bob = Session("ada"), Session("bob")
    room.join(ada, 1)
    room.join(bob, 2)
    push(room, ada, 1)
    push(room, bob, 1)
    writer.fail()
    assert broken == [room]
    assert ada.ended == bob.ended == [CloseCode.RESTART]
    assert room.sessions() == ()
    with pytest.raises(Unavailable):
        push(room, ada, 2)
    with pytest.raises(Unavailable):
        await room.fate("ada", 1)
    late = Session("eve")
    room.join(late, 3)
    assert late.ended == [CloseCode.RESTART]


async def test_x2_a_deleted_document_says_so_to_all_who_have_it_and_who_still_come(
    room: OpenRoom, writer: Writer
) -> None:
    """Also where the writer finds out before the registry."""
    ada = Session("ada")
    room.join(ada, 1)
    push(room, ada, 1)
    writer.error = NotFound("the document was deleted")
    writer.fail()
    late = Session("eve")
    room.join(late, 2)
    assert ada.ended == late.ended == [CloseCode.DELETED]


async def test_a_full_document_may_still_shrink(room: OpenRoom, writer: Writer) -> None:
    ada = Session("ada")
    push(room, ada, 1, "x" * 100)
    writer.save()
    with pytest.raises(Refusal, match="at most 100"):
        push(room, ada, 2)
    room.push(Entry("ada", 3, 1, (Change.replace(100, 0, 1, ""),), "ada", 1), ada)
    assert ada.heard == [(1, 1), (3, 2)]
