"""Those who wait for a revision to be reached."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collab.errors import Unavailable


class Waiters:
    """Of one thing that moves on, and never back."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def until(self, revision: int) -> None:
        """Return when `reached` tells of this revision or a later one. Raises what `close` does."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((revision, done))
        await done

    def reached(self, revision: int) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for until, done in waiting:
            if until > revision:
                self._waiting.append((until, done))
            elif not done.done():
                done.set_result(None)

    def close(self, error: Unavailable) -> None:
        """It moves no more: everybody is told so."""
        for _, done in self._waiting:
            if not done.done():
                done.set_exception(error)
        self._waiting.clear()
