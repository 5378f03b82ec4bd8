"""How long to wait before trying again: exponential, with full jitter."""

from __future__ import annotations

import random


class Backoff:
    """Each pause is drawn evenly from nothing to twice the former bound, up to `max_s`.

    Drawn from nothing on, so that clients that were cut off together do not come back together.
    """

    def __init__(self, first_s: float = 0.5, max_s: float = 30.0) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._bound_s = first_s

    def next_s(self) -> float:
        bound_s = self._bound_s
        self._bound_s = min(2 * bound_s, self._max_s)
        return random.uniform(0, bound_s)  # noqa: S311 - no secret hangs on it

    def reset(self) -> None:
        self._bound_s = self._first_s
