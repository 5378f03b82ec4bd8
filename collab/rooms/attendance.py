"""Who is in a room on this server: of each client one session, the newest that was heard (H7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from collab.errors import CloseCode, SessionEnd
from collab.rooms.fanout import Reader
from collab.rooms.presenter import Watcher

if TYPE_CHECKING:
    from collab.errors import Refusal
    from collab.rooms.containment import Containment
    from collab.rooms.fanout import Fanout
    from collab.rooms.neighbours import Neighbours
    from collab.rooms.presenter import Presenter


class Author(Protocol):
    """Who gave a push and hears its fate."""

    @property
    def may_write(self) -> bool:
        """Whether what they gave and has no place in the order yet may still have one (X2)."""

    def ordered(self, seq: int, last: int) -> None:
        """The push took effect; its last update made revision `last`."""

    def refused(self, seq: int, refusal: Refusal) -> None:
        """The push is not and will not be in the history (P5)."""


class Session(Reader, Watcher, Author, Protocol):
    """A session, as its room sees it."""

    def settled(self, seq: int) -> None:
        """Take no push up to this seq any more: what became of it is told to a newer session."""

    def end(self, reason: SessionEnd) -> None:
        """Leave the room, and close the connection."""

    def say_goodbye(self) -> None:
        """End, because the server goes down for a restart (H9)."""

    def check(self, now: float) -> None:
        """Look whether it has been silent too long, or its token has expired (U5, X1)."""


class Attendance:
    """The sessions of one room, and the handshakes that may become sessions."""

    def __init__(
        self,
        fanout: Fanout,
        presenter: Presenter,
        neighbours: Neighbours,
        containment: Containment,
    ) -> None:
        self._fanout = fanout
        self._presenter = presenter
        self._neighbours = neighbours
        self._contained = containment
        self._joined: dict[Session, int] = {}  # with when their handshakes arrived
        self._sessions: dict[str, Session] = {}  # of those the clients', which were heard
        self._arrivals: dict[str, tuple[int, ...]] = {}  # nearly always one
        self._closed: SessionEnd | None = None

    def sessions(self) -> tuple[Session, ...]:
        return tuple(self._joined)

    def arrive(self, client: str, arrival: int) -> None:
        """A handshake of this client is here; `arrival` is when it came, by the server's clock."""
        self._arrivals[client] = *self._arrivals.get(client, ()), arrival
        self._neighbours.arrived(client, arrival)

    def is_newest(self, client: str, arrival: int) -> bool:
        """Whether no handshake of this client came after this one, to any server.

        Handshakes may overtake one another. One that was overtaken must not end the session of the
        one that came later, and orders nothing.
        """
        latest = max(self._arrivals.get(client, ()), default=arrival)
        return latest <= arrival and not self._neighbours.overtook(client, arrival)

    def depart(self, client: str, arrival: int) -> None:
        """The handshake, or the session that it led to, is over."""
        left = tuple(each for each in self._arrivals.pop(client) if each != arrival)
        if left:
            self._arrivals[client] = left

    def join(self, session: Session, arrival: int) -> None:
        """Show a session all that comes after its position. It replaces nobody before it is heard:
        its handshake may have come long after its client had given it up.
        """
        if self._is_outdated(session, arrival):
            return
        if self._closed is not None:
            session.end(self._closed)
            return
        self._joined[session] = arrival
        with self._contained:
            self._fanout.add(session)
            self._presenter.watch(session)

    def heard(self, session: Session) -> None:
        """Its client is there: this is its session from now on, and an older one ends."""
        arrival = self._joined.get(session)
        if arrival is None or self._is_outdated(session, arrival):
            return
        self.replace(session.client)
        self._sessions[session.client] = session
        with self._contained:
            self._presenter.join(session, arrival)

    def _is_outdated(self, session: Session, arrival: int) -> bool:
        """End a session if a later one of its client is here, or may be elsewhere. A handshake that
        came here later is nobody yet: its session ends this one when it is heard.
        """
        client = session.client
        one = self._sessions.get(client)
        if one is not None and self._joined[one] > arrival:
            session.end(replaced())
        elif self._neighbours.overtook(client, arrival):
            session.end(_overtaken())
        else:
            return False
        return True

    def leave(self, session: Session) -> None:
        self._joined.pop(session, None)
        if self._sessions.get(session.client) is session:
            del self._sessions[session.client]
        with self._contained:
            self._fanout.discard(session)
            self._presenter.leave(session)

    def replace(self, client: str) -> None:
        """End the session of a client: a newer one has come."""
        older = self._sessions.get(client)
        if older is not None:
            self.leave(older)
            older.end(replaced())

    def settle(self, client: str, seq: int) -> None:
        """The fate of a push of this client is being settled: no session gives it any more."""
        for session in self._joined:
            if session.client == client:
                session.settled(seq)

    def say_goodbye(self) -> None:
        for session in self.sessions():
            with self._contained:
                session.say_goodbye()

    def close(self, reason: SessionEnd) -> None:
        """End every session, and every one that still comes."""
        self._closed = reason
        for session in self.sessions():
            self.leave(session)
            with self._contained:
                session.end(reason)

    def check(self, now: float) -> None:
        with self._contained:
            for session in self.sessions():
                session.check(now)


def replaced() -> SessionEnd:
    return SessionEnd(CloseCode.REPLACED, "a newer session of this client came")


def _overtaken() -> SessionEnd:
    """By a handshake that may be nobody's any more, or on another server, whose clock is not quite
    the same: whoever is sent away may be the one that is there, and comes back with a later time.
    """
    return SessionEnd(CloseCode.RESTART, "a newer session of this client is coming")
