"""The order of many servers: every document's log in Redis (`log.lua`)."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from collab.counts import Counts
from collab.errors import NotReady, Unavailable
from collab.log.redis.feed import RedisFeed
from collab.log.redis.link import FateUnknown, NotDone
from collab.log.redis.stream import Stream
from collab.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from collab.log.contract import S
    from collab.log.redis.healing import Runs
    from collab.log.redis.link import Links

READING_PAUSE_S = 0.1
CLOSE_PATIENCE_S = 2.0

CONNECT_PATIENCE_S = 5.0
"""How long who opens a document waits for Redis."""


class RedisLog:
    """`server` names this process among all that use the same Redis."""

    def __init__(self, links: Links, runs: Runs, server: str, counts: Counts | None = None) -> None:
        self._links = links
        self._counts = Counts() if counts is None else counts
        self._runs = runs
        self._server = server
        self._tasks = Tasks()

    async def open(self, document_id: str, read: Callable[[], Awaitable[S]]) -> tuple[S, RedisFeed]:
        """Raises `NotFound`, `NotReady`. What is heard of the stream is told before it returns."""
        feed = RedisFeed(
            document_id, self._server, self._links, self._runs, self._tasks, self._counts
        )
        try:
            # Subscribed before anything is read: what is ordered after the reading is heard.
            async with asyncio.timeout(CONNECT_PATIENCE_S):
                await feed.connected_and_subscribed()
            subscriber = await read()
            while not await feed.begin(subscriber):
                await asyncio.sleep(READING_PAUSE_S)  # the caller has a time limit
                subscriber = await read()
        except (NotDone, FateUnknown, Unavailable, TimeoutError) as error:
            feed.close()
            raise NotReady(str(error) or "Redis does not answer") from error
        except BaseException:
            feed.close()
            raise
        return subscriber, feed

    @property
    def ready(self) -> bool:
        return self._links.ready

    def now_s(self) -> float:
        return self._links.now_s()

    async def remove(self, document_id: str) -> None:
        with self._stream(document_id) as stream, suppress(NotDone, FateUnknown):
            await stream.remove()  # or else whoever saves something finds no row

    async def access_changed(self, document_id: str) -> None:
        with self._stream(document_id) as stream, suppress(NotDone, FateUnknown):
            await stream.access_changed()  # or else every server looks now and then

    async def forsaken(self) -> AsyncIterator[str]:
        """Documents of which something is not saved, and no server has undertaken to save it."""
        with suppress(NotDone, FateUnknown):  # the next time, then
            async for document_id in self._links.documents():
                with self._stream(document_id) as stream:
                    if await stream.forsaken():
                        yield document_id

    @contextmanager
    def _stream(self, document_id: str) -> Iterator[Stream]:
        link = self._links.link(document_id, _Nobody())
        try:
            yield Stream(link)
        finally:
            link.close()

    async def close(self) -> None:
        await self._tasks.close(CLOSE_PATIENCE_S)


class _Nobody:
    def connected(self) -> None: ...
    def disconnected(self) -> None: ...
    def subscribed(self) -> None: ...
    def published(self, message: bytes) -> None: ...
