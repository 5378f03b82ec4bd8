"""A document that is open on this server: its room, its log's feed, and its sessions."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from collab.errors import CloseCode, DocumentFull, NotFound, SessionEnd, Unavailable
from collab.log.entry import encode_json
from collab.rooms.fanout import Fanout, Reader
from collab.rooms.presenter import Presenter, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.errors import Refusal
    from collab.log.contract import Feed
    from collab.log.entry import Entry, Ordered
    from collab.rooms.room import Room
    from collab.storage.writer import Listener
    from collab.text import Text


class Saver(Protocol):
    """The background writer."""

    def put(self, document_id: str, push: Ordered, listener: Listener) -> None: ...


class Author(Protocol):
    """Who gave a push and hears its fate."""

    def ordered(self, seq: int, last: int) -> None:
        """The push took effect; its last update made revision `last`."""

    def refused(self, seq: int, refusal: Refusal) -> None:
        """The push is not and will not be in the history (P5)."""


class Session(Reader, Watcher, Author, Protocol):
    """A session, as its room sees it."""

    def end(self, reason: SessionEnd) -> None: ...

    def say_goodbye(self) -> None:
        """End, because the server goes down for a restart (H9)."""

    def check(self, now: float) -> None:
        """Look whether it has been silent too long, or its token has expired (U5, X1)."""


class OpenRoom:
    """Orders, saves and shows a document's pushes for as long as it is open.

    It is the log's `Subscriber` and the writer's `Listener`. What is ordered is applied at once, so
    that the next push is judged on the end of the log; it is shown when the log says that it may.
    """

    def __init__(
        self,
        document_id: str,
        room: Room,
        saver: Saver,
        *,
        max_units: int,
        presence_hz: float,
        on_broken: Callable[[OpenRoom], None],
    ) -> None:
        self.document_id = document_id
        self.fanout = Fanout(room.history, room.revision, room.revision, room.text)
        self.presenter = Presenter(
            room.history, presence_hz, lambda: (self.visible_revision, len(self.visible_text))
        )
        self.feed: Feed  # set by who opens the room, before anything is pushed
        self.holders = 0
        self._room = room
        self._saver = saver
        self._max_units = max_units
        self._on_broken = on_broken
        self._sessions: dict[str, Session] = {}
        self._latest: dict[str, int] = {}
        self._authors: dict[tuple[str, int], Author] = {}
        self._hidden: deque[tuple[int, Text]] = deque()
        self._text_json: tuple[int, bytes] | None = None
        self._ended: SessionEnd | None = None

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
    def visible_mark(self) -> str:
        mark = self.mark_at(self.visible_revision)
        assert mark is not None, "what is visible ends with a push and is kept"
        return mark

    def mark_at(self, revision: int) -> str | None:
        """The mark at a visible revision; None if there is none or it is no longer kept."""
        if revision > self.visible_revision:
            return None
        return self._room.history.mark_at(revision)

    @property
    def visible_text_json(self) -> bytes:
        """The visible text as a JSON string, encoded once a revision."""
        if self._text_json is None or self._text_json[0] != self.visible_revision:
            self._text_json = self.visible_revision, encode_json(str(self.visible_text))
        return self._text_json[1]

    # -- Sessions -----------------------------------------------------------------------------

    def sessions(self) -> tuple[Session, ...]:
        return tuple(self._sessions.values())

    def arrive(self, client: str, arrival: int) -> None:
        """A handshake of this client, the `arrival`th of all that came to this server, is here."""
        self._latest[client] = max(arrival, self._latest.get(client, arrival))

    def is_newest(self, client: str, arrival: int) -> bool:
        """Whether no handshake of this client came after this one.

        Handshakes may overtake one another. One that was overtaken must not end the session of the
        one that came later, and orders nothing.
        """
        return self._latest.get(client, arrival) == arrival

    def depart(self, client: str, arrival: int) -> None:
        """The handshake, or the session that it led to, is over."""
        if self._latest.get(client) == arrival:
            del self._latest[client]

    def join(self, session: Session, arrival: int) -> None:
        """Show a session all that comes after its position."""
        if not self.is_newest(session.client, arrival):
            session.end(_replaced())
            return
        self.replace(session.client)
        if self._ended is not None:
            session.end(self._ended)
            return
        self._sessions[session.client] = session
        self.fanout.add(session)
        self.presenter.join(session)

    def leave(self, session: Session) -> None:
        self.fanout.discard(session)
        self.presenter.leave(session)
        if self._sessions.get(session.client) is session:
            del self._sessions[session.client]

    def replace(self, client: str) -> None:
        """End the session of a client, so that nothing more of it is ordered."""
        older = self._sessions.get(client)
        if older is not None:
            self.leave(older)
            older.end(_replaced())

    # -- The order ----------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self._room.revision

    @property
    def mark(self) -> str:
        return self._room.mark

    def push(self, entry: Entry, author: Author) -> None:
        """Order a push; its author hears what became of it. Raises what refuses it at once."""
        if self._ended is not None:
            raise Unavailable(self._ended.message)
        length = len(self._room.judge(entry))
        if length > self._max_units and length > len(self._room.text):
            raise DocumentFull(f"a document holds at most {self._max_units} units")
        self._authors[entry.client, entry.seq] = author
        self.feed.append(entry)

    async def fate(self, client: str, seq: int) -> bool:
        """Settle a push (H7): whether it took effect, as far as the kept history tells.

        Ends the client's session first. Raises `Unavailable` while the fate cannot be settled.
        """
        self.replace(client)
        await self.feed.settle(client, seq)
        return self._room.history.took_effect(client, seq)

    def last_seq(self, client: str, since: int) -> int:
        """The largest seq that a client pushed after a revision; -1 if there was none."""
        return self._room.history.last_seq(client, since)

    def ordered(self, entry: Entry, mark: str) -> None:
        made = self._room.apply(entry, mark)
        self._hidden.append((made.last, made.text))
        self._saver.put(self.document_id, made, self)
        self._tell(made)

    def _tell(self, made: Ordered) -> None:
        author = self._authors.pop((made.client, made.seq), None)
        if author is None:
            return
        if made.void is None:
            author.ordered(made.seq, made.last)
        else:
            author.refused(made.seq, made.void)

    def refused(self, entry: Entry, refusal: Refusal) -> None:
        author = self._authors.pop((entry.client, entry.seq), None)
        if author is not None:
            author.refused(entry.seq, refusal)

    def durable(self, revision: int) -> None:
        text = self.visible_text
        while self._hidden and self._hidden[0][0] <= revision:
            text = self._hidden.popleft()[1]
        self.fanout.show(revision, text, self.saved_revision)

    # -- The database -------------------------------------------------------------------------

    def saved(self, revision: int) -> None:
        self.fanout.saved = revision
        self.feed.saved(revision)

    def not_saved(self, error: Exception) -> None:
        """What was ordered here cannot be saved: this room no longer knows the document.

        Its sessions end and come back to a room that is read anew; there the fate of each push in
        flight is settled by what the database has.
        """
        if self._ended is None:
            self._on_broken(self)
            self.end(_deleted() if isinstance(error, NotFound) else _reopening())

    # -- Its end ------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nobody uses it, and all that it ordered is saved."""
        return not self.holders and not self._sessions and self.saved_revision == self.revision

    def delete(self) -> None:
        """The document is deleted, as the database has it."""
        self.end(_deleted())

    def end(self, reason: SessionEnd) -> None:
        """Close, and end every session and every one that still comes."""
        self.close(reason)
        for session in self.sessions():
            self.leave(session)
            session.end(reason)

    def close(self, reason: SessionEnd | None = None) -> None:
        """Order and show nothing more. `reason` is for sessions that still come."""
        self._ended = reason or _reopening()
        self.fanout.close()
        self.presenter.close()
        self.feed.close(reason)

    def beat(self) -> None:
        self.fanout.beat()

    def check(self, now: float) -> None:
        for session in self.sessions():
            session.check(now)


def _replaced() -> SessionEnd:
    return SessionEnd(CloseCode.REPLACED, "a newer session of this client came")


def _deleted() -> SessionEnd:
    return SessionEnd(CloseCode.DELETED, "the document was deleted")


def _reopening() -> SessionEnd:
    return SessionEnd(CloseCode.RESTART, "the document is being read anew")
