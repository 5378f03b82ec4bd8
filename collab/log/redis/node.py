"""One Redis that takes writes: the only one, or a primary of a cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from collab.log.redis.channels import Channels
from collab.log.redis.commands import Commands

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from collab.log.redis.address import Address
    from collab.log.redis.link import Listener

SCAN_COUNT = 1_000
"""Keys that Redis looks at in one step: less than a millisecond."""


class Node:
    """Two connections: calls pass on one, and what is published on the other, so that a lost one
    stops no calls. `on_loss` is told when either fails.
    """

    def __init__(self, address: Address, limit_s: float, on_loss: Callable[[], None]) -> None:
        self.address = address
        self.connected = asyncio.Event()
        self._on_loss = on_loss
        self._commands = Commands(
            address, limit_s, on_open=self._connected, on_close=self._disconnected
        )
        self._channels = Channels(address, limit_s, on_open=self._heard, on_loss=on_loss)
        self._listeners: dict[Listener, None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = [
            tasks.create_task(self._commands.keep(), name="redis commands"),
            tasks.create_task(self._channels.keep(), name="redis channels"),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:  # none, if Redis was not fit to start with
            await asyncio.wait(self._tasks)

    @property
    def run(self) -> str | None:
        return self._commands.run

    @property
    def ahead_s(self) -> float | None:
        """How far Redis's clock is ahead of the event loop's; None as long as nobody knows."""
        return self._commands.ahead_s

    def hears(self, channel: bytes) -> bool:
        return self._channels.hears(channel)

    def follow(self, channel: bytes, listener: Listener) -> None:
        """The listener hears what holds already in the next turn of the event loop."""
        self._listeners[listener] = None
        self._channels.follow(channel, listener)
        if self.run is not None:
            asyncio.get_running_loop().call_soon(self._tell, listener)

    def unfollow(self, channel: bytes, listener: Listener) -> None:
        del self._listeners[listener]
        self._channels.unfollow(channel, listener)

    async def run_script(self, *arguments: str | bytes | int) -> Any:
        """As `Commands.run_script`."""
        return await self._commands.run_script(*arguments)

    async def ask(self, *command: str | bytes | int) -> Any:
        """As `Commands.ask`."""
        return await self._commands.ask(*command)

    async def keys(self, pattern: str) -> AsyncIterator[bytes]:
        """Those that match, perhaps some twice. Raises `NotDone`."""
        cursor = b"0"
        while True:
            cursor, keys = await self.ask("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT)
            for key in keys:
                yield key
            if cursor == b"0":
                return

    def doubt(self) -> None:
        self._commands.drop("it may be the wrong one")

    # Both connections must lead to one Redis. An address may come to mean another: the newer knows.

    def _heard(self) -> None:
        if self.run not in {None, self._channels.run}:
            self._commands.drop("a newer connection leads to another Redis")

    def _connected(self) -> None:
        if self._channels.run not in {None, self.run}:
            self._channels.drop("a newer connection leads to another Redis")
        self.connected.set()
        for listener in [*self._listeners]:
            listener.connected()

    def _disconnected(self) -> None:
        self.connected.clear()
        for listener in [*self._listeners]:
            listener.disconnected()
        self._on_loss()

    def _tell(self, listener: Listener) -> None:
        if listener in self._listeners and self.run is not None:
            listener.connected()
