"""Who is connected: whom the server waits for, for how long, and who gives way when it is full.

A connection is *half open* while a request is awaited, from its start or from the first byte of
another one, until the head of that is complete; it is *busy* until the request's body is here
and its answer has been read; then it *rests*, and uvicorn ends it soon. One that became a
WebSocket is the session's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collab.settings import Limits

LOOK_EVERY_S = 0.5

FAIR_S = 1.0
"""How long one is half open before it gives way to others from its address: of a crowd that comes
at once, nobody is cut off before what they ask can be read.
"""


class Guest(Protocol):
    """A connection, as the door sees it."""

    address: str

    def head_is_late(self) -> None:
        """End, since no request came in time."""

    def check(self, now: float) -> None:
        """Look whether the request's body or the reading of its answer is too slow."""

    def cut(self) -> None:
        """End at once."""


class Door:
    """The connections of one server that are no WebSockets. Looked at by one timer, while any is
    half open or busy.
    """

    def __init__(self, limits: Limits, max_connections: int) -> None:
        self.limits = limits
        self._max_connections = max_connections
        self._half_open: dict[Guest, float] = {}  # since when; who waits longest stands first
        self._of_address = Counter[str]()  # how many are half open
        self._busy: dict[Guest, None] = {}
        self._resting: dict[Guest, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, connections: int) -> bool:
        """Whether one more may come in that makes them so many, all WebSockets among them. If need
        be, the one gives way that is half open longest, or that rests longest.
        """
        if connections <= self._max_connections:
            return True
        for guest in (*self._first(self._half_open), *self._first(self._resting)):
            self.gone(guest)
            guest.cut()
            return True
        return False

    @staticmethod
    def _first(guests: dict[Guest, float] | dict[Guest, None]) -> tuple[Guest, ...]:
        return (next(iter(guests)),) if guests else ()

    def awaits(self, guest: Guest) -> None:
        """A request of this one is awaited from now on, if it was not before. Of too many from one
        address, those that are half open longest give way, soon.
        """
        if guest in self._half_open:
            return
        self.gone(guest)
        self._half_open[guest] = self._now()
        self._of_address[guest.address] += 1
        self._look_later()

    def serves(self, guest: Guest) -> None:
        if guest not in self._busy:
            self.gone(guest)
            self._busy[guest] = None
            self._look_later()

    def rests(self, guest: Guest) -> None:
        if guest not in self._resting:
            self.gone(guest)
            self._resting[guest] = None

    def is_resting(self, guest: Guest) -> bool:
        return guest in self._resting

    def gone(self, guest: Guest) -> None:
        """It has ended, or is a WebSocket now. May be called more than once."""
        self._busy.pop(guest, None)
        self._resting.pop(guest, None)
        if self._half_open.pop(guest, None) is None:
            return
        self._of_address[guest.address] -= 1
        if not self._of_address[guest.address]:
            del self._of_address[guest.address]  # whoever is gone is not remembered

    # -- Looking after them -------------------------------------------------------------------

    def _look_later(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._now()
        for guest, since in tuple(self._half_open.items()):
            if now - since < FAIR_S:
                break
            if now - since >= self.limits.slow_request_s:
                self.gone(guest)
                guest.head_is_late()
            elif self._of_address[guest.address] > self.limits.max_half_open:
                self.gone(guest)
                guest.cut()
        for guest in tuple(self._busy):
            guest.check(now)
        if self._half_open or self._busy:
            self._look_later()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
