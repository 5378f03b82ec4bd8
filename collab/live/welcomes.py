"""Long welcomes take turns.

A welcome bears the whole text, and waits in memory until its client has read it: many clients that
come at once for long texts, after a restart say, would take as many copies. And to all of them a
piece in turn would be to all of them late: whoever came first is sent all of it first.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from collab.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONG_UNITS = 64 * 1024
"""A welcome with a text of no more than this needs no turn."""

RETRY_AFTER_MS = 2_000


ALONE_S = 0.01
"""How long a welcome is sent before the next one is begun, if it is not out by then: many clients
that read slowly, each by a way of its own, are not to wait for one another.
"""


class Turn:
    """To send a welcome. What it holds of the limits is given back after a while, or at its end."""

    def __init__(self) -> None:
        self.lone: asyncio.Semaphore | None = None
        self._held: dict[asyncio.Semaphore, asyncio.TimerHandle] = {}

    async def alone(self) -> None:
        """Wait until the welcomes before this one are out, or were sent for long enough."""
        lone, self.lone = self.lone, None
        if lone is not None:
            await self.hold(lone, ALONE_S)

    async def hold(self, limit: asyncio.Semaphore, hold_s: float) -> None:
        await limit.acquire()
        loop = asyncio.get_running_loop()
        self._held[limit] = loop.call_later(hold_s, self._give_back, limit)

    def _give_back(self, limit: asyncio.Semaphore) -> None:
        self._held.pop(limit).cancel()
        limit.release()

    def end(self) -> None:
        """The welcome is out. May be called more than once."""
        for limit in tuple(self._held):
            self._give_back(limit)


class Welcomes:
    """At most `limit` long welcomes are under way at once.

    A handshake waits for its turn for `wait_s`, and has it for `hold_s`: whoever does not read must
    not hold up the others.
    """

    def __init__(self, limit: int, *, wait_s: float, hold_s: float) -> None:
        self._free = asyncio.Semaphore(limit)
        self._lone = asyncio.Semaphore(1)
        self._wait_s = wait_s
        self._hold_s = hold_s

    @asynccontextmanager
    async def turn(self, units: int) -> AsyncIterator[Turn]:
        """Wait for a turn to send a text of so many units. Raises `NotReady`.

        It is to be ended when the welcome is out, or will never be. A failure in here ends it too.
        """
        turn = Turn()
        if units <= LONG_UNITS:
            yield turn
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await turn.hold(self._free, self._hold_s)
        except TimeoutError:
            raise NotReady(
                "too many long documents are being opened", retry_after_ms=RETRY_AFTER_MS
            ) from None
        turn.lone = self._lone
        try:
            yield turn
        except BaseException:
            turn.end()
            raise
