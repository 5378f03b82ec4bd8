"""The list of a user's documents, page by page.

A page begins after a place, not after a number of rows (keyset paging): the sort key and id of the
last document that the page before it showed. So a document that does not change meanwhile is shown
exactly once, whatever happens to the others.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, tuple_

from collab.errors import BadRequest
from collab.storage.documents import DOCUMENT_ID, Document, fold, from_row, seen_by
from collab.storage.tables import documents, members

if TYPE_CHECKING:
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


def page(connection: Connection, user_id: str, listing: Listing) -> Page:
    """Raises `BadRequest` for a cursor that is not one of this list's."""
    key = _KEYS[listing.sort.removeprefix("-")]
    place = tuple_(key, documents.c.id)
    descending = listing.sort.startswith("-")
    query = seen_by(user_id).limit(listing.limit + 1)
    query = query.order_by(*(c.desc() if descending else c.asc() for c in (key, documents.c.id)))
    if listing.q:
        query = query.where(documents.c.title_key.contains(fold(listing.q), autoescape=True))
    if listing.role is not None:
        query = query.where(members.c.role == listing.role)
    if listing.cursor is not None:
        after = _Place.decode(listing.cursor, listing.sort)
        last = (after.key, after.id)
        query = query.where(place < last if descending else place > last)
    rows = connection.execute(query).all()
    shown = rows[: listing.limit]
    if len(rows) == len(shown):
        return Page([from_row(row) for row in shown], None)
    end = _Place(listing.sort, shown[-1]._mapping[key], shown[-1].id)
    return Page([from_row(row) for row in shown], end.encode())


_Key = (
    Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    | Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*\Z")]
)
_DocumentId = Annotated[str, msgspec.Meta(pattern=rf"^{DOCUMENT_ID.pattern}\Z")]


class _Place(msgspec.Struct, array_like=True, frozen=True):
    """A place in a list. As a cursor it is base64url of JSON."""

    sort: Sort
    key: _Key
    id: _DocumentId

    def encode(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str, sort: Sort) -> _Place:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            place = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=cls)
        except (ValueError, msgspec.MsgspecError):
            raise _bad_cursor() from None
        key_type = str if sort.endswith("title") else int
        # What we gave out encodes to itself again; nothing else is let through to the database.
        if place.sort != sort or type(place.key) is not key_type or place.encode() != cursor:
            raise _bad_cursor()
        return place


def _bad_cursor() -> BadRequest:
    return BadRequest("the cursor is not one that this list gave out")
