"""Named versions: give a revision a name, list them, and put one's text back."""

import re
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import Connection

from collab.api.deps import (
    NO_QUERY,
    CurrentUser,
    DocumentToVersion,
    ReadableDocument,
    Services,
    WritableDocument,
    open_room,
)
from collab.api.edits import Made
from collab.api.fields import MAX_INTEGER, one_line
from collab.api.idempotency import RequestOnce, Transaction
from collab.api.preconditions import Base
from collab.api.problems import documented
from collab.api.text import ETAG, Edited, Editing
from collab.api.times import from_ms
from collab.errors import (
    BadRequest,
    BodyTooLarge,
    Conflict,
    Denied,
    DocumentFull,
    KeyReused,
    NotFound,
    NotReady,
    Stale,
    TooLarge,
    TooMany,
    Unauthorized,
    Unprocessable,
    VersionsFull,
)
from collab.rooms.open_room import OpenRoom
from collab.rooms.past import shown, text_at
from collab.storage import versions
from collab.text import Text
from collab.text.difference import difference

router = APIRouter(prefix="/v1/documents/{document_id}/versions", tags=["versions"])

_NUMBER = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)


class NewVersion(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "Sent to print", "revision": 1}]},
    )

    name: str
    revision: int | None = Field(None, ge=0, le=MAX_INTEGER)


class Author(BaseModel):
    id: str
    name: str


EXAMPLE: dict[str, JsonValue] = {
    "id": "1",
    "name": "Sent to print",
    "revision": 1,
    "author": {"id": "x7k2", "name": "Ada"},
    "created_at": "2027-01-15T08:00:00Z",
}


class Version(BaseModel):
    """A revision that `author` gave a name."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str
    name: str
    revision: int
    author: Author
    created_at: datetime


class VersionPage(BaseModel):
    """`next` is the `cursor` of the page after this one, null on the last."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE], "next": "1"}]})

    items: list[Version]
    next: str | None


class VersionsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=100)
    cursor: str | None = None


@router.post(
    "",
    status_code=201,
    response_model=Version,
    responses=documented(
        BadRequest,
        Unauthorized,
        Denied,
        NotFound,
        Conflict,
        VersionsFull,
        BodyTooLarge,
        Unprocessable,
        KeyReused,
        TooMany,
        NotReady,
    ),
    dependencies=NO_QUERY,
)
async def create(
    body: NewVersion,
    document: DocumentToVersion,
    user: CurrentUser,
    services: Services,
    once: RequestOnce,
) -> Response:
    """Give a revision a name, the current one unless the request says which."""

    async def prepare() -> Transaction:
        name = one_line(body.name, "/name", services.settings.max_title_units)
        async with open_room(services, document.id) as room:
            try:
                revision = await shown(room, body.revision)
            except NotFound as error:
                raise Unprocessable(error.message, pointer="/revision") from None
        at = services.now_ms()

        def write(connection: Connection) -> Response:
            number = versions.add(connection, document.id, name, revision, user.user_id, at)
            made = versions.find(connection, document.id, number)
            return Response(_shown(made).model_dump_json(), 201, media_type="application/json")

        return write

    return await once.written(prepare)


@router.get("", responses=documented(BadRequest, Unauthorized, NotFound, Unprocessable, NotReady))
async def page(
    document: ReadableDocument, services: Services, query: Annotated[VersionsQuery, Query()]
) -> VersionPage:
    """The versions, newest first, a page at a time."""
    before = None
    if query.cursor is not None:
        if not _NUMBER.fullmatch(query.cursor):
            raise BadRequest("the cursor is not one that this list gave out")
        before = int(query.cursor)
    items, more = await services.database.look_up(
        lambda connection: versions.page(connection, document.id, before, query.limit)
    )
    return VersionPage(
        items=[_shown(version) for version in items],
        next=str(items[-1].number) if more else None,
    )


@router.post(
    "/{version_id}/restore",
    responses={
        200: {"model": Edited, "description": "The version's text is back.", "headers": ETAG},
        **documented(
            BadRequest,
            Unauthorized,
            Denied,
            NotFound,
            Conflict,
            Stale,
            BodyTooLarge,
            TooLarge,
            DocumentFull,
            Unprocessable,
            KeyReused,
            TooMany,
            NotReady,
        ),
    },
    dependencies=NO_QUERY,
)
async def restore(
    version_id: str,
    document: WritableDocument,
    user: CurrentUser,
    services: Services,
    once: RequestOnce,
) -> Response:
    """Put a version's text back, as the smallest change of the current text: an edit like any."""

    async def change(room: OpenRoom, revision: int) -> Made:
        version = await services.database.look_up(
            lambda connection: versions.find(connection, document.id, _number(version_id))
        )
        now = await text_at(services.database, room, revision)
        then = await text_at(services.database, room, version.revision)
        most = services.settings.max_sections_per_push
        return await services.aside(partial(_returning, now, then, most))

    editing = Editing(services, document.id, user)
    return await once.edited(partial(editing.edit, Base(None), change))


def _returning(now: Text, then: Text, max_sections: int) -> Made:
    return Made(difference(str(now), str(then), max_sections))


def _number(version_id: str) -> int:
    """Raises `NotFound`."""
    if not _NUMBER.fullmatch(version_id):
        raise NotFound("there is no such version")
    return int(version_id)


def _shown(version: versions.Version) -> Version:
    return Version(
        id=str(version.number),
        name=version.name,
        revision=version.revision,
        author=Author(id=version.author_id, name=version.author_name),
        created_at=from_ms(version.at),
    )
