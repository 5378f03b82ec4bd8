"""The order of one server alone: entries follow one another as they come in.

Nothing outlives the process but the database, so an entry is durable when it is committed there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from collab.errors import Unavailable
from collab.log.entry import next_mark
from collab.waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collab.log.contract import S, Subscriber
    from collab.log.entry import Entry


class LocalLog:
    """Gives each document a feed of its own; what is committed is all there is."""

    async def open(
        self,
        document_id: str,
        read: Callable[[], Awaitable[S]],
    ) -> tuple[S, LocalFeed]:
        subscriber = await read()
        return subscriber, LocalFeed(subscriber)

    @property
    def ready(self) -> bool:
        """Nothing else is needed."""
        return True

    def now_s(self) -> float:
        return time.time()

    async def remove(self, document_id: str) -> None:
        """Whoever deletes it tells the rooms, and there are no others."""

    async def access_changed(self, document_id: str) -> None:
        """The same."""


class LocalFeed:
    """The log of one document, from the saved revision that its subscriber stands at."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self._revision = subscriber.revision
        self._mark = subscriber.mark
        self._committed = subscriber.revision
        self._waiters = Waiters()
        self._closed = False

    def append(self, entry: Entry) -> None:
        if self._closed:
            self._subscriber.refused(entry, Unavailable("this document is being read anew"))
            return
        self._revision += entry.revisions
        self._mark = next_mark(self._mark, entry.encode())
        self._subscriber.ordered(entry, self._mark)

    async def place(self, entry: Entry) -> None:
        """What is ordered here is heard at once."""
        self.append(entry)

    async def settle(self, client: str, seq: int) -> None:
        """Wait for the commits that are pending: what is in the order then is all there will be."""
        if self._closed:
            raise Unavailable("this document is being read anew")
        if self._committed < self._revision:
            await self._waiters.until(self._revision)

    async def catch_up(self) -> None:
        """Nobody else orders: the subscriber has always heard all."""

    @property
    def leading(self) -> bool:
        """Nobody else saves."""
        return True

    @property
    def run(self) -> None:
        """There is no log but the database."""
        return None

    def doubt(self) -> None:
        """What the database has is the order."""

    def tell(self, message: bytes) -> None:
        """There is nobody else."""

    def beat(self) -> None:
        """Nothing can be missed."""

    def committed(self, revision: int) -> None:
        self._committed = revision
        self._subscriber.durable(revision)
        self._waiters.reached(revision)

    def saved(self, revision: int) -> None:
        """It is shown already."""

    def close(self, error: Exception | None = None) -> None:
        self._closed = True
        self._waiters.close(Unavailable(str(error or "the document is being closed")))
