"""Users' standings in documents, as the database has them. Times are milliseconds since 1970.

Whoever changes one holds the document's row until the transaction ends, and judges by what it and
the list of members say then: of two changes at once, the second is judged by what the first made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import String, and_, bindparam, case, literal, null, or_, select, update

from collab.access.roles import (
    NO_CLAIMS,
    NONE,
    REMOVED,
    Membership,
    Role,
    Standing,
    claimed,
    standing,
)
from collab.errors import NotFound
from collab.storage import users as known_users
from collab.storage.tables import documents, members

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select

    from collab.access.tokens import User


class Caller(NamedTuple):
    """Whoever wants something done, and the roles that their token gives."""

    user: User
    claims: Mapping[str, Role] = NO_CLAIMS


class Held(NamedTuple):
    """A document whose row is locked; `role` is the caller's."""

    id: str
    owner_id: str
    anyone: Role | None
    role: Role


def standings(
    connection: Connection, document_id: str, user_ids: Collection[str], now: int
) -> dict[str, Standing]:
    """Of every user that is asked for. Nobody has any in a document that is gone."""
    wanted = {"document": document_id, "users": list(user_ids)}
    found = connection.execute(_STANDINGS, wanted).all()
    if not found:
        return dict.fromkeys(user_ids, NONE)
    anyone = _role(found[0].anyone)
    rows = {row.user_id: Membership(row.role, row.until) for row in found if row.user_id}
    return {user_id: standing(rows.get(user_id), anyone, now) for user_id in user_ids}


def versions(connection: Connection, document_ids: Collection[str]) -> dict[str, int]:
    """How often access to each document has changed; those that are gone are not in it."""
    found = connection.execute(_VERSIONS, {"documents": list(document_ids)})
    return {row.id: row.access_version for row in found}


def hold(connection: Connection, document_id: str, caller: Caller, now: int) -> Held:
    """A document that the caller has a standing in, locked. Raises `NotFound`."""
    row = lock(connection, document_id)
    role = claimed(caller.claims, document_id)
    if role is None:
        user_id = caller.user.id
        role = standings(connection, document_id, [user_id], now)[user_id].role
    if role is None:
        raise not_found()
    known_users.add(connection, caller.user, now)
    return Held(document_id, row.owner_id, _role(row.anyone), role)


def lock(connection: Connection, document_id: str) -> Row[Any]:
    """Nobody else changes who may do what with a document until this transaction ends.

    Raises `NotFound`.
    """
    row = connection.execute(_LOCKED, {"document": document_id}).one_or_none()
    if row is None:
        raise not_found()
    return row


def changed(connection: Connection, document_id: str) -> None:
    """Say that somebody's standing is another: servers look at this number."""
    connection.execute(_CHANGED, {"document": document_id})


def not_found() -> NotFound:
    return NotFound("there is no such document")


def role_now(
    now: int | BindParameter[int], claims: Mapping[str, Role] = NO_CLAIMS
) -> ColumnElement[Any]:
    """`access.roles.standing` as SQL, over `documents` and the user's row of `members`, if any;
    and before that `access.roles.claimed`.
    """
    named = {document_id: role for document_id, role in claims.items() if document_id != "*"}
    known: ColumnElement[Any] = (
        literal(claims["*"], String)
        if "*" in claims
        else case(
            (members.c.role == REMOVED, null()),
            (_holds(now), members.c.role),
            else_=documents.c.anyone,
        )
    )
    return case(named, value=documents.c.id, else_=known) if named else known


def until(now: int | BindParameter[int]) -> ColumnElement[Any]:
    """The `until` of the same standing."""
    return case((_holds(now), members.c.until), else_=null())


def _holds(now: int | BindParameter[int]) -> ColumnElement[bool]:
    return and_(
        members.c.role.in_(list(Role)), or_(members.c.until.is_(None), members.c.until > now)
    )


def _role(value: str | None) -> Role | None:
    return None if value is None else Role(value)


_OF_DOCUMENT = documents.c.id == bindparam("document")
_LOCKED: Select[Any] = (
    select(documents.c.owner_id, documents.c.anyone)
    .where(_OF_DOCUMENT)
    .with_for_update(key_share=True)
)
_STANDINGS = (
    select(documents.c.anyone, members.c.user_id, members.c.role, members.c.until)
    .outerjoin(
        members,
        and_(
            members.c.document_id == documents.c.id,
            members.c.user_id.in_(bindparam("users", expanding=True)),
        ),
    )
    .where(_OF_DOCUMENT)
)
_VERSIONS = select(documents.c.id, documents.c.access_version).where(
    documents.c.id.in_(bindparam("documents", expanding=True))
)
_CHANGED = (
    update(documents).where(_OF_DOCUMENT).values(access_version=documents.c.access_version + 1)
)
