"""The list of a user's documents, page by page.

A page begins after a place, not after a number of rows (keyset paging): the sort key and id of the
last document that the page before it showed. So a document that does not change meanwhile is shown
exactly once, whatever happens to the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, tuple_

from collab.access.roles import NO_CLAIMS
from collab.storage import cursors
from collab.storage.access import role_now
from collab.storage.cursors import Count, RowId
from collab.storage.documents import Document, fold, from_row, seen_by
from collab.storage.tables import documents, members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from collab.access.roles import Role

Sort = Literal["updated_at", "-updated_at", "created_at", "-created_at", "title", "-title"]

_KEYS: dict[str, ColumnElement[Any]] = {
    "updated_at": documents.c.updated_at,
    "created_at": documents.c.created_at,
    "title": documents.c.title_key,
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What to list: titles that contain `q`, where the user has `role`, `limit` to a page."""

    limit: int
    sort: Sort
    q: str = ""
    role: Role | None = None
    cursor: str | None = None


class Page(NamedTuple):
    """`next` is the cursor of the page after this one, `None` on the last."""

    items: list[Document]
    next: str | None


def page(
    connection: Connection,
    user_id: str,
    listing: Listing,
    now: int,
    claims: Mapping[str, Role] = NO_CLAIMS,
) -> Page:
    """What of a user's list they have a standing in.

    Raises `BadRequest` for a cursor that is not one of this list's.
    """
    key = _KEYS[listing.sort.removeprefix("-")]
    place = tuple_(key, documents.c.id)
    descending = listing.sort.startswith("-")
    role = role_now(now, claims)
    query = seen_by(user_id, role, now).where(members.c.user_id == user_id, role.is_not(None))
    query = query.limit(listing.limit + 1)
    query = query.order_by(*(c.desc() if descending else c.asc() for c in (key, documents.c.id)))
    if listing.q:
        query = query.where(documents.c.title_key.contains(fold(listing.q), autoescape=True))
    if listing.role is not None:
        query = query.where(role == listing.role)
    if listing.cursor is not None:
        after = _Place.decode(listing.cursor, listing.sort)
        last = (after.key, after.id)
        query = query.where(place < last if descending else place > last)
    rows = connection.execute(query).all()
    shown = rows[: listing.limit]
    if len(rows) == len(shown):
        return Page([from_row(row) for row in shown], None)
    end = _Place(listing.sort, shown[-1]._mapping[key], shown[-1].id)
    return Page([from_row(row) for row in shown], cursors.encode(end))


_Key = Count | Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*\Z")]


class _Place(msgspec.Struct, array_like=True, frozen=True):
    """A place in a list."""

    sort: Sort
    key: _Key
    id: RowId

    @classmethod
    def decode(cls, cursor: str, sort: Sort) -> _Place:
        place = cursors.decode(cursor, cls)
        key_type = str if sort.endswith("title") else int
        if place.sort != sort or type(place.key) is not key_type:
            raise cursors.bad_cursor()
        return place
