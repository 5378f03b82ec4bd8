"""Who waits to hear what became of a push."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collab.counts import Counts
    from collab.errors import Refusal
    from collab.log.entry import Entry, Ordered
    from collab.rooms.attendance import Author
    from collab.rooms.containment import Containment


class Authors:
    """Those of one room's pushes that have no answer yet. Each hears one."""

    def __init__(self, counts: Counts, containment: Containment) -> None:
        self._counts = counts
        self._contained = containment
        self._waiting: dict[tuple[str, int], Author] = {}

    def add(self, entry: Entry, author: Author) -> None:
        self._waiting[entry.client, entry.seq] = author

    def ordered(self, made: Ordered) -> None:
        """An entry of anybody's is in the order: it took effect, or it is void."""
        author = self._waiting.pop((made.client, made.seq), None)
        if author is None:
            return  # another server's, which counts it
        if made.refusal is None:
            self._counts.pushes["ordered"] += 1
            self._counts.updates += len(made.changes)
            author.ordered(made.seq, made.last)
        else:
            self._counts.pushes[made.refusal.code] += 1
            author.refused(made.seq, made.refusal)

    def refused(self, entry: Entry, refusal: Refusal) -> None:
        """It is not in the order, and never will be."""
        self._counts.pushes[refusal.code] += 1
        author = self._waiting.pop((entry.client, entry.seq), None)
        if author is not None:
            author.refused(entry.seq, refusal)

    def give_up(self, refusal: Refusal) -> None:
        """The room is closed. Sessions have ended, and settle on return; nobody else waits for what
        will not be heard.
        """
        waiting, self._waiting = self._waiting, {}
        for (_, seq), author in waiting.items():
            with self._contained:
                author.refused(seq, refusal)
