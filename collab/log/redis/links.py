"""Every document's link to Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from collab.backoff import Backoff
from collab.errors import Misconfigured
from collab.log.redis.address import Address
from collab.log.redis.connection import Connection
from collab.log.redis.greeting import NoRedis, greet
from collab.log.redis.link import NotDone
from collab.log.redis.node import Node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from collab.log.redis.greeting import Greeting
    from collab.log.redis.link import Listener

START_PATIENCE_S = 10.0
"""How long a server that starts waits for Redis."""


class RedisLinks:
    """Links to the Redis that `url` names. What it does meanwhile runs in `tasks`.

    An answer that takes longer than `limit_s` does not come. Raises `Misconfigured`.
    """

    def __init__(self, url: str, limit_s: float, tasks: asyncio.TaskGroup) -> None:
        self._address = Address.of(url)
        self._limit_s = limit_s
        self._tasks = tasks
        self._node = Node(self._address, limit_s, self._lost)

    async def start(self) -> None:
        await self._first_greeting()
        self._node.start(self._tasks)
        await self._node.connected.wait()

    def link(self, document_id: str, listener: Listener) -> RedisLink:
        return RedisLink(self._node, document_id, listener)

    async def documents(self) -> AsyncIterator[str]:
        async for key in self._node.keys("collab:{*}:log"):
            yield key.decode()[len("collab:{") : -len("}:log")]

    async def close(self) -> None:
        await self._node.close()

    async def _first_greeting(self) -> Greeting:
        """Wait for it, so that a Redis which starts at the same time is found."""
        loop = asyncio.get_running_loop()
        patience_ends = loop.time() + START_PATIENCE_S
        backoff = Backoff(0.05, 1.0)
        while True:
            connection = Connection(self._limit_s)
            try:
                return await greet(self._address, connection, self._limit_s)
            except NoRedis as error:
                if loop.time() > patience_ends:
                    raise Misconfigured(f"no Redis at {self._address.name}: {error}") from None
            finally:
                connection.drop("it was for the greeting only")
            await asyncio.sleep(backoff.next_s())

    def _lost(self) -> None: ...


class RedisLink:
    """One document's."""

    def __init__(self, node: Node, document_id: str, listener: Listener) -> None:
        prefix = f"collab:{{{document_id}}}"
        keys = (f"{prefix}:{part}" for part in ("log", "state", "offers", "lease"))
        self._keys: tuple[str | int, ...] = (5, *keys, prefix)
        self._channel = prefix.encode()
        self._node: Node | None = node
        self._listener = listener
        node.follow(self._channel, self)

    @property
    def run(self) -> str | None:
        return None if self._node is None else self._node.run

    @property
    def hears(self) -> bool:
        return self._node is not None and self._node.hears(self._channel)

    async def call(self, operation: str, *arguments: str | bytes | int) -> list[Any]:
        if self._node is None:
            raise NotDone("the document is not followed any more")
        answer: list[Any] = await self._node.run_script(*self._keys, operation, *arguments)
        return answer

    def doubt(self) -> None:
        if self._node is not None:
            self._node.doubt()

    def close(self) -> None:
        if self._node is not None:
            self._node.unfollow(self._channel, self)
            self._node = None

    # -- What the node tells ---------------------------------------------------------------------

    def connected(self) -> None:
        self._listener.connected()

    def disconnected(self) -> None:
        self._listener.disconnected()

    def subscribed(self) -> None:
        self._listener.subscribed()

    def published(self, message: bytes) -> None:
        self._listener.published(message)
