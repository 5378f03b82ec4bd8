"""Documents: make, list, look, rename, delete, read."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from sqlalchemy import Connection

from collab.access.roles import Action, Role, require
from collab.api.deps import (
    NO_QUERY,
    Caller,
    CurrentUser,
    DeletableDocument,
    ReadableDocument,
    RenamableDocument,
    Services,
    SignedInRoute,
)
from collab.api.fields import one_line, whole_text
from collab.api.idempotency import RequestOnce, Transaction
from collab.api.problems import documented
from collab.api.times import from_ms
from collab.errors import (
    BadRequest,
    BodyTooLarge,
    Conflict,
    Denied,
    DocumentsFull,
    KeyReused,
    NotFound,
    NotReady,
    TextTooLong,
    TooMany,
    Unauthorized,
    Unprocessable,
)
from collab.rooms.registry import Registry
from collab.storage import access, documents, listing
from collab.storage.history import first_segment
from collab.storage.ids import new_id

router = APIRouter(prefix="/v1/documents", tags=["documents"], route_class=SignedInRoute)


EXAMPLE: JsonDict = {
    "id": "k3v5n7qyzw2xj4mtr6hsgpbdfc",
    "title": "Notes",
    "role": "owner",
    "anyone": "viewer",
    "owner": {"id": "c5mp2xkzq7wj4tnsv3yhrd6fbe", "name": "Ada"},
    "revision": 1,
    "saved_revision": 1,
    "length": 12,
    "created_at": "2027-01-15T08:00:00Z",
    "updated_at": "2027-01-15T08:00:00Z",
    "editors": 0,
}


SharedRole = Literal["editor", "commenter", "viewer"]
"""What can be given to more than one person."""


class NewDocument(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"title": "Notes", "text": "Hello, world", "anyone": "viewer"}]
        },
    )

    title: str
    text: str = ""
    anyone: SharedRole | None = None

    def opens_to(self, otherwise: str) -> Role | None:
        """The role of whoever is no member, `otherwise` where the request does not say."""
        said = self.anyone if "anyone" in self.model_fields_set else otherwise
        return None if said in (None, "nobody") else Role(said)


class Renaming(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"title": "Minutes"}]}
    )

    title: str


class Owner(BaseModel):
    id: str
    name: str


class Document(BaseModel):
    """`role` is the caller's, and `anyone` that of whoever knows the id and is no member, if any;
    `length` is in UTF-16 code units; `editors` are online now.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str
    title: str
    role: Role
    anyone: Role | None
    owner: Owner
    revision: int
    saved_revision: int
    length: int
    created_at: datetime
    updated_at: datetime
    editors: int


class Page(BaseModel):
    """`next` is the `cursor` of the page after this one, null on the last."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [EXAMPLE], "next": "WyJ0aXRsZSJd"}]}
    )

    items: list[Document]
    next: str | None


class PageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    q: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
    sort: listing.Sort = "-updated_at"
    role: Role | None = None
    limit: int = Field(50, ge=1, le=100)
    cursor: str | None = None


@router.post(
    "",
    status_code=201,
    response_model=Document,
    responses={
        201: {"headers": {"Location": {"schema": {"type": "string"}}}},
        **documented(
            BadRequest,
            Unauthorized,
            Conflict,
            DocumentsFull,
            BodyTooLarge,
            TextTooLong,
            Unprocessable,
            KeyReused,
            TooMany,
            NotReady,
        ),
    },
)
async def create(
    body: NewDocument, user: CurrentUser, services: Services, once: RequestOnce
) -> Response:
    """A new document, with a text or empty; the caller owns it. A text is its revision 1."""

    async def prepare() -> Transaction:
        limits = services.settings
        title = one_line(body.title, "/title", limits.max_title_units)
        text = whole_text(body.text, "/text", limits.max_document_units)
        document_id, at = new_id(), services.now_ms()
        anyone = body.opens_to(limits.anyone_at_first)
        first = await asyncio.to_thread(first_segment, document_id, text, user.user_id, at)

        def write(connection: Connection) -> Response:
            documents.check_may_own_more(connection, user.user_id, limits.max_user_documents)
            made = documents.create(connection, document_id, title, first, user.user, at, anyone)
            return _created(shown(made, services.registry))

        return write

    return await once.written(prepare)


def _created(document: Document) -> Response:
    return Response(
        document.model_dump_json(),
        201,
        {"Location": f"{router.prefix}/{document.id}"},
        "application/json",
    )


@router.get("", responses=documented(BadRequest, Unauthorized, Unprocessable, NotReady))
async def page(query: Annotated[PageQuery, Query()], caller: Caller, services: Services) -> Page:
    """The documents that the caller made or opened and still has a role in, a page at a time."""
    wanted = listing.Listing(query.limit, query.sort, query.q, query.role, query.cursor)
    now = services.now_ms()
    found = await services.database.look_up(
        lambda connection: listing.page(connection, caller.user.id, wanted, now, caller.claims)
    )
    return Page(items=[shown(each, services.registry) for each in found.items], next=found.next)


@router.get(
    "/{document_id}",
    responses=documented(Unauthorized, NotFound, Unprocessable, NotReady),
    dependencies=NO_QUERY,
)
async def look(document: ReadableDocument, services: Services) -> Document:
    """One document. Looking at it puts it on the caller's list."""
    return shown(document, services.registry)


@router.patch(
    "/{document_id}",
    responses=documented(
        BadRequest, Unauthorized, Denied, NotFound, BodyTooLarge, Unprocessable, NotReady
    ),
    dependencies=NO_QUERY,
)
async def rename(body: Renaming, document: RenamableDocument, services: Services) -> Document:
    """Give it another title: whoever may write may do so."""
    title, at = one_line(body.title, "/title", services.settings.max_title_units), services.now_ms()
    await services.database.write(
        lambda connection: documents.rename(connection, document.id, title, at)
    )
    return shown(replace(document, title=title, updated_at=at), services.registry)


@router.delete(
    "/{document_id}",
    status_code=204,
    responses=documented(Unauthorized, Denied, NotFound, Unprocessable, NotReady),
    dependencies=NO_QUERY,
)
async def delete(document: DeletableDocument, caller: Caller, services: Services) -> None:
    """Delete it for everybody and for good: its owner alone may. Its editors' sessions end."""
    now = services.now_ms()

    def remove(connection: Connection) -> None:
        # Once more: it may have been handed over meanwhile.
        require(access.hold(connection, document.id, caller, now).role, Action.DELETE)
        documents.delete(connection, document.id)

    await services.database.write(remove)
    await services.registry.remove(document.id)


def shown(document: documents.Document, registry: Registry) -> Document:
    """A row lags behind the room that is open on it."""
    room = registry.peek(document.id)
    if room is None:
        revision = saved_revision = document.saved_revision
        length = document.length
    else:
        revision, saved_revision = room.visible_revision, room.saved_revision
        length = len(room.visible_text)
    return Document(
        id=document.id,
        title=document.title,
        role=document.role,
        anyone=document.anyone,
        owner=Owner(id=document.owner.id, name=document.owner.name),
        revision=revision,
        saved_revision=saved_revision,
        length=length,
        created_at=from_ms(document.created_at),
        updated_at=from_ms(document.updated_at),
        editors=registry.editors(document.id),
    )
