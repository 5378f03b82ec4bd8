"""Users' standings in documents, as the database has them. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, null, or_, select

from collab.access.roles import NONE, REMOVED, Membership, Role, Standing, standing
from collab.storage.tables import documents, members

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import BindParameter, ColumnElement, Connection


def standings(
    connection: Connection, document_id: str, user_ids: Collection[str], now: int
) -> dict[str, Standing]:
    """Of every user that is asked for. Nobody has any in a document that is gone."""
    found = connection.execute(
        select(documents.c.anyone, members.c.user_id, members.c.role, members.c.until)
        .outerjoin(
            members,
            and_(members.c.document_id == documents.c.id, members.c.user_id.in_(user_ids)),
        )
        .where(documents.c.id == document_id)
    ).all()
    if not found:
        return dict.fromkeys(user_ids, NONE)
    anyone = _role(found[0].anyone)
    rows = {row.user_id: Membership(row.role, row.until) for row in found if row.user_id}
    return {user_id: standing(rows.get(user_id), anyone, now) for user_id in user_ids}


def versions(connection: Connection, document_ids: Collection[str]) -> dict[str, int]:
    """How often access to each document has changed; those that are gone are not in it."""
    found = connection.execute(
        select(documents.c.id, documents.c.access_version).where(documents.c.id.in_(document_ids))
    )
    return {row.id: row.access_version for row in found}


def role_now(now: int | BindParameter[int]) -> ColumnElement[Any]:
    """`access.roles.standing` as SQL, over `documents` and the user's row of `members`, if any."""
    return case(
        (members.c.role == REMOVED, null()),
        (_holds(now), members.c.role),
        else_=documents.c.anyone,
    )


def until(now: int | BindParameter[int]) -> ColumnElement[Any]:
    """The `until` of the same standing."""
    return case((_holds(now), members.c.until), else_=null())


def _holds(now: int | BindParameter[int]) -> ColumnElement[bool]:
    return and_(
        members.c.role.in_(list(Role)), or_(members.c.until.is_(None), members.c.until > now)
    )


def _role(value: str | None) -> Role | None:
    return None if value is None else Role(value)
