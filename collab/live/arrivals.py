"""How fast handshakes may come from an address, before anything is looked up for them (H2).

A whole school may share one address, so there is much of it. It holds up whoever opens and drops
connections without end, at no cost of theirs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from collab.api.address import counted
from collab.errors import TooMany
from collab.live.pace import Buckets

if TYPE_CHECKING:
    from collab.settings import Settings

MAX_ADDRESSES = 50_000
"""How many are remembered."""


class Arrivals:
    """Addresses are those of `client_address`."""

    def __init__(self, settings: Settings) -> None:
        self._buckets = Buckets(
            settings.handshakes_per_second, settings.handshakes_at_once, MAX_ADDRESSES
        )
        # Whom a proxy passes on without a word of where from, or who is on the same machine.
        self._uncounted = {counted(proxy) for proxy in settings.trusted_proxies if "/" not in proxy}

    def check(self, address: str, now: float) -> None:
        """One handshake comes; `now` is in seconds. Raises `TooMany`."""
        if address in self._uncounted:
            return
        wait_s = self._buckets.of(address, now).take(1, now)
        if wait_s:
            raise TooMany(
                "too many connections are being opened from this address",
                retry_after_ms=math.ceil(wait_s * 1000),
            )
