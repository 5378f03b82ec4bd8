"""Which server saves a document: the one that holds its lease in Redis.

The lease saves double work, no more: the database's own condition makes a second writer harmless.
So a server that cannot ask, since Redis is away, saves what it has.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from collab.log.redis.link import FateUnknown, NotDone

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.log.redis.link import Link
    from collab.log.redis.stream import Stream
    from collab.tasks import Tasks

LEASE_MS = 3_000
MARGIN_MS = 500
"""For how much shorter a lease counts here than in Redis, whose clock runs on its own."""


class Lease:
    """Asked for while there is something to save, and given up at the end."""

    def __init__(
        self, server: str, link: Link, stream: Stream, tasks: Tasks, granted: Callable[[], None]
    ) -> None:
        self._server = server
        self._link = link
        self._stream = stream
        self._tasks = tasks
        self._granted = granted
        self._until = 0.0
        self._wanted = False
        self._used = False  # since it was asked for
        self._asking = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def held(self) -> bool:
        return self._link.run is None or asyncio.get_running_loop().time() < self._until

    def want(self) -> None:
        """There is something to save."""
        self._wanted = self._used = True
        if self._timer is None and not self._asking and not self._closed:
            if self.held:
                self._again_in(self._until - asyncio.get_running_loop().time())
            else:
                self._ask()

    def done(self) -> None:
        """There is nothing to save any more."""
        self._wanted = False

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._until and self._link.run is not None:
            self._tasks.start(self._give_up())

    async def _give_up(self) -> None:
        with suppress(NotDone, FateUnknown):  # it ends by itself
            await self._stream.give_up_lead(self._server)

    def _again_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(seconds, 0.01), self._look)

    def _look(self) -> None:
        self._timer = None
        # Who uses it keeps it, or it would change hands whenever all is saved for a moment.
        if not self._closed and (self._wanted or (self._used and self.held)):
            self._ask()

    def _ask(self) -> None:
        self._asking = True
        self._used = False
        self._tasks.start(self._ask_for_it())

    async def _ask_for_it(self) -> None:
        asked_at = asyncio.get_running_loop().time()
        try:
            held, ms = await self._stream.lead(self._server, LEASE_MS)
        except (NotDone, FateUnknown):
            held, ms = False, MARGIN_MS
        self._asking = False
        if self._closed:
            return
        if held:
            self._until = asked_at + (ms - MARGIN_MS) / 1000
            self._again_in((ms - 2 * MARGIN_MS) / 1000)
            self._granted()
        else:
            self._again_in(max(ms, 0) / 1000)
            if self._link.run is None:
                self._granted()
