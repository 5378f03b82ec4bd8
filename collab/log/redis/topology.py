"""Which Redis has which documents: one has them all, or the primaries of a cluster share them.

A cluster tells who has which slots. It is asked again whenever a node is lost, or says that it has
something no more, and every second while one is missing.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
from hiredis import ReplyError
from redis.crc import REDIS_CLUSTER_HASH_SLOTS

from collab.backoff import Backoff
from collab.errors import Misconfigured
from collab.log.redis.connection import Connection
from collab.log.redis.greeting import NoRedis, greet
from collab.log.redis.link import FateUnknown, NotDone
from collab.log.redis.node import Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.log.redis.address import Address

log = structlog.get_logger(__name__)

Slots: TypeAlias = list[tuple[range, "Address"]]

START_PATIENCE_S = 10.0
"""How long a server that starts waits for Redis."""

LOOK_EVERY_S = 1.0
"""While a node is missing."""

PAUSE_S = 0.2
"""At least, between two looks."""


class Topology:
    """`on_change` is told when slots may have moved."""

    def __init__(
        self,
        address: Address,
        limit_s: float,
        tasks: asyncio.TaskGroup,
        on_change: Callable[[], None],
    ) -> None:
        self._address = address
        self._limit_s = limit_s
        self._tasks = tasks
        self._on_change = on_change
        self._nodes: dict[Address, Node] = {}
        self._owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._stale = asyncio.Event()
        self._next_look = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises `Misconfigured`."""
        clustered, slots = await self._first_look()
        await self._apply(slots)
        connected = (node.connected.wait() for node in self.nodes)
        try:
            async with asyncio.timeout(START_PATIENCE_S):
                await asyncio.gather(*connected)
        except TimeoutError:
            log.warning("not every Redis is there")
        if clustered:
            self._looking = self._tasks.create_task(self._keep_looking(), name="redis cluster")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        for node in self.nodes:
            await node.close()

    @property
    def nodes(self) -> list[Node]:
        return [*self._nodes.values()]

    @property
    def complete(self) -> bool:
        """Whether every document has a node, and calls pass to all of them."""
        return None not in self._owners and all(node.run is not None for node in self.nodes)

    def now_s(self) -> float:
        """By the clock of the same node for all servers, as long as they know the same nodes."""
        for node in sorted(self.nodes, key=lambda node: node.address.name):
            if node.ahead_s is not None:
                return asyncio.get_running_loop().time() + node.ahead_s
        return time.time()

    def owner(self, slot: int) -> Node | None:
        return self._owners[slot]

    def doubt(self) -> None:
        """Look again, soon."""
        self._stale.set()

    async def look(self) -> None:
        """Look again, and return when that is done; at once where there is no cluster."""
        if self._looking is None:
            return
        self._stale.set()
        await self._next_look.wait()

    # -- Looking ---------------------------------------------------------------------------------

    async def _keep_looking(self) -> None:
        while True:
            try:
                async with asyncio.timeout(None if self.complete else LOOK_EVERY_S):
                    await self._stale.wait()
            except TimeoutError:
                pass
            self._stale.clear()
            looked, self._next_look = self._next_look, asyncio.Event()
            slots = await self._look()
            if slots:
                await self._apply(slots)
            looked.set()
            await asyncio.sleep(random.uniform(1, 2) * PAUSE_S)  # noqa: S311 - no secret

    async def _look(self) -> Slots:
        """Nothing if no node answers."""
        there = [node for node in self.nodes if node.run is not None]
        random.shuffle(there)
        for node in there:
            try:
                return _slots(await node.ask("CLUSTER", "SLOTS"), node.address)
            except NotDone:
                continue
        try:
            _, slots = await self._ask_first()
        except (NoRedis, Misconfigured) as error:
            log.warning("no node of the Redis cluster answers", why=str(error))
            return []
        return slots

    async def _first_look(self) -> tuple[bool, Slots]:
        """Wait for it, so that a Redis which starts at the same time is found."""
        loop = asyncio.get_running_loop()
        patience_ends = loop.time() + START_PATIENCE_S
        backoff = Backoff(0.05, 1.0)
        while True:
            try:
                return await self._ask_first()
            except NoRedis as error:
                if loop.time() > patience_ends:
                    raise Misconfigured(f"no Redis at {self._address.name}: {error}") from None
            await asyncio.sleep(backoff.next_s())

    async def _ask_first(self) -> tuple[bool, Slots]:
        """Whether what the URL names is a cluster, and its slots: any node of it may tell.

        Raises `NoRedis`, or `Misconfigured`.
        """
        connection = Connection(self._limit_s)
        try:
            greeting = await greet(self._address, connection, self._limit_s)
            if not greeting.clustered:
                if not greeting.primary:
                    raise NoRedis("it is a replica")
                return False, [(range(REDIS_CLUSTER_HASH_SLOTS), self._address)]
            [answer] = await connection.ask(("CLUSTER", "SLOTS"))
        except (ReplyError, FateUnknown) as error:
            raise NoRedis(str(error)) from None
        finally:
            connection.drop("it was for one question")
        slots = _slots(answer, self._address)
        if not slots:
            raise NoRedis("the cluster has no slots yet")
        return True, slots

    async def _apply(self, slots: Slots) -> None:
        for _, address in slots:
            if address not in self._nodes:
                node = self._nodes[address] = Node(address, self._limit_s, self.doubt)
                node.start(self._tasks)
        owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for numbers, address in slots:
            for number in numbers:
                owners[number] = self._nodes[address]
        self._owners = owners
        self._on_change()
        for address in self._nodes.keys() - {address for _, address in slots}:
            await self._nodes.pop(address).close()


def _slots(answer: list[Any], asked: Address) -> Slots:
    """Of what CLUSTER SLOTS tells: first and last slot, the primary, its replicas.

    A node that does not know its own address gives none: it is the one that was asked.
    """
    return [
        (range(first, last + 1), asked.at(_host(host, asked), port))
        for first, last, (host, port, *_), *_ in answer
    ]


def _host(host: bytes | None, asked: Address) -> str:
    return asked.host if host in {None, b"", b"?"} else host.decode()
