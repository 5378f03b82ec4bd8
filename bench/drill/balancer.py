"""A load balancer as they are before such servers: each connection goes to the next that is ready.

Nobody is sent back to the server that he had before.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.browser.proxy import Way, passing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.server import ServerProcess

ASK_EVERY_S = 0.25
ANSWER_S = 1.0


class Balancer:
    """`next_port` is where the next connection goes: while no server is ready, to any."""

    def __init__(self, servers: Sequence[ServerProcess]) -> None:
        self._servers = servers
        self._ready = set(range(len(servers)))
        self._turns = itertools.count()

    def next_port(self) -> int:
        ready = sorted(self._ready) or range(len(self._servers))
        return self._servers[ready[next(self._turns) % len(ready)]].port

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(len(self._servers)):
                tasks.create_task(self._ask(number), name=f"health of server {number}")

    async def _ask(self, number: int) -> None:
        """Ask a server again and again whether it is ready."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    is_ready = await self._servers[number].is_ready()
            except TimeoutError:
                is_ready = False
            (self._ready.add if is_ready else self._ready.discard)(number)
            await asyncio.sleep(ASK_EVERY_S)


@asynccontextmanager
async def balanced(servers: Sequence[ServerProcess]) -> AsyncIterator[Way]:
    """The way to whichever of the servers comes next."""
    balancer = Balancer(servers)
    async with passing(Way(balancer.next_port)) as way, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(balancer.run(), name="health")
        yield way
        asking.cancel()
