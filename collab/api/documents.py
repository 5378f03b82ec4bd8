"""Documents: make, list, look, rename, delete, read."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from collab.access.roles import Right, Role
from collab.api.deps import CurrentUser, OpenDocument, Services
from collab.api.fields import one_line, whole_text
from collab.api.problems import documented
from collab.errors import (
    BadRequest,
    BodyTooLarge,
    Denied,
    NotFound,
    NotReady,
    TooMany,
    Unauthorized,
    Unprocessable,
)
from collab.rooms.registry import Registry
from collab.storage import documents, listing
from collab.storage.history import first_segment
from collab.storage.ids import new_id

router = APIRouter(prefix="/v1/documents", tags=["documents"])


class NewDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: str
    text: str = ""


class Renaming(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: str


class Owner(BaseModel):
    id: str
    name: str


class Document(BaseModel):
    """`role` is the caller's; `length` is in UTF-16 code units; `editors` are online now."""

    id: str
    title: str
    role: Role
    owner: Owner
    revision: int
    saved_revision: int
    length: int
    created_at: datetime
    updated_at: datetime
    editors: int


class Page(BaseModel):
    """`next` is the `cursor` of the page after this one, null on the last."""

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
    responses=documented(BadRequest, Unauthorized, BodyTooLarge, Unprocessable, NotReady),
)
async def create(
    body: NewDocument, user: CurrentUser, services: Services, response: Response
) -> Document:
    """A new document, with a text or empty; the caller owns it. A text is its revision 1."""
    limits = services.settings
    title = one_line(body.title, "/title", limits.max_title_units)
    text = whole_text(body.text, "/text", limits.max_document_units)
    document_id, at = new_id(), services.now_ms()
    first = await asyncio.to_thread(first_segment, document_id, text, user.user_id, at)
    made = await services.database.write(
        lambda connection: documents.create(connection, document_id, title, first, user.user, at)
    )
    response.headers["Location"] = f"{router.prefix}/{document_id}"
    return _shown(made, services.registry)


@router.get("", responses=documented(BadRequest, Unauthorized, Unprocessable, NotReady))
async def page(query: Annotated[PageQuery, Query()], user: CurrentUser, services: Services) -> Page:
    """The documents that the caller made or opened, a page at a time."""
    wanted = listing.Listing(query.limit, query.sort, query.q, query.role, query.cursor)
    async with services.database.read() as connection:
        found = await listing.page(connection, user.user_id, wanted)
    return Page(items=[_shown(each, services.registry) for each in found.items], next=found.next)


async def _no_query(request: Request) -> None:
    """Nobody who asks for something special is given the ordinary instead."""
    if request.query_params:
        raise Unprocessable("there is no parameter here")


@router.get(
    "/{document_id}",
    responses=documented(Unauthorized, NotFound, Unprocessable, NotReady),
    dependencies=[Depends(_no_query)],
)
async def look(document: OpenDocument, services: Services) -> Document:
    """One document. Looking at it puts it on the caller's list."""
    return _shown(document, services.registry)


@router.patch(
    "/{document_id}",
    responses=documented(
        BadRequest, Unauthorized, Denied, NotFound, BodyTooLarge, Unprocessable, NotReady
    ),
    dependencies=[Depends(_no_query)],
)
async def rename(body: Renaming, document: OpenDocument, services: Services) -> Document:
    """Give it another title: whoever may write may do so."""
    if not document.role.may(Right.WRITE):
        raise Denied(f"a {document.role.value} may not rename a document")
    title, at = one_line(body.title, "/title", services.settings.max_title_units), services.now_ms()
    await services.database.write(
        lambda connection: documents.rename(connection, document.id, title, at)
    )
    return _shown(replace(document, title=title, updated_at=at), services.registry)


@router.delete(
    "/{document_id}",
    status_code=204,
    responses=documented(Unauthorized, Denied, NotFound, Unprocessable, NotReady),
    dependencies=[Depends(_no_query)],
)
async def delete(document: OpenDocument, services: Services) -> None:
    """Delete it for everybody and for good: its owner alone may. Its editors' sessions end."""
    if not document.role.may(Right.MANAGE):
        raise Denied("only its owner may delete a document")
    await services.database.write(lambda connection: documents.delete(connection, document.id))
    services.registry.forget(document.id)


@router.get(
    "/{document_id}/text",
    response_class=PlainTextResponse,
    responses=documented(Unauthorized, NotFound, Unprocessable, TooMany, NotReady),
    dependencies=[Depends(_no_query)],
)
async def text(document: OpenDocument, services: Services) -> PlainTextResponse:
    """The text as it is now; its revision is the `ETag`."""
    async with services.registry.room(document.id) as room:
        revision, current = room.visible_revision, room.visible_text
    return PlainTextResponse(str(current), headers={"ETag": f'"{revision}"'})


def _shown(document: documents.Document, registry: Registry) -> Document:
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
        owner=Owner(id=document.owner.id, name=document.owner.name),
        revision=revision,
        saved_revision=saved_revision,
        length=length,
        created_at=_time(document.created_at),
        updated_at=_time(document.updated_at),
        editors=registry.editors(document.id),
    )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
