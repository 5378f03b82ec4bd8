"""Several servers that share a database and Redis."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from bench.server import running
from collab.storage.database import database_at
from collab.storage.runs import Runs
from tests.serving import SECRET, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bench.redis import RedisServer
    from bench.server import ServerProcess
    from collab.storage.database import Database
    from tests.peer import Message, Peer
    from tests.serving import Serving


class Site:
    """`one` and `other` run in the test's event loop."""

    one: Serving
    other: Serving

    def __init__(self, data_dir: Path, redis: RedisServer, database_url: str) -> None:
        self._data_dir = data_dir
        self._redis = redis
        self._database_url = database_url or f"sqlite:///{data_dir / 'collab.db'}"
        self._database: Database

    @asynccontextmanager
    async def open(self, **settings: Any) -> AsyncIterator[Site]:
        """With two servers."""
        async with AsyncExitStack() as stack:
            self.one = await stack.enter_async_context(self.server(**settings))
            self.other = await stack.enter_async_context(self.server(**settings))
            self._database = database_at(self._database_url, shared=True)
            stack.push_async_callback(self._database.close)
            await self._database.start()
            yield self

    def server(self, **settings: Any) -> AbstractAsyncContextManager[Serving]:
        """One more."""
        return serving(
            self._data_dir,
            redis_url=self._redis.url,
            database_url=self._database_url,
            **settings,
        )

    def process(self) -> AbstractAsyncContextManager[ServerProcess]:
        """One more, as a process of its own: it can be killed and paused."""
        return running(
            self._data_dir,
            COLLAB_DATABASE_URL=self._database_url,
            COLLAB_REDIS_URL=self._redis.url,
            COLLAB_SECRET=SECRET,
        )

    async def saved_revision(self, document_id: str) -> int:
        """As the database has it."""
        return (await Runs(self._database).look(document_id)).revision

    @contextmanager
    def unsaved(self) -> Iterator[None]:
        """Meanwhile no commit of what was ordered succeeds in the SQLite database."""
        with sqlite3.connect(self._data_dir / "collab.db", isolation_level=None) as other:
            other.execute(
                "create trigger held before insert on segments begin select raise(abort, ''); end"
            )
        try:
            yield
        finally:
            other.execute("drop trigger held")
            other.close()


def insertion(text: str, length: int) -> list[Any]:
    """The change that puts `text` at the beginning of one of `length` units."""
    return [[0, text], length] if length else [[0, text]]


async def verdict(peer: Peer, seq: int) -> Message | None:
    """Wait for what became of a push. None: it is ordered; else the refusal."""
    while True:
        message = await peer.hear("updates", "refused")
        if message["type"] == "refused":
            assert message["seq"] == seq
            return message
        if any(update[:2] == [peer.name, seq] for update in message["updates"]):
            return None


async def type_through(peer: Peer, *updates: Any) -> int:
    """Push until it is ordered, as a client does while ordering is down (P5). Returns its seq."""
    while True:
        seq = await peer.push(*updates)
        refusal = await verdict(peer, seq)
        if refusal is None:
            return seq
        assert refusal["code"] == "unavailable"
        await asyncio.sleep(refusal["retry_after_ms"] / 1000)
