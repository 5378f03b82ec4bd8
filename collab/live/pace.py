"""How fast a client may be (L1, L3).

A session has two allowances, both token buckets. Pushes have one that refuses: `pushes_per_second`.
All else has another that ends the session, `messages_per_second`: what goes on beyond every honest
need, or in spite of refusals, is not answered for ever. Users and documents have allowances of
their own that refuse pushes, shared by all their sessions on this server, and by edits over REST.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from collab.errors import CloseCode, RateLimited, SessionEnd
from collab.log.rebase import MAX_REBASE_COST

if TYPE_CHECKING:
    from collab.settings import Limits

BURST_S = 5.0
"""How many seconds' worth of messages may come at once."""

INSISTING = 20
"""How many pushes in a row, each refused for coming too fast, take up a whole burst."""

UNITS_PER_MESSAGE = 4_096
"""A message costs one, and one more for so many."""

SECTIONS_PER_MESSAGE = 512
"""A rebase costs one for so many that it meets: everyone waits meanwhile."""

MAX_BUCKETS = 20_000
"""How many users, or documents, are remembered by what they have left."""


class Bucket:
    """A token bucket: `per_second` in the long run, `burst` at once. `now` is in seconds."""

    __slots__ = ("_at", "_burst", "_left", "_per_second")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = self._left = burst
        self._at = now

    def take(self, amount: float, now: float) -> float:
        """Take an amount if there is as much. Returns how many seconds are missing, or 0."""
        self._fill(now)
        if self._left < amount:
            return (amount - self._left) / self._per_second
        self._left -= amount
        return 0.0

    def spend(self, amount: float, now: float) -> bool:
        """Take an amount in any case. Returns whether there was as much."""
        self._fill(now)
        self._left -= amount
        return self._left >= 0

    def owed_s(self, now: float) -> float:
        """How many seconds it takes to earn what was spent beyond what there was."""
        self._fill(now)
        return max(-self._left, 0.0) / self._per_second

    def _fill(self, now: float) -> None:
        self._left = min(self._left + (now - self._at) * self._per_second, self._burst)
        self._at = now


class Buckets:
    """A token bucket for each of many keys.

    Of more than `most`, the one that was asked for longest ago is forgotten: it is full again.
    """

    def __init__(self, per_second: float, burst: float, most: int = MAX_BUCKETS) -> None:
        self.per_second = per_second
        self._burst = burst
        self._most = most
        self._buckets: dict[str, Bucket] = {}  # who was asked for last stands last

    def of(self, key: str, now: float) -> Bucket:
        bucket = self._buckets.pop(key, None) or Bucket(self.per_second, self._burst, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most:
            del self._buckets[next(iter(self._buckets))]
        return bucket


Shared = tuple[tuple[Bucket, str], ...]
"""Allowances that a push needs besides its session's, and what each allows, for people."""


class Pushes:
    """What users and documents have left of their pushes on this server."""

    def __init__(self, limits: Limits) -> None:
        user, document = limits.user_pushes_per_second, limits.document_pushes_per_second
        self._users = Buckets(user, user)
        self._documents = Buckets(document, document)
        self._by_user = f"at most {user} pushes a second of one user"
        self._in_document = f"at most {document} pushes a second in one document"

    def of(self, user_id: str, document_id: str, now: float) -> Shared:
        """What a push of this user into this document needs."""
        return (
            (self._users.of(user_id, now), self._by_user),
            (self._documents.of(document_id, now), self._in_document),
        )


class Pace:
    """What one session has left of its allowances."""

    __slots__ = ("_limits", "_messages", "_pushes")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._pushes = Bucket(limits.pushes_per_second, limits.pushes_per_second, now)
        self._messages = Bucket(
            limits.messages_per_second, BURST_S * limits.messages_per_second, now
        )

    def push(self, price: float, now: float, shared: Shared = ()) -> None:
        """One push. Raises `RateLimited` with the time to wait, and takes a price for insisting.

        Whoever waits as long has twice the price back by then: it may go on so for ever.
        """
        wait_s = self._pushes.take(1, now)
        if wait_s:
            allowed = f"at most {self._limits.pushes_per_second} pushes a second"
            raise self._insists(price, now, wait_s, allowed)
        for bucket, allowed in shared:
            wait_s = bucket.take(1, now)
            if wait_s:
                raise self._insists(price, now, wait_s, allowed)

    def _insists(self, price: float, now: float, wait_s: float, allowed: str) -> RateLimited:
        per_second = self._limits.messages_per_second
        insisting = BURST_S * per_second / INSISTING
        self._messages.spend(insisting, now)
        earned_s = 2 * (insisting + price) / per_second
        return RateLimited(allowed, retry_after_ms=math.ceil(max(wait_s, earned_s) * 1000))

    def pay(self, price: float, now: float) -> None:
        """Any message, when it is done with. Raises `SessionEnd`."""
        if not self._messages.spend(price, now):
            raise SessionEnd(CloseCode.TOO_FAST, "too fast for too long")

    def owed_s(self, now: float) -> float:
        """How many seconds it takes to earn what was paid beyond the allowance."""
        return self._messages.owed_s(now)


def price(units: int) -> float:
    """What a message of so many units costs."""
    return 1 + units // UNITS_PER_MESSAGE


def price_of_rebase(sections: int) -> float:
    """What a push costs besides if it meets at least so many sections on its way."""
    return min(sections, MAX_REBASE_COST) // SECTIONS_PER_MESSAGE
