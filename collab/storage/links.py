"""Share links: whoever has the secret may take the role. Times are milliseconds since 1970."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import and_, func, or_, select, tuple_, update

from collab.access.roles import REMOVED, VISITOR, Action, Membership, Role, require
from collab.errors import LinksFull, NotFound
from collab.storage import cursors, members
from collab.storage import users as known_users
from collab.storage.access import changed, hold, lock
from collab.storage.audit import Event, record
from collab.storage.ids import new_id
from collab.storage.tables import links
from collab.storage.tables import members as member_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from collab.storage.access import Caller

MAX_LINKS = 100
"""How many a document has at most."""


class Link(NamedTuple):
    """`uses` counts those who have their role by it."""

    id: str
    document_id: str
    secret: str
    role: Role
    password_hash: str | None
    expires_at: int | None
    created_at: int
    uses: int


class Page(NamedTuple):
    """`next` is the cursor of the page after this one, `None` on the last."""

    items: list[Link]
    next: str | None


def add(
    connection: Connection,
    document_id: str,
    caller: Caller,
    role: Role,
    password_hash: str | None,
    expires_at: int | None,
    now: int,
) -> Link:
    """Make a link. Raises `NotFound`, `Denied`, `LinksFull`."""
    held = hold(connection, document_id, caller, now)
    require(held.role, Action.SHARE)
    count = select(func.count()).select_from(links).where(links.c.document_id == document_id)
    if (connection.scalar(count) or 0) >= MAX_LINKS:
        raise LinksFull(f"a document has at most {MAX_LINKS} links")
    link = Link(new_id(), document_id, new_id(), role, password_hash, expires_at, now, 0)
    connection.execute(
        links.insert().values(
            id=link.id,
            document_id=document_id,
            secret=link.secret,
            role=role,
            password_hash=password_hash,
            expires_at=expires_at,
            created_by=caller.user.id,
            created_at=now,
        )
    )
    record(
        connection,
        document_id,
        now,
        caller.user.id,
        Event.LINK_MADE,
        link_id=link.id,
        role=role,
    )
    changed(connection, document_id)
    return link


def page(connection: Connection, document_id: str, cursor: str | None, limit: int) -> Page:
    """The links in the order in which they were made, those that have expired too.

    Raises `BadRequest` for a cursor that is not one of this list's.
    """
    query = _LINKS.where(links.c.document_id == document_id)
    query = query.order_by(links.c.created_at, links.c.id).limit(limit + 1)
    if cursor is not None:
        after = cursors.decode(cursor, _Place)
        query = query.where(tuple_(links.c.created_at, links.c.id) > (after.created_at, after.id))
    found = [_link(row) for row in connection.execute(query)]
    if len(found) <= limit:
        return Page(found, None)
    last = found[limit - 1]
    return Page(found[:limit], cursors.encode(_Place(last.created_at, last.id)))


def revoke(
    connection: Connection, document_id: str, caller: Caller, link_id: str, now: int
) -> None:
    """Take a link back, and what it gave. Raises `NotFound`, `Denied`."""
    held = hold(connection, document_id, caller, now)
    require(held.role, Action.SHARE)
    if not _ID.fullmatch(link_id):
        raise _no_such_link()
    which = and_(links.c.id == link_id, links.c.document_id == document_id)
    link = connection.execute(_LINKS.where(which)).one_or_none()
    if link is None:
        raise _no_such_link()
    connection.execute(links.delete().where(which))
    connection.execute(
        update(member_rows)
        .where(member_rows.c.link_id == link_id, member_rows.c.document_id == document_id)
        .values(role=VISITOR, link_id=None, until=None)
    )
    record(
        connection,
        document_id,
        now,
        caller.user.id,
        Event.LINK_REVOKED,
        link_id=link_id,
        role_before=Role(link.role),
    )
    changed(connection, document_id)


# -- Coming by a link ----------------------------------------------------------------------------


def usable(connection: Connection, secret: str, user_id: str, now: int) -> Link:
    """The link that a user may come by. Raises `NotFound`, whatever the reason."""
    if not _ID.fullmatch(secret):
        raise _no_such_link()
    query = _LINKS.where(
        links.c.secret == secret, or_(links.c.expires_at.is_(None), links.c.expires_at > now)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _no_such_link()
    link = _link(row)
    member = members.find(connection, link.document_id, user_id)
    if member is not None and member.role == REMOVED:
        raise _no_such_link()
    return link


def redeem(connection: Connection, secret: str, caller: Caller, now: int) -> bool:
    """Give the caller what the link gives, unless they have as much by name or by another link.

    Returns whether that made a difference. Raises `NotFound`, whatever the reason.
    """
    user_id = caller.user.id
    lock(connection, usable(connection, secret, user_id, now).document_id)
    link = usable(connection, secret, user_id, now)  # what it was may have changed meanwhile
    before = members.find(connection, link.document_id, user_id)
    had = members.own_role(before, now)
    if before is not None and had is not None:
        if before.link_id is None or had.above(link.role):
            return False
        if had is link.role and not _later(link.expires_at, before.until):
            return False
    known_users.add(connection, caller.user, now)
    gained = Membership(link.role, link.expires_at)
    members.put(connection, link.document_id, user_id, gained, had, now, link.id)
    record(
        connection,
        link.document_id,
        now,
        user_id,
        Event.LINK_USED,
        subject_id=user_id,
        link_id=link.id,
        role=link.role,
        role_before=had,
    )
    changed(connection, link.document_id)
    return True


def _later(until: int | None, other: int | None) -> bool:
    """Whether the first holds longer; null is for good."""
    return other is not None and (until is None or until > other)


def _no_such_link() -> NotFound:
    return NotFound("there is no such link")


_ID = re.compile(r"[a-z2-7]{26}", re.ASCII)


def _link(row: Row[Any]) -> Link:
    return Link(
        row.id,
        row.document_id,
        row.secret,
        Role(row.role),
        row.password_hash,
        row.expires_at,
        row.created_at,
        row.uses,
    )


class _Place(msgspec.Struct, array_like=True, frozen=True):
    created_at: cursors.Count
    id: cursors.RowId


_USES = (
    select(func.count())
    .select_from(member_rows)
    .where(member_rows.c.link_id == links.c.id)
    .scalar_subquery()
)
_LINKS = select(links, _USES.label("uses"))
