"""One-time tickets: each opens one document for whom a token has said, once, on whichever server.

The database has the hash of a ticket alone: whoever reads it there cannot use it. Times are
milliseconds since 1970.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import and_, delete, insert, select

from collab.access.digest import digest
from collab.access.tokens import Identity
from collab.errors import NotFound, Unauthorized
from collab.storage.tables import documents, tickets

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

VALID_MS = 30_000
TICKET_BYTES = 24

FORGOTTEN_BY_EACH = 2
"""How many expired tickets each new one takes the place of: there are never many of them."""

_TICKET = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)


def is_ticket(token: str) -> bool:
    """Whether it has the form of one; no JWT does."""
    return _TICKET.fullmatch(token) is not None


def make(connection: Connection, document_id: str, identity: Identity, now: int) -> tuple[str, int]:
    """A ticket, and when it expires. Raises `NotFound` where there is no such document any more."""
    known = select(documents.c.id).where(documents.c.id == document_id).with_for_update(read=True)
    if connection.execute(known).one_or_none() is None:
        raise NotFound("there is no such document")
    forget_expired(connection, now, FORGOTTEN_BY_EACH)
    ticket = secrets.token_urlsafe(TICKET_BYTES)
    expires_at = now + VALID_MS
    row = {
        "hash": _hash(ticket),
        "document_id": document_id,
        "identity": msgspec.json.encode(identity),
        "expires_at": expires_at,
    }
    connection.execute(insert(tickets).values(row))
    return ticket, expires_at


def check(connection: Connection, ticket: str, document_id: str, now: int) -> None:
    """Before a transaction is spent on using it. Raises `Unauthorized`."""
    if connection.scalar(select(tickets.c.hash).where(_is(ticket, document_id, now))) is None:
        raise _not_valid()


def use(connection: Connection, ticket: str, document_id: str, now: int) -> Identity:
    """Whose it is; nobody can use it again. Raises `Unauthorized`."""
    used = connection.execute(
        delete(tickets).where(_is(ticket, document_id, now)).returning(tickets.c.identity)
    ).scalar_one_or_none()
    if used is None:
        raise _not_valid()
    return msgspec.json.decode(used, type=Identity)


def forget_expired(connection: Connection, now: int, limit: int) -> int:
    """Returns how many: those above the limit wait for another transaction."""
    expired = select(tickets.c.hash).where(tickets.c.expires_at <= now).limit(limit)
    unused = expired.with_for_update(skip_locked=True)
    return connection.execute(delete(tickets).where(tickets.c.hash.in_(unused))).rowcount


def _is(ticket: str, document_id: str, now: int) -> ColumnElement[bool]:
    return and_(
        tickets.c.hash == _hash(ticket),
        tickets.c.document_id == document_id,
        tickets.c.expires_at > now,
    )


def _not_valid() -> Unauthorized:
    return Unauthorized("the ticket is not valid")


def _hash(ticket: str) -> str:
    return digest("ticket", ticket)
