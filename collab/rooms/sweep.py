"""Documents that nobody has open, and that were not saved to the end by who had them open."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Protocol

import structlog

from collab.errors import NotFound, Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from collab.rooms.registry import Registry

log = structlog.get_logger(__name__)


class Forsaking(Protocol):
    """A log that outlives the servers."""

    def forsaken(self) -> AsyncIterator[str]:
        """Documents of which something is not saved, and no server has undertaken to save it."""

    async def remove(self, document_id: str) -> None: ...


async def sweep(registry: Registry, order: Forsaking, every_s: float) -> None:
    """Open what was forsaken, now and then: whoever has it open saves it, and closes it."""
    while True:
        # At random, so that servers that started together do not look together.
        await asyncio.sleep(every_s * random.uniform(0.5, 1.5))  # noqa: S311 - spread only
        async for document_id in order.forsaken():
            if registry.peek(document_id) is not None:
                continue
            try:
                async with registry.room(document_id):
                    log.info("saving what was left", document=document_id)
            except NotFound:
                await order.remove(document_id)  # it was deleted while Redis was away
            except Problem as problem:
                log.warning("cannot save what was left", error=problem.message)
