"""Long welcomes take turns.

A welcome bears the whole text, and waits in memory until its client has read it: many clients that
come at once for long texts, after a restart say, would take as many copies.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from collab.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LONG_UNITS = 64 * 1024
"""A welcome with a text of no more than this needs no turn."""

RETRY_AFTER_MS = 2_000


class Welcomes:
    """At most `limit` long welcomes are under way at once.

    A handshake waits for its turn for `wait_s`, and has it for `hold_s`: whoever does not read must
    not hold up the others.
    """

    def __init__(self, limit: int, *, wait_s: float, hold_s: float) -> None:
        self._free = asyncio.Semaphore(limit)
        self._wait_s = wait_s
        self._hold_s = hold_s

    @asynccontextmanager
    async def turn(self, units: int) -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn to send a text of so many units. Raises `NotReady`.

        Gives what ends the turn, to be called when the welcome is out, or will never be. A failure
        in here ends it too.
        """
        if units <= LONG_UNITS:
            yield nothing
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise NotReady(
                "too many long documents are being opened", retry_after_ms=RETRY_AFTER_MS
            ) from None
        turn = _Turn(self._free, self._hold_s)
        try:
            yield turn.end
        except BaseException:
            turn.end()
            raise


class _Turn:
    def __init__(self, free: asyncio.Semaphore, hold_s: float) -> None:
        self._free: asyncio.Semaphore | None = free
        self._timer = asyncio.get_running_loop().call_later(hold_s, self.end)

    def end(self) -> None:
        """May be called more than once."""
        if self._free is not None:
            self._timer.cancel()
            self._free.release()
            self._free = None


def nothing() -> None:
    """Ends a turn that was not needed."""
