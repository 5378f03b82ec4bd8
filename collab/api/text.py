"""The text of a document: read it, now or as it was, put a whole new one, or change it in places.

What changes it is a push like anyone's: it is made from the revision in `If-Match`, rebased, and
answered when it is shown.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import islice
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from collab.access.tokens import Identity
from collab.api import services
from collab.api.deps import (
    NO_QUERY,
    CurrentUser,
    ReadableDocument,
    Services,
    SignedInRoute,
    WritableDocument,
    open_room,
)
from collab.api.edits import Edits, Exact, Made, Patch, Replacement, check_size, rewriting
from collab.api.fields import MAX_INTEGER
from collab.api.idempotency import Attempt, RawBody, RequestOnce
from collab.api.preconditions import Base, GivenBase, etag, names, required
from collab.api.problems import documented
from collab.errors import (
    BadRequest,
    BodyTooLarge,
    Conflict,
    Denied,
    DocumentFull,
    InvalidChange,
    KeyReused,
    NotFound,
    NotReady,
    PreconditionFailed,
    PreconditionRequired,
    Stale,
    TooLarge,
    TooMany,
    Unauthorized,
    Unprocessable,
    UnsupportedMedia,
)
from collab.log.entry import Entry
from collab.rooms.open_room import OpenRoom
from collab.rooms.past import length_at, text_at
from collab.rooms.submission import Placed, earlier, submit
from collab.text import Text
from collab.text.units import from_units

router = APIRouter(prefix="/v1/documents/{document_id}", tags=["text"], route_class=SignedInRoute)

ETAG: dict[str, Any] = {
    "ETag": {
        "description": "The revision of the text, quoted.",
        "schema": {"type": "string", "example": '"7"'},
    }
}


class Edited(BaseModel):
    """The text after an edit: its revision, how far the database has it, and its length in UTF-16
    code units.

    Where `revision` is the one in `If-Match` or the next, the text is exactly what was asked for;
    where it is larger, others' edits are in it too. `replaced` counts what a replacement found; it
    is missing where that is not known any more, since the request came before.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"revision": 8, "saved_revision": 8, "length": 14}]}
    )

    revision: int
    saved_revision: int
    length: int
    replaced: int | None = None


# -- Reading -------------------------------------------------------------------------------------

MAX_INLINE_UNITS = 64 * 1024
"""A longer text is sent in parts, each made in a thread when it is wanted: everyone would wait for
it on the event loop, and whoever reads slowly would have a copy of all of it in memory.
"""

LEAVES_AT_ONCE = 64
"""About as much as a connection takes."""


class TextQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    revision: int | None = Field(None, ge=0, le=MAX_INTEGER)


@router.get(
    "/text",
    response_class=PlainTextResponse,
    responses={
        200: {
            "description": "The text.",
            "headers": ETAG,
            "content": {"text/plain": {"example": "Hello, world"}},
        },
        304: {"description": "`If-None-Match` names this revision.", "headers": ETAG},
        **documented(Unauthorized, NotFound, Unprocessable, TooMany, NotReady),
    },
)
async def read(
    document: ReadableDocument,
    services: Services,
    query: Annotated[TextQuery, Query()],
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """The text as it is now, or as it was at a revision; its revision is the `ETag`."""
    async with open_room(services, document.id) as room:
        revision = room.visible_revision if query.revision is None else query.revision
        if revision > room.visible_revision:
            await room.feed.catch_up()
        headers = {"ETag": etag(revision)}
        if revision <= room.visible_revision and names(if_none_match, revision):
            return Response(None, 304, headers)
        text = await text_at(services.database, room, revision)
    if len(text) <= MAX_INLINE_UNITS:
        return PlainTextResponse(str(text), headers=headers)
    length = await asyncio.to_thread(lambda: sum(map(len, _parts(text))))
    headers["Content-Length"] = str(length)
    return StreamingResponse(_parts(text), headers=headers, media_type="text/plain")


def _parts(text: Text) -> Iterator[bytes]:
    """The text in UTF-8."""
    leaves = text.leaves()
    while part := "".join(map(from_units, islice(leaves, LEAVES_AT_ONCE))):
        yield part.encode()


# -- Changing ------------------------------------------------------------------------------------

EDITED: dict[int | str, dict[str, Any]] = {
    200: {"model": Edited, "description": "The edit is in the text.", "headers": ETAG},
    **documented(
        BadRequest,
        Unauthorized,
        Denied,
        NotFound,
        Conflict,
        PreconditionFailed,
        Stale,
        BodyTooLarge,
        TooLarge,
        DocumentFull,
        Unprocessable,
        InvalidChange,
        KeyReused,
        PreconditionRequired,
        TooMany,
        NotReady,
    ),
}


@router.put(
    "/text",
    responses={**EDITED, **documented(UnsupportedMedia)},
    dependencies=NO_QUERY,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"text/plain": {"schema": {"type": "string"}, "example": "Hello, moon"}},
        }
    },
)
async def put(
    document: WritableDocument,
    user: CurrentUser,
    services: Services,
    base: GivenBase,
    request: Request,
    body: RawBody,
    once: RequestOnce,
) -> Response:
    """A whole new text in place of the one at the revision in `If-Match`.

    It becomes the smallest change there, so that whoever types meanwhile loses nothing.
    """
    _check_plain_text(request.headers.get("content-type", ""))
    from_base = required(base)

    async def rewrite(room: OpenRoom, revision: int) -> Made:
        length_at(room, revision)  # before the work, whether anything can be based on it
        text = await text_at(services.database, room, revision)
        return await services.aside(partial(rewriting, text, body, services.settings))

    editing = Editing(services, document.id, user)
    return await once.edited(partial(editing.edit, from_base, rewrite))


@router.patch("/text", responses=EDITED, dependencies=NO_QUERY)
async def patch(
    body: Patch,
    document: WritableDocument,
    user: CurrentUser,
    services: Services,
    base: GivenBase,
    once: RequestOnce,
) -> Response:
    """Edits at positions, a change, or find and replace.

    The first two need `If-Match`, for positions mean nothing without their text; a replacement is
    made in the current text where there is none.
    """
    limits = services.settings
    from_base = base or Base(None) if isinstance(body, Replacement) else required(base)

    async def change(room: OpenRoom, revision: int) -> Made:
        match body:
            case Edits() | Exact():
                return body.made(length_at(room, revision), limits)
            case Replacement():
                length_at(room, revision)
                text = await text_at(services.database, room, revision)
                return await asyncio.to_thread(body.made, text, limits)

    editing = Editing(services, document.id, user)
    return await once.edited(partial(editing.edit, from_base, change))


Make = Callable[[OpenRoom, int], Awaitable[Made]]


class Editing(NamedTuple):
    """One user's edits of a document."""

    services: services.Services
    document_id: str
    user: Identity

    async def edit(self, base: Base, make: Make, attempt: Attempt) -> Response:
        """Order what `make` makes of the text at the base, and answer when it is shown.

        Raises what refuses it, a `Problem` or a `Refusal`; nothing does once it has taken effect,
        except that it cannot be shown in time.
        """
        self.services.paces.push(self.user.user_id, self.document_id)
        async with open_room(self.services, self.document_id) as room:
            seq = 1
            if attempt.doubtful:
                known = await earlier(self.services.database, room, attempt.client)
                if known.took_effect:
                    return _edited(room, Placed(room.visible_revision, len(room.visible_text)))
                attempt.doubtful = False
                seq = max(seq, known.seq + 1)
            revision = await base.resolve(room)
            change, replaced = await make(room, revision)
            if change.is_empty:
                return _edited(room, Placed(revision, change.length), replaced)
            check_size(change, self.services.settings)
            behind = room.revision - revision
            self.services.paces.rebase(self.user.user_id, behind * change.size)
            entry = Entry(
                client=attempt.client,
                seq=seq,
                base=revision,
                updates=(change,),
                author=self.user.user_id,
                at=self.services.now_ms(),
            )
            return _edited(room, await submit(room, entry), replaced)


def _edited(room: OpenRoom, placed: Placed, replaced: int | None = None) -> Response:
    edited = Edited(
        revision=placed.revision,
        saved_revision=room.saved_revision,
        length=placed.length,
        replaced=replaced,
    )
    body = edited.model_dump_json(exclude_none=True)
    headers = {"ETag": etag(placed.revision)}
    return Response(body, headers=headers, media_type="application/json")


def _check_plain_text(content_type: str) -> None:
    """Raises `UnsupportedMedia`."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next((each for each in parameters if each.startswith("charset=")), "charset=utf-8")
    if kind != "text/plain" or charset.replace('"', "") != "charset=utf-8":
        raise UnsupportedMedia("a text is sent as text/plain; charset=utf-8")
