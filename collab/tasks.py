"""The tasks that one part of the server has under way, and answers for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = structlog.get_logger(__name__)


class Tasks:
    """Short tasks that nobody waits for. What fails in one is logged."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[None], None] = {}

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="short task")
        self._running[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task failed", exc_info=error)

    async def close(self, patience_s: float) -> None:
        """Wait so long for those that run, then cancel what is left."""
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=patience_s)
        self.cancel()
        if self._running:
            await asyncio.wait(tuple(self._running))

    def cancel(self) -> None:
        for task in tuple(self._running):
            task.cancel()
