"""A way to Redis: one connection, made anew whenever it is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from collab.backoff import Backoff
from collab.errors import Misconfigured
from collab.log.redis.connection import Connection
from collab.log.redis.greeting import NoRedis, greet

if TYPE_CHECKING:
    from collab.log.redis.address import Address
    from collab.log.redis.greeting import Greeting

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


class Way:
    """Subclasses say what passes on it, and what is done when it opens and when it closes."""

    name: str
    script: str | None = None
    """What is loaded before it opens."""

    def __init__(self, address: Address, limit_s: float) -> None:
        self._address = address
        self._limit_s = limit_s
        self._connection: Connection | None = None
        self.run: str | None = None
        """The run of the Redis that it leads to; None while it is closed."""
        self.ahead_s: float | None = None
        """How far the clock of that Redis was ahead of the event loop's when it opened."""

    async def keep(self) -> None:
        """Keep it open until this is cancelled."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        complaint = None
        while True:
            began = loop.time()
            why = await self._once()
            if loop.time() - began > LONGEST_PAUSE_S:
                backoff.reset()
                complaint = None
            if why != complaint:  # once for each reason, however long it lasts
                complaint = why
                log.warning("no Redis", redis=self._address.name, way=self.name, why=why)
            await asyncio.sleep(backoff.next_s())

    async def _once(self) -> str:
        """Open it, and wait until it is closed. Returns the reason."""
        connection = Connection(
            self._limit_s, pushed=self._pushed, ended=self._end, writable=self._writable
        )
        try:
            greeting = await greet(self._address, connection, self._limit_s, self.script)
        except (NoRedis, Misconfigured) as error:
            return str(error)
        try:
            if not greeting.primary:
                return "it is a replica"
            if not connection.closed.is_set():
                self._open(connection, greeting)
                await connection.closed.wait()
        finally:
            connection.drop("it is not needed any more")
        return connection.why

    def drop(self, why: str) -> None:
        """Close it, if it is open: when it opens again, it may lead to another Redis."""
        if self._connection is not None:
            self._connection.drop(why)

    def _open(self, connection: Connection, greeting: Greeting) -> None:
        self._connection = connection
        self.run = greeting.run
        self.ahead_s = greeting.time_s - asyncio.get_running_loop().time()
        log.info("connected to Redis", redis=self._address.name, way=self.name, run=self.run)
        if greeting.evicts:
            log.error("this Redis throws documents away when it is full", redis=self._address.name)
        self._opened()

    def _end(self) -> None:
        if self._connection is not None:
            self._connection = self.run = None
            self._closed()

    def _opened(self) -> None:
        raise NotImplementedError

    def _closed(self) -> None:
        raise NotImplementedError

    def _pushed(self, message: list[Any]) -> None: ...

    def _writable(self) -> None: ...
