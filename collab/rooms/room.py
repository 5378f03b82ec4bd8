"""The room: a deterministic state machine over a document's log.

It takes the next entry, rebases its updates over those since its base, one at a time, and so makes
the next revisions. The same log gives the same text on every server. It does no I/O and has no
clock: nothing but the log decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.errors import InvalidChange, Refusal, Stale
from collab.log.entry import Ordered, encode_json
from collab.log.rebase import rebase, weigh
from collab.rooms.history import History
from collab.text import Change

if TYPE_CHECKING:
    from collab.log.entry import Entry
    from collab.storage.history import Saved
    from collab.text import Text


ROOM_BYTES = 16 * 1024
UNIT_BYTES = 4
"""What a room takes empty, and for each unit of its text; `weigh` says the rest. About."""


class Copied(Refusal):
    """The log has an entry of this client and seq already."""

    code = "copied"


class Settled(Refusal):
    """A settling entry: it never takes effect."""

    code = "settled"


class Room:
    """A document at the end of its log, as far as it was heard."""

    def __init__(self, text: Text, history: History) -> None:
        """`text` is the text at the end of `history`."""
        self.text = text
        self.history = history
        self._judged: tuple[Entry, tuple[Change, ...], Text] | None = None

    @classmethod
    def restore(cls, saved: Saved) -> Room:
        """A room at the end of what the database has."""
        return cls(saved.text, History(saved.start, saved.tail))

    @property
    def revision(self) -> int:
        return self.history.end.revision

    @property
    def mark(self) -> str:
        return self.history.end.mark

    @property
    def memory(self) -> int:
        """About how many bytes it takes."""
        return ROOM_BYTES + UNIT_BYTES * len(self.text) + self.history.weight

    def judge(self, entry: Entry) -> Text:
        """The text that `entry` would make if it came next.

        Raises the `Refusal` that would make it void. The room does not change.
        """
        updates, text = self._rebase(entry)
        self._judged = entry, updates, text
        return text

    def apply(self, entry: Entry, mark: str) -> Ordered:
        """Take the next entry of the log; `mark` is the mark after it.

        An entry that is not valid here is void: it takes its revisions with empty changes.
        """
        refusal: Refusal | None = None
        try:
            if self._judged is not None and self._judged[0] is entry:
                _, updates, text = self._judged
            else:
                updates, text = self._rebase(entry)
        except Refusal as error:
            refusal = error
            updates, text = (Change.empty(len(self.text)),) * entry.revisions, self.text
        changes = tuple(encode_json(update.to_json()) for update in updates)
        end = self.history.end
        ordered = Ordered(
            client=entry.client,
            seq=entry.seq,
            author=entry.author,
            at=entry.at,
            first=end.revision + 1,
            before=end,
            mark=mark,
            weight=end.weight + sum(map(weigh, updates, changes)),
            changes=changes,
            updates=updates,
            text=text,
            void=refusal is not None,
            refusal=refusal,
        )
        self._judged = None
        self.text = text
        self.history.append(ordered)
        return ordered

    def _rebase(self, entry: Entry) -> tuple[tuple[Change, ...], Text]:
        """An entry's updates as they apply at the end of the log, and the text they make."""
        base = entry.base
        if base is None:
            raise Settled("this push was settled before it came")
        if not entry.updates:
            raise InvalidChange("a push has at least one update")
        if base > self.revision or base < 0:
            raise InvalidChange(f"there is no revision {base} yet; the last is {self.revision}")
        if not self.history.reaches(base):
            raise Stale(f"revision {base} is too far behind {self.revision}")
        # A copy can only be one of a push after its own base, and these are walked anyway.
        if self.history.has(entry.client, entry.seq, base):
            raise Copied("this push was ordered before")
        text = self.text
        updates = rebase(entry.updates, self.history.blocks_since(base))
        for update in updates:
            text = update.apply(text)
        return updates, text
