"""The recent past of a document, in memory: what rebasing, resuming and slow sessions need.

Every revision keeps its change and who pushed it, every push its mark and its items for the wire,
encoded once. At least the rebase window is kept, and not much more.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from collab.log.entry import encode_json
from collab.log.rebase import MAX_BASE_DISTANCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collab.log.entry import Ordered
    from collab.text import Change

SLACK = MAX_BASE_DISTANCE // 4
"""How far the history may outgrow the window before it is cut, so that a cut costs little."""


class History:
    """Revisions `start + 1` to `end`. Revisions are counted from the document's beginning."""

    def __init__(self, revision: int, mark: str, tail: Iterable[Ordered] = ()) -> None:
        self.start = self.end = revision
        self._start_mark = mark
        # One of each for each revision after `start`.
        self._changes: list[Change] = []
        self._sources: list[tuple[str, int]] = []
        # One of each for each push after `start`.
        self._ends: list[int] = []
        self._marks: list[str] = []
        self._items: list[bytes] = []
        self._void: list[bool] = []
        for ordered in tail:
            self.append(ordered)

    def append(self, ordered: Ordered) -> None:
        source = ordered.client, ordered.seq
        for change in ordered.updates:
            self._changes.append(change)
            self._sources.append(source)
        self.end = ordered.last
        self._ends.append(self.end)
        self._marks.append(ordered.mark)
        self._items.append(wire_items(ordered))
        self._void.append(ordered.void is not None)
        if self.end - self.start > MAX_BASE_DISTANCE + SLACK:
            self._cut(self.end - MAX_BASE_DISTANCE)

    def since(self, revision: int) -> list[Change]:
        """The changes after `revision`, which is kept."""
        return self._changes[revision - self.start :]

    def has(self, client: str, seq: int, since: int) -> bool:
        """Whether an entry of this client and seq, void or not, was ordered after `since`."""
        try:
            self._sources.index((client, seq), since - self.start)
        except ValueError:
            return False
        return True

    def last_seq(self, client: str, since: int) -> int:
        """The largest seq that a client pushed after a revision; -1 if there was none."""
        recent = self._sources[max(since - self.start, 0) :]
        return max((seq for name, seq in recent if name == client), default=-1)

    def took_effect(self, client: str, seq: int) -> bool:
        """Whether a push of this client and seq took effect, as far back as is kept."""
        try:
            place = self._sources.index((client, seq))
        except ValueError:
            return False
        push = bisect_left(self._ends, self.start + place + 1)
        return not self._void[push]

    def mark_at(self, revision: int) -> str | None:
        """The mark at a revision; None where it is not kept or lies inside a push."""
        if revision == self.start:
            return self._start_mark
        push = bisect_left(self._ends, revision)
        if push < len(self._ends) and self._ends[push] == revision:
            return self._marks[push]
        return None

    def items(self, after: int, upto: int, max_bytes: int) -> tuple[bytes, int, str]:
        """The pushes after revision `after` and not beyond `upto`, as the items of an `updates`
        message, with the revision and the mark that they end at.

        At least one push, and no more than fit `max_bytes`. Both revisions are ends of pushes, and
        `after` is kept.
        """
        push = 0 if after == self.start else bisect_left(self._ends, after) + 1
        last = bisect_left(self._ends, upto, lo=push)
        size = len(self._items[push])
        end = push
        while end < last and size + len(self._items[end + 1]) <= max_bytes:
            end += 1
            size += len(self._items[end])
        return b",".join(self._items[push : end + 1]), self._ends[end], self._marks[end]

    def _cut(self, revision: int) -> None:
        """Forget the pushes that end before or at `revision`."""
        pushes = bisect_left(self._ends, revision + 1)
        if not pushes:
            return
        start = self._ends[pushes - 1]
        revisions = start - self.start
        self._start_mark = self._marks[pushes - 1]
        self.start = start
        del self._changes[:revisions], self._sources[:revisions]
        del self._ends[:pushes], self._marks[:pushes], self._items[:pushes], self._void[:pushes]


def wire_items(ordered: Ordered) -> bytes:
    """A push as items of an `updates` message: `[client,seq,changes]`, of a void one `["",0,…]`."""
    client, seq = ("", 0) if ordered.void else (ordered.client, ordered.seq)
    head = b"[%s,%d," % (encode_json(client), seq)
    return b",".join(b"%s%s]" % (head, change) for change in ordered.changes)
