"""What a client says to its session, whichever way its connection is served, and how that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from collab.errors import CloseCode, NotReady, SessionEnd, Unauthorized

if TYPE_CHECKING:
    from collab.access.tokens import Identity, Tokens
    from collab.counts import Counts
    from collab.live.session import Session
    from collab.rooms.open_room import OpenRoom
    from collab.rooms.registry import Registry

log = structlog.get_logger(__name__)


class Stay:
    """A place on this server for one client, and the document's room, held open for it."""

    __slots__ = ("_arrival", "_client", "_document_id", "_registry", "_room", "_user_id")

    def __init__(self, registry: Registry, user_id: str, document_id: str) -> None:
        """Raises `TooMany` where there is no place."""
        registry.places.take(user_id, document_id)
        self._registry: Registry | None = registry
        self._user_id = user_id
        self._document_id = document_id
        self._room: OpenRoom | None = None

    async def enter(self, client: str, arrival: int) -> OpenRoom:
        """The room, which knows from now on that this client is here. Raises what `Registry.hold`
        does.
        """
        assert self._registry is not None
        self._room = await self._registry.hold(self._document_id)
        self._client, self._arrival = client, arrival
        self._room.attendance.arrive(client, arrival)
        return self._room

    def end(self) -> None:
        """Give all of it back. May be called twice."""
        registry, self._registry = self._registry, None
        if registry is None:
            return
        if self._room is not None:
            self._room.attendance.depart(self._client, self._arrival)
            registry.release(self._room)
        registry.places.give_back(self._user_id, self._document_id)


class Conversation:
    """Whoever serves the connection tells what comes in, one thing after the other, and what has
    become of it: `over` once, and `gone` at the last.
    """

    __slots__ = ("_counts", "_session", "_stay", "_tokens")

    def __init__(self, session: Session, stay: Stay, tokens: Tokens, counts: Counts) -> None:
        self._session = session
        self._stay = stay
        self._tokens = tokens
        self._counts = counts

    def take(self, text: str | None) -> str | None:
        """A message came, None for a binary one. Returns the token that the client would go on
        with, if it sent one: `renew` is to be awaited before the next message is taken (X1).
        """
        try:
            return self._session.receive(text)
        except SessionEnd as reason:
            self._session.end(reason)
        except Exception:
            log.exception("a session failed")
            self._session.end(_failed())
        return None

    async def renew(self, token: str) -> None:
        """Verify a token, for which a key may have to be fetched, and go on with it."""
        try:
            self._session.renew(await self._verified(token))
        except SessionEnd as reason:
            self._session.end(reason)
        except Exception:
            log.exception("a session failed")
            self._session.end(_failed())

    async def _verified(self, token: str) -> Identity | None:
        """Whose the token is, None if that cannot be known now. Raises `SessionEnd`."""
        try:
            return await self._tokens.verify(token)
        except Unauthorized as error:
            raise SessionEnd(CloseCode.TOKEN_EXPIRED, error.message) from None
        except NotReady:
            return None

    def over(self, code: int) -> None:
        """Nothing more comes in: the connection is closed, or being closed, with this code."""
        self._counts.closes[code] += 1
        self._session.leave()

    def gone(self) -> None:
        """The connection is gone, and with it the client's place."""
        self._session.leave()
        self._stay.end()


def _failed() -> SessionEnd:
    """What nobody expected costs this session alone, and its client comes back."""
    return SessionEnd(CloseCode.RESTART, "the session failed")
