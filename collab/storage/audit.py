"""The audit trail: who changed who may do what with a document. Times are ms since 1970."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, func, insert, select

from collab.access.roles import Role
from collab.storage.tables import audit, users

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Event(StrEnum):
    DOCUMENT_CREATED = "document_created"
    ANYONE_CHANGED = "anyone_changed"
    MEMBER_ADDED = "member_added"
    MEMBER_CHANGED = "member_changed"
    MEMBER_REMOVED = "member_removed"
    MEMBER_LEFT = "member_left"
    OWNER_CHANGED = "owner_changed"
    LINK_MADE = "link_made"
    LINK_REVOKED = "link_revoked"
    LINK_USED = "link_used"


class Person(NamedTuple):
    id: str
    name: str


class Entry(NamedTuple):
    """`number` counts a document's entries from 1. `subject` is whom it was done to; `role` is
    what they, or a link, or anyone, have from then on, and had before.
    """

    number: int
    at: int
    actor: Person
    event: Event
    subject: Person | None
    link_id: str | None
    role: Role | None
    role_before: Role | None


class Page(NamedTuple):
    """Newest first; there are older ones where `more`."""

    items: list[Entry]
    more: bool


def record(
    connection: Connection,
    document_id: str,
    at: int,
    actor_id: str,
    event: Event,
    *,
    subject_id: str | None = None,
    link_id: str | None = None,
    role: Role | None = None,
    role_before: Role | None = None,
) -> None:
    """Add an entry. The document's row is locked, or new: two would get the same number."""
    last = connection.scalar(_LAST, {"document": document_id}) or 0
    row = {
        "document_id": document_id,
        "number": last + 1,
        "at": at,
        "actor_id": actor_id,
        "action": event,
        "subject_id": subject_id,
        "link_id": link_id,
        "role": role,
        "role_before": role_before,
    }
    connection.execute(insert(audit), row)


def page(connection: Connection, document_id: str, before: int | None, limit: int) -> Page:
    """The entries before a number, or from the newest."""
    wanted = {"document": document_id, "before": before or _AFTER_ALL, "limit": limit + 1}
    found = [
        Entry(
            row.number,
            row.at,
            Person(row.actor_id, row.actor_name),
            Event(row.action),
            None if row.subject_id is None else Person(row.subject_id, row.subject_name),
            row.link_id,
            None if row.role is None else Role(row.role),
            None if row.role_before is None else Role(row.role_before),
        )
        for row in connection.execute(_PAGE, wanted)
    ]
    return Page(found[:limit], more=len(found) > limit)


_AFTER_ALL = 2**63 - 1

_LAST = select(func.max(audit.c.number)).where(audit.c.document_id == bindparam("document"))

_actors, _subjects = users.alias("actors"), users.alias("subjects")
_PAGE = (
    select(audit, _actors.c.name.label("actor_name"), _subjects.c.name.label("subject_name"))
    .join(_actors, _actors.c.id == audit.c.actor_id)
    .outerjoin(_subjects, _subjects.c.id == audit.c.subject_id)
    .where(audit.c.document_id == bindparam("document"), audit.c.number < bindparam("before"))
    .order_by(audit.c.number.desc())
    .limit(bindparam("limit"))
)
