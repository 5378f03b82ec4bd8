"""One editor's copy of a document: a state machine, without clock or socket.

Edits and messages go in; what to push comes out, and what happened to the visible text. Its law:
`text` is `confirmed` with the `unconfirmed` changes applied; once those are ordered it is the
server's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from collab.client.cut import cut, json_bytes
from collab.client.errors import Astray, Rejected, refusal
from collab.client.wire import Push
from collab.errors import InvalidChange, RateLimited, Stale, Unavailable
from collab.text import Change, Text
from collab.text.difference import difference

if TYPE_CHECKING:
    from collab.client.wire import Beat, Limits, Refused, Updates, Welcome

ENVELOPE_BYTES = 128
"""A push takes no more beside its updates and the commas between them."""

MAX_UPDATES = 10_000
"""The most that a push may hold here, whatever the server's limit."""

_PASSING = (Stale, RateLimited, Unavailable)
"""Why a push may be refused and yet be right a little later; what else there is, is for good."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """The push whose fate is unknown: the first `count` of the unconfirmed changes."""

    seq: int
    count: int


class Replica:
    """Starts empty and learns the document from its first welcome."""

    def __init__(self) -> None:
        self.name = ""
        self.revision = 0
        self.mark = ""
        self.saved_revision = 0
        self.own_revision = 0
        """The last revision that this editor made."""
        self.confirmed = Text.empty()
        self.text = self.confirmed
        self.unconfirmed: list[Change] = []
        """Edits in order: the first applies to `confirmed`, each next one to the result."""
        self.in_flight: InFlight | None = None
        self.typed = 0
        """How many edits were made here, ever."""
        self._extra_pieces = 0
        """How many of the first unconfirmed changes continue an edit that was cut."""
        self._last_seq = 0
        self._updates_now = MAX_UPDATES
        """How many updates to try in a push: less after a stale one, for a rebase costs by both."""
        self._may_resume = False
        self._seen: list[Change] = []

    @property
    def ordered(self) -> int:
        """How many of the edits typed here, the earliest first, wait for nothing any more."""
        return self.typed - len(self.unconfirmed) + self._extra_pieces

    @property
    def saved(self) -> bool:
        """Whether the database has everything that was typed here (S2)."""
        return not self.unconfirmed and self.saved_revision >= self.own_revision

    # -- what the person does -----------------------------------------------------------------

    def edit(self, change: Change) -> None:
        """Change the visible text. InvalidChange, and nothing done, if it does not fit it."""
        self.text = change.apply(self.text)
        self.unconfirmed.append(change)
        self.typed += 1

    def next_push(self, limits: Limits) -> Push | None:
        """What to send now: as many unconfirmed changes as one push holds, or None (P1, P2).

        From here on that push is in flight.
        """
        if self.in_flight is not None or not self.unconfirmed:
            return None
        space = limits.max_message_bytes - ENVELOPE_BYTES
        head = self.unconfirmed[0]
        if len(head.sections) > limits.max_sections_per_push or len(json_bytes(head)) > space:
            pieces = cut(head, limits.max_sections_per_push, space)
            self.unconfirmed[:1] = pieces
            self._extra_pieces += len(pieces) - 1
        updates: list[msgspec.Raw] = []
        sections = 0
        for change in self.unconfirmed[: min(limits.max_updates_per_push, self._updates_now)]:
            encoded = json_bytes(change)
            space -= len(encoded) + 1
            sections += len(change.sections)
            if updates and (space < 0 or sections > limits.max_sections_per_push):
                break
            updates.append(msgspec.Raw(encoded))
        self._last_seq += 1
        self.in_flight = InFlight(self._last_seq, len(updates))
        return Push(self.revision, self._last_seq, updates)

    def seen(self) -> list[Change]:
        """What happened to the visible text, but for edits, since this was last asked."""
        seen, self._seen = self._seen, []
        return seen

    # -- what the server says -----------------------------------------------------------------

    def handshake(self) -> dict[str, str]:
        """What the next session's handshake tells about this copy (H1)."""
        query: dict[str, str] = {}
        if self._may_resume:
            query |= {"revision": str(self.revision), "mark": self.mark}
        if self.in_flight is not None:
            query["inflight"] = str(self.in_flight.seq)
        return query

    def stray(self) -> None:
        """The confirmed text is not the server's: the next session starts afresh (U6)."""
        self._may_resume = False

    def welcome(self, welcome: Welcome) -> None:
        """A session began. Raises Astray for a welcome that this copy did not ask for."""
        self.name = welcome.client
        settled = self._settle(welcome)
        if welcome.text is None:
            if (welcome.revision, welcome.mark) != (self.revision, self.mark):
                raise Astray(f"resumed at {welcome.revision} instead of {self.revision}")
            self.saved_revision = max(self.saved_revision, welcome.saved)
            return
        # What was ordered is in the new text: the rest is carried over the difference (H6).
        base = self.confirmed
        for change in self.unconfirmed[:settled]:
            base = change.apply(base)
        self._forget(settled)
        if settled:
            self.in_flight = None
            self.own_revision = welcome.revision
        self.confirmed = base
        change = difference(str(base), welcome.text)
        if not change.is_empty:
            self._take(change)
        self.revision, self.mark = welcome.revision, welcome.mark
        self.saved_revision = welcome.saved
        self.own_revision = min(self.own_revision, welcome.revision)
        self._may_resume = True

    def receive(self, message: Updates) -> None:
        """Take ordered updates, one at a time (T8).

        One's own are the acknowledgement of the push in flight (P3) and change nothing visible.
        Raises Astray where they do not follow what is here.
        """
        if message.revision != self.revision + 1:
            raise Astray(f"expected update {self.revision + 1}, got {message.revision}")
        for client, seq, json in message.updates:
            try:
                change = Change.from_json(json)
                if self._is_own(client, seq):
                    self._confirm(change)
                else:
                    self._take(change)
            except InvalidChange as error:
                raise Astray(f"update {self.revision + 1} does not fit: {error}") from error
            self.revision += 1
            if client == self.name:
                self.own_revision = self.revision
        self.mark = message.mark

    def refused(self, message: Refused) -> Rejected | None:
        """The push in flight was refused (P5).

        After a passing reason its changes wait for the next push. After one that is for good, they
        and what was typed on top of them are taken back, and returned as the error to raise.
        """
        if self.in_flight is None or self.in_flight.seq != message.seq:
            raise Astray(f"push {message.seq} was refused, which is not in flight")
        reason = refusal(message.code, message.message, message.retry_after_ms)
        if isinstance(reason, Stale):
            self._updates_now = max(1, self.in_flight.count // 2)
        self.in_flight = None
        if isinstance(reason, _PASSING):
            return None
        lost = Rejected(
            reason,
            confirmed=self.confirmed,
            text=self.text,
            changes=tuple(self.unconfirmed),
            first=self.ordered + 1,
            last=self.typed,
        )
        self._forget(len(self.unconfirmed))
        self._seen.append(difference(str(self.text), str(self.confirmed)))
        self.text = self.confirmed
        return lost

    def beat(self, message: Beat) -> None:
        """Raises Astray if the server has this copy elsewhere, or with another text (U5, U6)."""
        if (message.revision, message.mark) != (self.revision, self.mark):
            raise Astray(f"at revision {self.revision}, not {message.revision}")
        if message.crc is not None and message.crc != self.confirmed.crc32():
            raise Astray(f"another text at revision {self.revision}")
        self.heard_saved(message.saved)

    def heard_saved(self, revision: int) -> None:
        """The database has every update up to `revision` (S1)."""
        self.saved_revision = max(self.saved_revision, revision)

    # -- how it is done -----------------------------------------------------------------------

    def _settle(self, welcome: Welcome) -> int:
        """Take the fate of the push in flight (H7); how many changes a fresh text has from it."""
        if self.in_flight is None:
            return 0
        if welcome.inflight == "ordered":
            return self.in_flight.count
        if welcome.inflight is None:
            raise Astray("the welcome does not tell the fate of the push in flight")
        self.in_flight = None
        return 0

    def _is_own(self, client: str, seq: int) -> bool:
        return self.in_flight is not None and seq == self.in_flight.seq and client == self.name

    def _confirm(self, change: Change) -> None:
        """The first unconfirmed change was ordered, as `change`."""
        assert self.in_flight is not None
        if self.unconfirmed[0] != change:
            raise Astray(f"update {self.revision + 1} was rebased differently here")
        self.confirmed = change.apply(self.confirmed)
        self._forget(1)
        left = self.in_flight.count - 1
        self.in_flight = InFlight(self.in_flight.seq, left) if left else None
        self._updates_now = min(self._updates_now + 1, MAX_UPDATES)

    def _forget(self, count: int) -> None:
        """The first so many unconfirmed changes are unconfirmed no more."""
        del self.unconfirmed[:count]
        self._extra_pieces = max(0, self._extra_pieces - count)

    def _take(self, change: Change) -> None:
        """Somebody else changed the confirmed text: carry the unconfirmed over it, it over them."""
        self.confirmed = change.apply(self.confirmed)
        rest: list[Change] = []
        for mine in self.unconfirmed:
            rest.append(mine.map(change))
            change = change.map(mine, before=True)
        self.unconfirmed = rest
        self.text = change.apply(self.text) if rest else self.confirmed
        self._seen.append(change)
