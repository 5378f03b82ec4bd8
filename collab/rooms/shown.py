"""What a room shows of what it has heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.waiters import Waiters

if TYPE_CHECKING:
    from collab.errors import Unavailable
    from collab.log.entry import Ordered
    from collab.rooms.fanout import Fanout
    from collab.rooms.trail import Trail
    from collab.text import Text


class Shown:
    """The visible revision, which follows what is ordered, and those who wait for it to move."""

    def __init__(self, fanout: Fanout, trail: Trail) -> None:
        self._fanout = fanout
        self._trail = trail
        self._hidden: list[tuple[int, Text]] = []
        self._waiters = Waiters()

    @property
    def revision(self) -> int:
        return self._fanout.visible

    @property
    def text(self) -> Text:
        return self._fanout.text

    def ordered(self, made: Ordered) -> None:
        """It may not be shown yet."""
        self._hidden.append((made.last, made.text))
        self._trail.ordered(made)

    def durable(self, revision: int) -> None:
        """Everything up to a revision may be shown."""
        text, shown = self.text, 0
        while shown < len(self._hidden) and self._hidden[shown][0] <= revision:
            text = self._hidden[shown][1]
            shown += 1
        del self._hidden[:shown]
        self._fanout.show(revision, text)
        self._trail.show(revision)
        self._waiters.reached(revision)

    async def reaches(self, revision: int) -> None:
        """Return when a revision is shown. Raises `Unavailable` when the room is closed before."""
        if revision > self.revision:
            await self._waiters.until(revision)

    def close(self, error: Unavailable) -> None:
        self._waiters.close(error)
