"""What the rooms of a server take, and how much they may: memory, and work that is not saved."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING

from collab.errors import Unavailable
from collab.log.rebase import REPLACEMENT_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.log.entry import Entry, Point
    from collab.rooms.room import Room
    from collab.text import Change, Text

MAX_UNSAVED_REVISIONS = 4_000
MAX_UNSAVED_WEIGHT = 8 * 1024 * 1024
"""How far a room's order may be ahead of the database, as long as that is more than one push. Half
of what a room keeps of the past, so that the revision that is shown is always kept."""

RETRY_AFTER_MS = 1_000


class Budget:
    """All rooms of one server together.

    `memory` is about what they take in bytes; `unsaved` is the weight of what they ordered and the
    database does not have yet, and `unsaved_revisions` counts it.
    """

    def __init__(
        self, max_memory_bytes: int, max_unsaved_bytes: int, make_room: Callable[[], None]
    ) -> None:
        """`make_room` closes what nobody uses."""
        self.memory = 0
        self.unsaved = 0
        self.unsaved_revisions = 0
        self._max_memory_bytes = max_memory_bytes
        self._max_unsaved_bytes = max_unsaved_bytes
        self._make_room = make_room

    def has_memory(self, growth: int = 0) -> bool:
        """Whether rooms may grow by so many bytes, once all that is idle is closed if need be."""
        if self.memory + growth >= self._max_memory_bytes:
            self._make_room()
        return self.memory + growth < self._max_memory_bytes

    def may_order(self, weight: int) -> bool:
        return not self.unsaved or self.unsaved + weight <= self._max_unsaved_bytes


def _about(update: Change) -> int:
    """What an update will weigh, nearly: it is not written yet."""
    inserts = update.inserts
    return REPLACEMENT_WEIGHT * (1 + len(inserts)) + sum(map(len, inserts))


class Account:
    """One room's part in the budget: its memory from `open` to `close`, its unsaved pushes until
    the database has answered for them.
    """

    def __init__(self, budget: Budget, room: Room) -> None:
        self._budget = budget
        self._room = room
        self._is_open = False
        self._memory = 0
        self._unsaved = 0
        self._unsaved_revisions = 0
        self._saved = room.history.end
        self._pushes: list[Point] = []  # the ends of those that are not saved

    def admit(self, entry: Entry, text: Text) -> None:
        """Raises `Unavailable` where the budget does not allow an entry that would make `text`.

        However large it is, it is allowed when all others are saved.
        """
        growth = len(text) - len(self._room.text)
        if growth > 0 and not self._budget.has_memory(growth):
            raise Unavailable("this server's memory is full", retry_after_ms=RETRY_AFTER_MS)
        weight = sum(map(_about, entry.updates))
        if not (self._may_order(entry.revisions, weight) and self._budget.may_order(weight)):
            raise Unavailable("the database is too far behind", retry_after_ms=RETRY_AFTER_MS)

    def _may_order(self, revisions: int, weight: int) -> bool:
        if not self._pushes:
            return True
        end = self._pushes[-1]
        return (
            end.revision - self._saved.revision + revisions <= MAX_UNSAVED_REVISIONS
            and end.weight - self._saved.weight + weight <= MAX_UNSAVED_WEIGHT
        )

    def open(self) -> None:
        self._is_open = True
        self._count()

    def ordered(self) -> None:
        """The room has one more push, which goes to the database."""
        self._pushes.append(self._room.history.end)
        self._count()

    def saved(self, revision: int) -> None:
        count = bisect_right(self._pushes, revision, key=attrgetter("revision"))
        if count:
            self._saved = self._pushes[count - 1]
            del self._pushes[:count]
        self._count()

    def not_saved(self) -> None:
        self._pushes.clear()
        self._count()

    def close(self) -> None:
        self._is_open = False
        self._count()

    def _count(self) -> None:
        memory = self._room.memory if self._is_open else 0
        end = self._pushes[-1] if self._pushes else self._saved
        unsaved = end.weight - self._saved.weight
        revisions = end.revision - self._saved.revision
        self._budget.memory += memory - self._memory
        self._budget.unsaved += unsaved - self._unsaved
        self._budget.unsaved_revisions += revisions - self._unsaved_revisions
        self._memory, self._unsaved, self._unsaved_revisions = memory, unsaved, revisions
