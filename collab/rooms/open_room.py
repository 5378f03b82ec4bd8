"""A document that is open on this server: its room, its log's feed, and its sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.counts import Counts
from collab.errors import (
    CloseCode,
    DocumentFull,
    Forbidden,
    NotFound,
    Refusal,
    SessionEnd,
    Unavailable,
)
from collab.rooms.attendance import Attendance
from collab.rooms.authors import Authors
from collab.rooms.budget import Account
from collab.rooms.clock import HybridClock
from collab.rooms.containment import Containment
from collab.rooms.fanout import Fanout
from collab.rooms.neighbours import Neighbours
from collab.rooms.presence import Presence
from collab.rooms.presenter import Presenter
from collab.rooms.saving import Saving
from collab.rooms.shown import Shown
from collab.rooms.snapshot import Snapshots
from collab.rooms.standings import Standings
from collab.rooms.trail import Trail
from collab.tasks import Tasks
from collab.waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collab.log.contract import Feed
    from collab.log.entry import Entry, Ordered
    from collab.rooms.attendance import Author
    from collab.rooms.budget import Budget
    from collab.rooms.history import History
    from collab.rooms.room import Room
    from collab.rooms.saving import Saver
    from collab.rooms.standings import Access
    from collab.text import Change, Text


class OpenRoom:
    """Orders, saves and shows a document's pushes for as long as it is open.

    It is the log's `Subscriber`. What is ordered is applied at once, so
    that the next push is judged on the end of the log; it is shown when the log says that it may.

    If anything in here fails unexpectedly, the room ends, and its sessions come back to one that is
    read anew.
    """

    def __init__(
        self,
        document_id: str,
        room: Room,
        saver: Saver,
        budget: Budget,
        access: Access,
        *,
        max_units: int,
        presence_hz: float,
        on_broken: Callable[[OpenRoom], None],
        on_adrift: Callable[[OpenRoom], None] = lambda _: None,
        counts: Counts | None = None,
        server: str = "alone",
        clock: HybridClock | None = None,
        heartbeat_s: float = 15.0,
    ) -> None:
        """`server` is this room's name among all that were ever opened of the document."""
        self.document_id = document_id
        self.counts = Counts() if counts is None else counts
        self._contained = Containment(self._break)
        self._judging = Containment(self._break, passing=(Refusal,))
        self.fanout = Fanout(room.history, room.text, self._contained, self.counts)
        self._clock = HybridClock() if clock is None else clock
        presence = Presence(room.history)
        self._neighbours = Neighbours(server, presence, self._clock, heartbeat_s)
        self.presenter = Presenter(
            presence,
            self._neighbours,
            presence_hz,
            lambda: (self.visible_revision, len(self.visible_text)),
            self._contained,
        )
        self.attendance = Attendance(self.fanout, self.presenter, self._neighbours, self._contained)
        self.trail = Trail()
        self.standings = Standings(document_id, access, self._contained, on_gone=self.deleted)
        self.holders = 0
        self.on_ordered: Callable[[Ordered], None] | None = None
        self._feed: Feed | None = None
        self._room = room
        self._tasks = Tasks()
        self._saving = Saving(document_id, saver, self, self._contained)
        self._account = Account(budget, room)
        self._max_units = max_units
        self._on_broken = on_broken
        self._on_adrift = on_adrift
        self._authors = Authors(self.counts, self._contained)
        self._shown = Shown(self.fanout, self.trail)
        self.snapshots = Snapshots(
            lambda: (self.visible_revision, self.visible_mark, self.visible_text), self._tasks
        )
        self._saved_waiters = Waiters()
        self._saved_ahead = 0
        self._leaving = False
        self._ended: SessionEnd | None = None

    def open(self, feed: Feed) -> None:
        """Go on by this feed, which was made for this room."""
        self._feed = feed
        self._account.open()
        self._saving.open(feed)
        with self._contained:
            self._neighbours.open(feed.tell, self.attendance)

    @property
    def feed(self) -> Feed:
        assert self._feed is not None, "whoever opens the room gives it its feed"
        return self._feed

    # -- What it shows ------------------------------------------------------------------------

    @property
    def visible_revision(self) -> int:
        return self.fanout.visible

    @property
    def visible_text(self) -> Text:
        return self.fanout.text

    @property
    def saved_revision(self) -> int:
        return self.fanout.saved

    @property
    def stored_revision(self) -> int:
        """The database can be asked for everything up to here, though some of it may not be on the
        disk.
        """
        return self.visible_revision if self.feed.run is None else self.saved_revision

    @property
    def visible_mark(self) -> str:
        mark = self.visible_mark_at(self.visible_revision)
        assert mark is not None, "what is visible ends with a push and is kept"
        return mark

    def visible_mark_at(self, revision: int) -> str | None:
        """The mark at a visible revision; None if there is none or it is no longer kept."""
        if revision > self.visible_revision:
            return None
        return self.mark_at(revision)

    def changes(self, after: int) -> Sequence[Change] | None:
        """What made the visible text of the one at a visible revision; None if that lies too far
        back for a push to be based on it.
        """
        history = self._room.history
        if not history.reaches(after):
            return None
        return history.since(after)[: self.visible_revision - after]

    @property
    def history(self) -> History:
        return self._room.history

    # -- The order ----------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self._room.revision

    @property
    def length(self) -> int:
        """The units of the text at the end of the log."""
        return len(self._room.text)

    @property
    def mark(self) -> str:
        return self._room.mark

    def mark_at(self, revision: int) -> str | None:
        return self._room.history.mark_at(revision)

    def knows(self, client: str, seq: int) -> bool:
        return self._room.history.knows(client, seq)

    def push(self, entry: Entry, author: Author) -> None:
        """Order a push; its author hears what became of it. Raises what refuses it at once."""
        self.check_open()
        if entry.base is not None and entry.base > self.revision and self.feed.run is not None:
            self._authors.add(entry, author)
            self._tasks.start(self._push_when_heard(entry, author))
        else:
            self._push(entry, author)

    async def _push_when_heard(self, entry: Entry, author: Author) -> None:
        """Another server may have shown the client a revision that was not heard here yet (H8)."""
        try:
            await self.feed.catch_up()
            if not author.may_write:
                raise Forbidden("this document may not be written to any more")
            self._push(entry, author)
        except Refusal as refusal:
            self.refused(entry, refusal)

    def _push(self, entry: Entry, author: Author) -> None:
        self.check_open()
        with self._judging:
            text = self._room.judge(entry)
            if len(text) > self._max_units and len(text) > len(self._room.text):
                raise DocumentFull(f"a document holds at most {self._max_units} units")
            self._account.admit(entry, text)
        self.check_open()
        self._authors.add(entry, author)
        with self._contained:
            self.feed.append(entry)

    def check_open(self) -> None:
        """Raises `Unavailable` when it is closed."""
        if self._ended is not None:
            raise Unavailable(self._ended.message)
        if self._leaving:
            raise Unavailable(_leaving().message)

    async def fate(self, client: str, seq: int) -> bool:
        """Settle a push (H7): whether it took effect, as far as the kept history tells.

        The client's session, if it has one here, takes it no more. Raises `Unavailable` while the
        fate cannot be settled.
        """
        self.attendance.settle(client, seq)
        await self.feed.settle(client, seq)
        return self._room.history.took_effect(client, seq)

    def last_seq(self, client: str, since: int) -> int:
        """The largest seq that a client pushed after a revision; -1 if there was none."""
        return self._room.history.last_seq(client, since)

    def ordered(self, entry: Entry, mark: str) -> None:
        if self._ended is not None:
            return  # it may have missed the entry before, and must save nothing that follows
        with self._contained:
            made = self._room.apply(entry, mark)
            self._shown.ordered(made)
            if self.on_ordered is not None:
                self.on_ordered(made)
            self._account.ordered()
            self._saving.ordered(made)
            self._authors.ordered(made)

    def refused(self, entry: Entry, refusal: Refusal) -> None:
        with self._contained:
            self._authors.refused(entry, refusal)

    def durable(self, revision: int) -> None:
        with self._contained:
            self._shown.durable(revision)
            if self.saved_revision < self._saved_ahead:
                self._saving.saved_elsewhere(min(self._saved_ahead, revision))

    async def shown(self, revision: int) -> None:
        """Return when a revision that was ordered may be shown. Raises `Unavailable` when the room
        is closed before.
        """
        if revision > self.visible_revision:
            self.check_open()
            await self._shown.reaches(revision)

    async def kept(self, revision: int) -> None:
        """The same; and where it is the database alone that shows it, it is on the disk."""
        await self.shown(revision)
        if self.feed.run is None and revision > self.saved_revision:
            self.check_open()
            await self._saved_waiters.until(revision)

    # -- The database -------------------------------------------------------------------------

    def leads(self) -> None:
        self._saving.go_on()

    def saved_elsewhere(self, revision: int) -> None:
        self._saved_ahead = max(self._saved_ahead, revision)  # it may not have been heard yet
        with self._contained:
            self._saving.saved_elsewhere(min(revision, self.visible_revision))

    def saved(self, revision: int) -> None:
        with self._contained:
            self._account.saved(revision)
            if self._ended is None and revision > self.saved_revision:
                self.fanout.save(revision)
                self._saved_waiters.reached(revision)
                self.trail.wake()

    def not_saved(self, error: Exception) -> None:
        """What was ordered here cannot be saved: this room no longer knows the document.

        Its sessions end and come back to a room that is read anew; there the fate of each push in
        flight is settled by what the database has.
        """
        self._account.not_saved()
        self._break(_deleted() if isinstance(error, NotFound) else _reopening())

    # -- The other servers --------------------------------------------------------------------

    def heard(self, message: bytes) -> None:
        with self._contained:
            self._neighbours.hear(message)
            self.presenter.wake()

    def resubscribed(self) -> None:
        with self._contained:
            self._neighbours.resubscribed()
            self.presenter.wake()

    def access_changed(self) -> None:
        """Somebody's standing may be another one, as the database has it (X2)."""
        self.standings.look()

    # -- Its end ------------------------------------------------------------------------------

    @property
    def safe(self) -> bool:
        """Whether nothing is lost with this room. One that orders alone hands all to the writer."""
        return self.saved_revision == self.revision or self.feed.run is None

    @property
    def idle(self) -> bool:
        """Nobody uses it, and all that it ordered is saved."""
        used = self.holders or self.attendance.sessions()
        return not used and self.saved_revision == self.revision

    def _break(self, reason: SessionEnd | None = None) -> None:
        if self._ended is None:
            self._on_broken(self)
            self.close(reason)

    def adrift(self) -> None:
        """Its sessions end and come back to a room that is read anew, and that has first ordered
        what only this one had.
        """
        if self._ended is None:
            self._on_adrift(self)
            self._saving.give_up()
            self._account.not_saved()
            self._break()

    def deleted(self) -> None:
        """The document is deleted, as the database has it."""
        self._break(_deleted())

    def say_goodbye(self) -> None:
        """The server goes down: every session ends (H9), and nothing more is ordered here. What is
        ordered is still to be saved.
        """
        self._leaving = True
        self.attendance.say_goodbye()
        self.attendance.close(_leaving())

    def close(self, reason: SessionEnd | None = None) -> None:
        """Order and show nothing more; end every session, and every one that still comes."""
        if self._ended is not None:
            return
        self._ended = reason or _reopening()
        self.fanout.close()
        self.presenter.close()
        self.trail.close()
        self.standings.close()
        self._saving.close()
        if self._feed is None:
            self._account.not_saved()
        else:
            with self._contained:
                self._neighbours.close()
                self._feed.close(self._ended)
        self.attendance.close(self._ended)
        self._tasks.cancel()
        unavailable = Unavailable(self._ended.message)
        self._authors.give_up(unavailable)
        self._shown.close(unavailable)
        self._saved_waiters.close(unavailable)
        self._account.close()

    def beat(self) -> None:
        self.fanout.beat()
        self.feed.beat()
        with self._contained:
            self._neighbours.beat()

    def check(self, now: float) -> None:
        self.attendance.check(now)
        with self._contained:
            self._neighbours.check(now)
            self.presenter.wake()
        self.snapshots.tidy()


def _deleted() -> SessionEnd:
    return SessionEnd(CloseCode.DELETED, "the document was deleted")


def _leaving() -> SessionEnd:
    return SessionEnd(CloseCode.RESTART, "the server restarts")


def _reopening() -> SessionEnd:
    return SessionEnd(CloseCode.RESTART, "the document is being read anew")
