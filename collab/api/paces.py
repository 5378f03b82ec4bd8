"""How fast a user may edit over REST: as fast as in a session (L1), whatever the connections. What
users and documents may have in all sessions together counts these edits too.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from collab.errors import RateLimited, SessionEnd
from collab.live.pace import Pace, price_of_rebase

if TYPE_CHECKING:
    from collab.live.pace import Pushes
    from collab.settings import Limits

MAX_USERS = 10_000
"""How many paces are kept: of more users, who edited longest ago has the whole allowance again."""


class Paces:
    """Each user's pace.

    There is no session to end: whoever has spent more than there was waits until it is earned, and
    is asked for nothing more meanwhile.
    """

    def __init__(self, limits: Limits, pushes: Pushes) -> None:
        self._limits = limits
        self._pushes = pushes
        self._paces: dict[str, Pace] = {}  # who edited last stands last

    def push(self, user_id: str, document_id: str) -> None:
        """One edit. Raises `RateLimited`."""
        now = monotonic()
        self._solvent(user_id, now).push(0, now, self._pushes.of(user_id, document_id, now))

    def rebase(self, user_id: str, sections: int) -> None:
        """An edit meets at least so many sections on its way. Raises `RateLimited`."""
        now = monotonic()
        pace = self._solvent(user_id, now)
        with suppress(SessionEnd):  # this one is done; the next waits
            pace.pay(price_of_rebase(sections), now)

    def _solvent(self, user_id: str, now: float) -> Pace:
        """A user's pace. Raises `RateLimited` where the user owes."""
        pace = self._paces.pop(user_id, None) or Pace(self._limits, now)
        self._paces[user_id] = pace
        if len(self._paces) > MAX_USERS:
            del self._paces[next(iter(self._paces))]
        owed_ms = round(pace.owed_s(now) * 1000)
        if owed_ms:
            raise RateLimited("too fast for too long", retry_after_ms=owed_ms)
        return pace
