"""What a room has ordered and the database does not have yet.

One server saves it: `Feed.leading` says which. The others keep what they heard until they are told
that it is saved, so that any of them can go on when that one is gone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from collab.errors import NotFound
from collab.storage.commit import Conflict

if TYPE_CHECKING:
    from collab.log.contract import Feed
    from collab.log.entry import Ordered
    from collab.rooms.containment import Containment
    from collab.storage.writer import Listener

RETRY_S = 1.0
"""After how long a commit is tried again that has failed, where nothing is lost by that."""


class Saver(Protocol):
    """The background writer."""

    def put(
        self, document_id: str, push: Ordered, listener: Listener, run: str | None = None
    ) -> None: ...


class Saved(Protocol):
    """The room, as it hears of this."""

    def mark_at(self, revision: int) -> str | None: ...

    def saved(self, revision: int) -> None:
        """Everything up to `revision` is saved, here or elsewhere."""

    def not_saved(self, error: Exception) -> None:
        """What was ordered cannot be saved, and nobody else has it."""

    def deleted(self) -> None: ...


class Saving:
    """One room's. It is the writer's `Listener`."""

    def __init__(
        self, document_id: str, saver: Saver, room: Saved, containment: Containment
    ) -> None:
        self._document_id = document_id
        self._saver = saver
        self._room = room
        self._contained = containment
        self._feed: Feed | None = None
        self._unsaved: list[Ordered] = []
        self._given = 0  # how many of these the writer has
        self._retry: asyncio.TimerHandle | None = None

    def open(self, feed: Feed) -> None:
        self._feed = feed
        self.go_on()

    def ordered(self, push: Ordered) -> None:
        self._unsaved.append(push)
        self.go_on()

    def go_on(self) -> None:
        """Give the writer what it has not got, if it is for this server to save it."""
        if self._feed is not None and self._feed.leading and self._retry is None:
            self._give(self._feed.run)

    def _give(self, run: str | None) -> None:
        for push in self._unsaved[self._given :]:
            self._saver.put(self._document_id, push, self, run)
        self._given = len(self._unsaved)

    def close(self) -> None:
        """The room is closed: whatever is left is saved now, unless another server does."""
        if self._retry is not None:
            self._retry.cancel()
        feed, self._feed = self._feed, None
        if feed is not None and feed.run is not None:
            self._give(feed.run)

    def give_up(self) -> None:
        """What is left is not in the order: it is not to be saved before it is ordered again."""
        self._unsaved.clear()
        self._given = 0

    def saved_elsewhere(self, revision: int) -> None:
        self._drop(revision)
        self._room.saved(revision)

    def _drop(self, revision: int) -> None:
        saved = 0
        while saved < len(self._unsaved) and self._unsaved[saved].last <= revision:
            saved += 1
        del self._unsaved[:saved]
        self._given = max(self._given - saved, 0)

    # -- The writer's answers --------------------------------------------------------------------

    def committed(self, revision: int) -> None:
        if self._feed is not None:
            with self._contained:
                self._feed.committed(revision)

    def saved(self, revision: int) -> None:
        self._drop(revision)
        with self._contained:
            if self._feed is not None:
                self._feed.saved(revision)
        self._room.saved(revision)

    def not_saved(self, error: Exception) -> None:
        self._given = 0
        feed = self._feed
        if feed is None or feed.run is None:
            self._room.not_saved(error)
        elif isinstance(error, NotFound):
            self._room.deleted()
        elif isinstance(error, Conflict) and self._is_ours(error, feed):
            self.saved(error.row.revision)  # who saved it may not have told anybody
            self.go_on()
        else:
            if isinstance(error, Conflict):
                feed.doubt()
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._try_again)

    def _is_ours(self, conflict: Conflict, feed: Feed) -> bool:
        """Whether another server saved what was to be saved here."""
        row = conflict.row
        return row.run == feed.run and self._room.mark_at(row.revision) == row.mark

    def _try_again(self) -> None:
        self._retry = None
        self.go_on()
