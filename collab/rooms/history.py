"""The recent past of a document, in memory: what rebasing, resuming and slow sessions need.

Every revision keeps its change, every push who sent it, its mark and its items for the wire,
encoded once. At least the rebase window is kept, and not much more.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from collab.log.blocks import Blocks
from collab.log.entry import Point, encode_json
from collab.log.rebase import MAX_BASE_DISTANCE, MAX_BASE_WEIGHT
from collab.text import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from collab.log.blocks import Block
    from collab.log.entry import Ordered, Past

SLACK = MAX_BASE_DISTANCE // 4
WEIGHT_SLACK = MAX_BASE_WEIGHT // 4
"""How far the history may outgrow the window before it is cut, so that a cut costs little."""


class _Push(msgspec.Struct, frozen=True, gc=False):
    """Untracked, since there are very many, and the garbage collector stops everything for as long
    as it takes to look at each.
    """

    mark: str
    weight: int
    """What the history weighs up to there."""
    items: bytes
    void: bool
    author: str
    at: int


class Kept(NamedTuple):
    """A push, and what it changed; a void one has empty changes."""

    client: str
    seq: int
    author: str
    at: int
    void: bool
    updates: Sequence[Change]


class History:
    """The pushes from `start` to `end`. Revisions are counted from the document's beginning."""

    def __init__(self, start: Point, tail: Iterable[Past] = ()) -> None:
        self._start = self.end = start
        # One for each revision after the start; what came from the database is JSON until somebody
        # asks for it, which is seldom: `_raw` says for how many.
        self._changes: list[Change | bytes] = []
        self._raw = 0
        # One of each for each push after the start.
        self._pushes: list[_Push] = []
        self._ends: list[int] = []
        self._sources: list[tuple[str, int]] = []
        self._largest: dict[str, int] = {}  # of each client in there
        self._blocks = Blocks()
        for past in tail:
            self._add(past, past.changes)
        self._raw = len(self._changes)
        self._cut()

    @property
    def start(self) -> int:
        """The first revision that is kept."""
        return self._start.revision

    @property
    def weight(self) -> int:
        """What is kept weighs so much."""
        return self.end.weight - self._start.weight

    def append(self, ordered: Ordered) -> None:
        self._add(ordered, ordered.updates)
        if (
            self.end.revision - self.start > MAX_BASE_DISTANCE + SLACK
            or self.weight > MAX_BASE_WEIGHT + WEIGHT_SLACK
        ):
            self._cut()

    def _add(self, past: Past, changes: Sequence[Change | bytes]) -> None:
        self.end = Point(past.last, past.mark, past.weight)
        self._changes += changes
        author = sys.intern(past.author)  # few people, many pushes
        self._pushes.append(
            _Push(past.mark, past.weight, wire_items(past), past.void, author, past.at)
        )
        self._ends.append(self.end.revision)
        self._sources.append((past.client, past.seq))
        self._note(past.client, past.seq)

    def _note(self, client: str, seq: int) -> None:
        if seq > self._largest.get(client, -1):
            self._largest[client] = seq

    def reaches(self, base: int) -> bool:
        """Whether a push may still be based on a revision: the log's verdict, whatever is kept."""
        if base < self.start or self.end.revision - base > MAX_BASE_DISTANCE:
            return False
        push = bisect_right(self._ends, base)
        before = self._pushes[push - 1].weight if push else self._start.weight
        return self.end.weight - before <= MAX_BASE_WEIGHT

    def since(self, revision: int) -> Sequence[Change]:
        """The changes after `revision`, which is kept."""
        place = revision - self.start
        for index in range(place, self._raw):
            raw = cast("bytes", self._changes[index])
            self._changes[index] = Change.from_json(msgspec.json.decode(raw))
        self._raw = min(self._raw, place)
        return cast("list[Change]", self._changes[place:])

    def blocks_since(self, revision: int) -> Sequence[Block]:
        """The same, in blocks."""
        return self._blocks.of(revision, self.since(revision))

    def pushes(self, after: int) -> Iterator[Kept]:
        """The pushes after a revision that is kept and no push's middle."""
        changes = self.since(after)
        first = bisect_right(self._ends, after)
        begin = after
        for push, end, (client, seq) in zip(
            self._pushes[first:], self._ends[first:], self._sources[first:], strict=True
        ):
            updates = changes[begin - after : end - after]
            yield Kept(client, seq, push.author, push.at, push.void, updates)
            begin = end

    def has(self, client: str, seq: int, since: int) -> bool:
        """Whether an entry of this client and seq, void or not, was ordered after `since`."""
        if seq > self._largest.get(client, -1):
            return False  # as nearly always
        try:
            self._sources.index((client, seq), bisect_right(self._ends, since))
        except ValueError:
            return False
        return True

    def knows(self, client: str, seq: int) -> bool:
        """Whether an entry of this client and seq, void or not, is kept."""
        return (client, seq) in self._sources

    def last_seq(self, client: str, since: int) -> int:
        """The largest seq that a client pushed after a revision; -1 if there was none."""
        recent = self._sources[bisect_right(self._ends, since) :]
        return max((seq for name, seq in recent if name == client), default=-1)

    def took_effect(self, client: str, seq: int) -> bool:
        """Whether a push of this client and seq took effect, as far back as is kept."""
        try:
            return not self._pushes[self._sources.index((client, seq))].void
        except ValueError:
            return False

    def mark_at(self, revision: int) -> str | None:
        """The mark at a revision; None where it is not kept or lies inside a push."""
        if revision == self.start:
            return self._start.mark
        push = bisect_left(self._ends, revision)
        if push < len(self._ends) and self._ends[push] == revision:
            return self._pushes[push].mark
        return None

    def common(self, other: History) -> int | None:
        """The last revision up to which both are one history; None if they do not both keep it.

        A mark names all that came before it, so that histories agree up to one push and differ from
        there on.
        """
        start = max(self.start, other.start)
        mark = self.mark_at(start)
        if mark is None or mark != other.mark_at(start):
            return None
        ends = self._ends[bisect_right(self._ends, start) :]
        agreed = bisect_left(ends, True, key=lambda end: self.mark_at(end) != other.mark_at(end))
        return ends[agreed - 1] if agreed else start

    def items(self, after: int, upto: int, max_bytes: int) -> tuple[bytes, int, str]:
        """The pushes after revision `after` and not beyond `upto`, as the items of an `updates`
        message, with the revision and the mark that they end at.

        At least one push, and no more than fit `max_bytes`. Both revisions are ends of pushes, and
        `after` is kept.
        """
        push = bisect_right(self._ends, after)
        last = bisect_left(self._ends, upto, lo=push)
        size = len(self._pushes[push].items)
        end = push
        while end < last and size + len(self._pushes[end + 1].items) <= max_bytes:
            end += 1
            size += len(self._pushes[end].items)
        items = b",".join(each.items for each in self._pushes[push : end + 1])
        return items, self._ends[end], self._pushes[end].mark

    def _cut(self) -> None:
        """Forget the pushes that lie before the window."""
        pushes = max(
            bisect_right(self._ends, self.end.revision - MAX_BASE_DISTANCE),
            bisect_left(
                self._pushes,
                self.end.weight - MAX_BASE_WEIGHT,
                key=lambda push: push.weight,
            ),
        )
        if not pushes:
            return
        end, last = self._ends[pushes - 1], self._pushes[pushes - 1]
        revisions = end - self.start
        self._start = Point(end, last.mark, last.weight)
        self._raw = max(self._raw - revisions, 0)
        del self._changes[:revisions]
        del self._pushes[:pushes], self._ends[:pushes], self._sources[:pushes]
        self._largest.clear()
        for client, seq in self._sources:
            self._note(client, seq)


def wire_items(past: Past) -> bytes:
    """A push as items of an `updates` message: `[client,seq,changes]`, of a void one `["",0,…]`."""
    client, seq = ("", 0) if past.void else (past.client, past.seq)
    head = b"[%s,%d," % (encode_json(client), seq)
    return b",".join(b"%s%s]" % (head, change) for change in past.changes)
