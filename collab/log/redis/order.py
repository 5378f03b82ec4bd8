"""The order of a document as far as one server has heard it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from collab.errors import Unavailable
from collab.log.entry import next_mark
from collab.log.redis.stream import End, Push
from collab.waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_EARLY = 1_000
MAX_EARLY_BYTES = 4 * 1024 * 1024
"""How much is kept that came before its turn. What is more is read from the stream."""


class Order:
    """Each push once, without gap. Those that are not saved are kept as they came."""

    def __init__(self) -> None:
        self.end = End(0, "")
        self.saved = 0
        self._unsaved: deque[Push] = deque()
        self._early: dict[int, Push] = {}  # by the revision before
        self._early_bytes = 0
        self._waiters = Waiters()

    def begin(self, saved: End) -> None:
        """Where the database ends."""
        self.end = saved
        self.saved = saved.revision
        self._unsaved.clear()
        self.forget_early()

    # -- What is next ----------------------------------------------------------------------------

    def follows(self, push: Push) -> bool:
        """Whether a push is the next of this history."""
        return next_mark(self.end.mark, push.entry) == push.mark

    def hear(self, push: Push) -> None:
        """The next push."""
        self.end = End(push.revision, push.mark)
        self._unsaved.append(push)

    def keep(self, before: int, push: Push) -> None:
        """It follows a revision that was not heard yet."""
        size = len(push.entry)
        if len(self._early) < MAX_EARLY and self._early_bytes + size <= MAX_EARLY_BYTES:
            self._early[before] = push
            self._early_bytes += size

    def next(self) -> Push | None:
        """What was kept and is next now."""
        if not self._early:
            return None
        push = self._early.pop(self.end.revision, None)
        if push is not None:
            self._early_bytes -= len(push.entry)
        elif max(self._early) < self.end.revision:
            self.forget_early()  # all of it was read from the stream meanwhile
        return push

    @property
    def has_gap(self) -> bool:
        return bool(self._early)

    def forget_early(self) -> None:
        self._early.clear()
        self._early_bytes = 0

    # -- What is saved ---------------------------------------------------------------------------

    @property
    def all_saved(self) -> bool:
        return not self._unsaved

    def unsaved(self, after: int) -> Sequence[Push] | None:
        """The pushes after a revision, as they came; None if some are saved and no longer kept."""
        if after < self.saved:
            return None
        return [push for push in self._unsaved if push.revision > after]

    def save(self, revision: int) -> None:
        self.saved = max(self.saved, revision)
        while self._unsaved and self._unsaved[0].revision <= self.saved:
            self._unsaved.popleft()

    # -- Who waits -------------------------------------------------------------------------------

    async def reaches(self, revision: int, patience_s: float) -> None:
        """Return when a revision was heard. Raises `Unavailable`, also when that takes too long."""
        if self.end.revision >= revision:
            return
        try:
            async with asyncio.timeout(patience_s):
                await self._waiters.until(revision)
        except TimeoutError:
            raise Unavailable("the end of the log is not known now") from None

    def tell(self) -> None:
        """Let those go on who wait for what was heard."""
        self._waiters.reached(self.end.revision)

    def close(self, error: Unavailable) -> None:
        self._waiters.close(error)
