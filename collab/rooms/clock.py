"""Times that agree with what happened before what, on all servers (hybrid logical clock)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class HybridClock:
    """One server's. Its times are milliseconds since 1970, or what comes after them.

    Each is later than all that it gave or heard before. So whatever happens here after a message of
    another server came bears a later time than what the message tells of, however wrong the clocks.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """`wall` gives seconds since 1970."""
        self._wall = wall
        self._last = 0

    def now(self) -> int:
        """A time that no other moment of this server has."""
        self._last = max(int(self._wall() * 1000), self._last + 1)
        return self._last

    def hear(self, time: int) -> None:
        """Another server has come to this time."""
        self._last = max(self._last, time)
