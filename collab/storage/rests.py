"""How long to rest after work whose cost hardly depends on how much it does at once."""

from __future__ import annotations

SHARE = 1 / 16
"""The share of the time that the work takes in the long run, as long as it is short: who is busy
does it more seldom, and more of it each time.
"""

AT_ONCE_S = 0.02
"""How long the work may take beyond that: where little is to be done, it is done at once."""

MAX_REST_S = 0.01
"""The longest rest: somebody waits for what is done after it."""


class Rests:
    """Of one kind of work. Times are in seconds, by any clock."""

    def __init__(self) -> None:
        self._ahead_s = 0.0  # what it took beyond its share
        self._ended = 0.0

    def after(self, began: float, ended: float) -> float:
        earned_s = (ended - self._ended) * SHARE
        self._ahead_s = max(self._ahead_s - earned_s, 0.0) + ended - began
        self._ended = ended
        return min(max(self._ahead_s - AT_ONCE_S, 0.0) / SHARE, MAX_REST_S)
