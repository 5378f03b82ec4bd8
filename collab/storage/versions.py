"""Named versions of documents: revisions that somebody wants to find again, and to go back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, func, insert, select

from collab.errors import NotFound, VersionsFull
from collab.storage.tables import documents, users, versions

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_VERSIONS = 1_000
"""How many a document has at most."""


class Version(NamedTuple):
    """`number` counts a document's versions from 1; `at` is milliseconds since 1970."""

    number: int
    name: str
    revision: int
    author_id: str
    author_name: str
    at: int


class Page(NamedTuple):
    """Newest first; there are older ones where `more`."""

    items: list[Version]
    more: bool


def add(
    connection: Connection, document_id: str, name: str, revision: int, author_id: str, at: int
) -> int:
    """Name a revision. Returns the version's number. Raises `NotFound`, `VersionsFull`."""
    if connection.scalar(_DOCUMENT, {"document": document_id}) is None:
        raise NotFound("there is no such document")
    last = connection.scalar(_LAST, {"document": document_id}) or 0
    if last >= MAX_VERSIONS:  # none is ever removed but with its document
        raise VersionsFull(f"a document has at most {MAX_VERSIONS} versions")
    row = {
        "document_id": document_id,
        "number": last + 1,
        "name": name,
        "revision": revision,
        "author_id": author_id,
        "created_at": at,
    }
    connection.execute(insert(versions), row)
    return last + 1


def page(connection: Connection, document_id: str, before: int | None, limit: int) -> Page:
    """The versions before a number, or from the newest."""
    wanted = {"document": document_id, "before": before or MAX_VERSIONS + 1, "limit": limit + 1}
    found = [Version(*row) for row in connection.execute(_PAGE, wanted)]
    return Page(found[:limit], more=len(found) > limit)


def find(connection: Connection, document_id: str, number: int) -> Version:
    """Raises `NotFound`."""
    row = connection.execute(_ONE, {"document": document_id, "number": number}).one_or_none()
    if row is None:
        raise NotFound("there is no such version")
    return Version(*row)


# Locked on PostgreSQL, or two servers might give the same number.
_DOCUMENT = (
    select(documents.c.id)
    .where(documents.c.id == bindparam("document"))
    .with_for_update(key_share=True)
)
_LAST = select(func.max(versions.c.number)).where(versions.c.document_id == bindparam("document"))

_VERSIONS = (
    select(
        versions.c.number,
        versions.c.name,
        versions.c.revision,
        versions.c.author_id,
        users.c.name.label("author_name"),
        versions.c.created_at,
    )
    .join(users, users.c.id == versions.c.author_id)
    .where(versions.c.document_id == bindparam("document"))
)
_PAGE = (
    _VERSIONS.where(versions.c.number < bindparam("before"))
    .order_by(versions.c.number.desc())
    .limit(bindparam("limit"))
)
_ONE = _VERSIONS.where(versions.c.number == bindparam("number"))
