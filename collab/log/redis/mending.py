"""Trying until it is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from collab.errors import Unavailable
from collab.log.redis.link import FateUnknown, NotDone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collab.tasks import Tasks

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 2.0


class Mending:
    """Runs `attempt` as often as it is asked for, never twice at once, and again after a pause when
    it fails for now. While it `may` not, nothing is tried: whoever finds that it may asks again.
    """

    def __init__(
        self, tasks: Tasks, attempt: Callable[[], Awaitable[None]], may: Callable[[], bool]
    ) -> None:
        self._tasks = tasks
        self._attempt = attempt
        self._may = may
        self._due = False
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Try, and once more if that is under way already."""
        self._due = True
        if self._running is None:
            self._running = self._tasks.start(self._run())

    def cancel(self) -> None:
        self._due = False
        if self._running is not None:
            self._running.cancel()
            self._running = None

    async def _run(self) -> None:
        pause = FIRST_PAUSE_S
        me = asyncio.current_task()
        try:
            while self._due and self._may():
                self._due = False
                try:
                    await self._attempt()
                except (NotDone, FateUnknown, Unavailable) as error:
                    log.info("waiting for Redis", error=str(error))
                    self._due = True
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LAST_PAUSE_S)
        finally:
            if self._running is me:
                self._running = None
