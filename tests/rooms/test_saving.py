"""What a room hands to the writer, where several servers save."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collab.log.entry import Entry, Point, first_mark, next_mark
from collab.rooms.containment import Containment
from collab.rooms.history import History
from collab.rooms.room import Room
from collab.rooms.saving import Saving
from collab.storage.commit import Conflict
from collab.storage.runs import Row
from collab.text import Change, Text

if TYPE_CHECKING:
    from collab.log.entry import Ordered
    from collab.storage.writer import Listener


class Feed:
    """What saving needs of one: this server leads, and the log has one run."""

    leading = True
    run = "a run"

    def __init__(self) -> None:
        self.saved_revisions: list[int] = []
        self.doubts = 0

    def committed(self, _revision: int) -> None: ...

    def saved(self, revision: int) -> None:
        self.saved_revisions.append(revision)

    def doubt(self) -> None:
        self.doubts += 1


class Writer:
    def __init__(self) -> None:
        self.put_revisions: list[int] = []

    def put(
        self, _document_id: str, push: Ordered, _listener: Listener, _run: str | None = None
    ) -> None:
        self.put_revisions.append(push.last)


class SavedRoom:
    def __init__(self) -> None:
        self.room = Room(Text.empty(), History(Point(0, first_mark("d"), 0)))
        self.saved_revisions: list[int] = []

    def order(self, seq: int) -> Ordered:
        entry = Entry("ada", seq, seq - 1, (Change.empty(0),), "somebody", 1)
        return self.room.apply(entry, next_mark(self.room.mark, entry.encode()))

    def mark_at(self, revision: int) -> str | None:
        return self.room.history.mark_at(revision)

    def saved(self, revision: int) -> None:
        self.saved_revisions.append(revision)

    def not_saved(self, error: Exception) -> None:
        raise error

    def deleted(self) -> None: ...


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def room() -> SavedRoom:
    return SavedRoom()


@pytest.fixture
def saving(writer: Writer, room: SavedRoom) -> Saving:
    return Saving("d", writer, room, Containment(lambda: None))


def test_what_another_server_saved_instead_is_told_to_all(
    saving: Saving, writer: Writer, room: SavedRoom
) -> None:
    """S1: that server may have died before it told anybody. The rest is given to the writer."""
    feed = Feed()
    saving.open(feed)  # type: ignore[arg-type]
    for seq in (1, 2, 3):
        saving.ordered(room.order(seq))
    saving.not_saved(Conflict(Row("a run", 2, str(room.mark_at(2)))))
    assert (room.saved_revisions, feed.saved_revisions, feed.doubts) == ([2], [2], 0)
    assert writer.put_revisions == [1, 2, 3, 3]
