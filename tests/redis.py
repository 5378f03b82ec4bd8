"""Redis for tests: what a document's listener hears, and links to a server of our own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from collab.log.redis.links import RedisLinks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from collab.log.redis.links import RedisLink

LIMIT_S = 3.0
PATIENCE_S = 20.0


class Heard:
    """A listener. What it hears waits for `next`, in order."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[str | bytes] = asyncio.Queue()

    def connected(self) -> None:
        self._heard.put_nowait("connected")

    def disconnected(self) -> None:
        self._heard.put_nowait("disconnected")

    def subscribed(self) -> None:
        self._heard.put_nowait("subscribed")

    def published(self, message: bytes) -> None:
        self._heard.put_nowait(message)

    async def next(self, count: int = 1) -> list[str | bytes]:
        async with asyncio.timeout(PATIENCE_S):
            return [await self._heard.get() for _ in range(count)]

    async def until(self, what: str | bytes) -> list[str | bytes]:
        """What was heard before it."""
        before = []
        async with asyncio.timeout(PATIENCE_S):
            while (heard := await self._heard.get()) != what:
                before.append(heard)
        return before

    @property
    def waiting(self) -> int:
        """What was heard and not asked for yet."""
        return self._heard.qsize()


async def following(links: RedisLinks, document_id: str = "doc") -> tuple[RedisLink, Heard]:
    """A document's link once it is connected and subscribed."""
    heard = Heard()
    link = links.link(document_id, heard)
    assert sorted(map(str, await heard.next(2))) == ["connected", "subscribed"]
    return link, heard


@asynccontextmanager
async def links_to(url: str, limit_s: float = LIMIT_S) -> AsyncIterator[RedisLinks]:
    """Links that are connected, and closed in the end."""
    async with asyncio.TaskGroup() as tasks:
        links = RedisLinks(url, limit_s, tasks)
        try:
            await links.start()
            yield links
        finally:
            await links.close()
