"""Every document's link to Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.crc import key_slot

from collab.log.redis.address import Address
from collab.log.redis.commands import Elsewhere
from collab.log.redis.link import NotDone
from collab.log.redis.topology import Topology

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from collab.log.redis.link import Listener
    from collab.log.redis.node import Node

OF_A_RUN = {"append", "seed", "offer", "restore"}
"""What is decided by what one Redis has is not done at another."""

TRIES = 5
"""To find the node of a cluster that has a document."""


class RedisLinks:
    """Links to the Redis, or the cluster, that `url` names. What it does runs in `tasks`.

    An answer that takes longer than `limit_s` does not come. Raises `Misconfigured`.
    """

    def __init__(self, url: str, limit_s: float, tasks: asyncio.TaskGroup) -> None:
        self._links: dict[RedisLink, None] = {}
        self._topology = Topology(Address.of(url), limit_s, tasks, on_change=self._route)

    async def start(self) -> None:
        await self._topology.start()

    def link(self, document_id: str, listener: Listener) -> RedisLink:
        link = RedisLink(self._topology, document_id, listener, self._links)
        link.route()
        return link

    @property
    def ready(self) -> bool:
        return self._topology.complete

    def now_s(self) -> float:
        return self._topology.now_s()

    async def documents(self) -> AsyncIterator[str]:
        for node in self._topology.nodes:
            async for key in node.keys("collab:{*}:log"):
                yield key.decode()[len("collab:{") : -len("}:log")]

    async def close(self) -> None:
        await self._topology.close()

    def _route(self) -> None:
        for link in [*self._links]:
            link.route()


class RedisLink:
    """One document's. It is in `links` until it is closed."""

    def __init__(
        self,
        topology: Topology,
        document_id: str,
        listener: Listener,
        links: dict[RedisLink, None],
    ) -> None:
        prefix = f"collab:{{{document_id}}}"
        keys = (f"{prefix}:{part}" for part in ("log", "state", "offers", "lease"))
        self._keys: tuple[str | int, ...] = (5, *keys, prefix)
        self._channel = prefix.encode()
        self._slot = key_slot(self._channel)
        self._topology = topology
        self._node: Node | None = None
        self._listener = listener
        self._links = links
        links[self] = None

    @property
    def run(self) -> str | None:
        return None if self._node is None else self._node.run

    @property
    def hears(self) -> bool:
        return self._node is not None and self._node.hears(self._channel)

    async def call(self, operation: str, *arguments: str | bytes | int) -> list[Any]:
        run = self.run
        for _ in range(TRIES):
            if self._node is None:
                raise NotDone("no Redis has the document")
            if operation in OF_A_RUN and self.run != run:
                raise NotDone("another Redis has the document now")
            try:
                answer: list[Any] = await self._node.run_script(*self._keys, operation, *arguments)
            except Elsewhere:
                await self._topology.look()
            else:
                return answer
        raise NotDone("the cluster moves the document")

    def doubt(self) -> None:
        self._topology.doubt()
        if self._node is not None:
            self._node.doubt()

    def close(self) -> None:
        if self in self._links:
            del self._links[self]
            self._leave()

    def route(self) -> None:
        """Follow the document to where it is now."""
        node = self._topology.owner(self._slot)
        if node is self._node or self not in self._links:
            return
        connected = self.run is not None
        self._leave()
        if connected:
            self._listener.disconnected()
        self._node = node
        if node is not None:
            node.follow(self._channel, self)

    def _leave(self) -> None:
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
