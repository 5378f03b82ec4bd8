"""Where a place comes to over many splices, by one look.

Over one splice the place of an insertion moves by a step function: it stays, or is pushed on, or
falls to where the splice is. Over splices that follow one another it moves by such a function
again. It is exact: it says what mapping over one after the other comes to. A composition of them
would not, since it has forgotten which of them came first at the same place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.text.change import Change


class Steps:
    """The step function of some splices, of which each applies to what the former makes.

    The places of the text at first fall into stretches. Where one begins is in `_at`, what its
    beginning comes to in `_to`; those that follow in it come to places one after the other if it is
    `_rising` (1), or all to the same (0).
    """

    __slots__ = ("_at", "_rising", "_to", "length", "new_length")

    def __init__(self, changes: Sequence[Change]) -> None:
        """Raises ValueError if one of the changes is no splice."""
        self.length = changes[0].length
        self.new_length = changes[-1].new_length
        self._at, self._to, self._rising = [0], [0], [1]
        for change in changes:
            splice = change.splice
            if splice is None:
                raise ValueError("only splices make steps")
            start, deleted, insert = splice
            self._follow(start, deleted, len(insert))

    def over(self, start: int, deleted: int) -> int | None:
        """Where a splice comes to that starts there and deletes so many units.

        None if one of the others touches what it deletes: the steps do not tell what is left then.
        """
        at = self._at
        stretch = bisect_right(at, start) - 1
        rising = self._rising[stretch]
        if deleted:
            ends = at[stretch + 1] if stretch + 1 < len(at) else self.length + 1
            if not rising or start + deleted >= ends:
                return None
        return self._to[stretch] + (start - at[stretch]) * rising

    def _follow(self, start: int, deleted: int, inserted: int) -> None:
        """One more splice."""
        to = self._to
        if deleted:  # an insertion where it starts stands before it
            first, last = self._cut(start + 1), self._cut(start + deleted)
            for stretch in range(first, last):
                to[stretch], self._rising[stretch] = start + inserted, 0
        else:
            last = self._cut(start)
        moved = inserted - deleted
        to[last:] = [place + moved for place in to[last:]]

    def _cut(self, place: int) -> int:
        """The first stretch that comes to `place` or beyond. One that reaches across is cut."""
        at, to = self._at, self._to
        stretch = bisect_left(to, place)
        if stretch and self._rising[stretch - 1]:
            before = at[stretch - 1] + place - to[stretch - 1]
            if stretch == len(at) or before < at[stretch]:
                at.insert(stretch, before)
                to.insert(stretch, place)
                self._rising.insert(stretch, 1)
        return stretch
