"""What a room has shown lately, for those who follow its updates with their authors and times.

The history that sessions are fed from does not hold these, and a room that nobody follows keeps
nothing here. Followers have no queues: each has a position, reads on from it at its own pace, and
where that is no longer kept here, from the database.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from collab.storage import history

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from collab.log.entry import Past
    from collab.rooms.open_room import OpenRoom
    from collab.storage.database import Database
    from collab.storage.history import SavedUpdate

MAX_KEPT = 1_000
MAX_KEPT_BYTES = 512 * 1024
"""How much is kept at most: updates, and bytes of changes. What is not shown yet comes on top."""

MAX_PAGE = 100
MAX_PAGE_BYTES = 64 * 1024
"""How much is handed out at once; a single update may be larger."""


class Trail:
    """The updates after `start`, as far as they are kept."""

    def __init__(self) -> None:
        self.ended = False
        """Nothing more is shown: the room is closed."""
        self._start = 0
        self._kept: list[SavedUpdate] = []
        self._bytes = 0
        self._visible = 0
        self._followers = 0
        self._news: asyncio.Event | None = None  # that somebody waits for

    # -- What the room tells ------------------------------------------------------------------

    def ordered(self, push: Past) -> None:
        """A push is next in the order. It is handed out when it is shown."""
        if not self._followers:
            return
        for update in history.updates_of(push):
            self._kept.append(update)
            self._bytes += len(update.change)

    def show(self, revision: int) -> None:
        """What was ordered up to a revision may be shown."""
        self._visible = revision
        dropped = 0
        for update in self._kept:
            full = len(self._kept) - dropped > MAX_KEPT or self._bytes > MAX_KEPT_BYTES
            if not full or update.revision > revision:
                break
            self._start = update.revision
            self._bytes -= len(update.change)
            dropped += 1
        del self._kept[:dropped]
        self.wake()

    def wake(self) -> None:
        """There may be news, here or in the database."""
        if self._news is not None:
            self._news.set()
            self._news = None

    def close(self) -> None:
        self.ended = True
        self.wake()

    # -- What followers ask -------------------------------------------------------------------

    @contextmanager
    def followed(self, visible: int, ordered: int) -> Iterator[None]:
        """Keep what is ordered from now on. The arguments are how far the room has shown, and how
        far it has the order.
        """
        if not self._followers:
            self._start, self._visible = ordered, visible
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                self._kept.clear()
                self._bytes = 0

    @property
    def news(self) -> asyncio.Event:
        """Set at the next news after this was asked for."""
        if self._news is None:
            self._news = asyncio.Event()
        return self._news

    def after(self, revision: int) -> list[SavedUpdate] | None:
        """The first that are shown after a revision; None where they are not kept here."""
        if revision < self._start:
            return None
        page: list[SavedUpdate] = []
        size = 0
        for update in islice(self._kept, revision - self._start, None):
            size += len(update.change)
            full = len(page) == MAX_PAGE or (page and size > MAX_PAGE_BYTES)
            if full or update.revision > self._visible:
                break
            page.append(update)
        return page


async def follow(
    database: Database,
    room: OpenRoom,
    after: int,
    patience_s: float,
    allowed: Callable[[], bool] = lambda: True,
) -> AsyncGenerator[list[SavedUpdate], None]:
    """The updates after a revision, a page at a time, in order, without gap or repeat: what there
    is, and then whatever is shown. Ends when the room is closed, or when it is woken and this is
    not `allowed` any more.

    An empty page tells that nothing came for `patience_s`.
    """
    trail = room.trail
    with trail.followed(room.visible_revision, room.revision):
        while not trail.ended and allowed():
            news = trail.news  # before reading: what comes meanwhile is not to be missed
            page = trail.after(after)
            if page is None:
                page = await history.updates(
                    database, room.document_id, after, MAX_PAGE, MAX_PAGE_BYTES
                )
            if page:
                yield page
                after = page[-1].revision
                continue
            try:
                async with asyncio.timeout(patience_s):
                    await news.wait()
            except TimeoutError:
                yield []
