"""How a document came to be: its updates, in order, with who made them and when."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from collab.api.deps import ReadableDocument, Services
from collab.api.edits import CHANGE_SCHEMA
from collab.api.fields import MAX_INTEGER
from collab.api.problems import documented
from collab.api.times import from_ms
from collab.errors import BadRequest, NotFound, NotReady, TooMany, Unauthorized, Unprocessable
from collab.log.entry import encode_json
from collab.storage import history, users
from collab.storage.history import SavedUpdate

router = APIRouter(prefix="/v1/documents/{document_id}", tags=["updates"])

MAX_BYTES = 4 * 1024 * 1024
"""How much changes a page holds; a single one may be larger."""


class Author(BaseModel):
    id: str
    name: str


class Update(BaseModel):
    """What made a revision of the one before. A void one made nothing of it; it stands under no
    client, with empty changes. What a document was made with stands under none either.
    """

    revision: int
    client: str
    seq: int
    author: Author
    at: datetime
    void: bool
    changes: Annotated[list[Any], WithJsonSchema(CHANGE_SCHEMA)]


class UpdatePage(BaseModel):
    """`next` is the `cursor` of the page after this one, null where there is no more now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "revision": 1,
                            "client": "",
                            "seq": 0,
                            "author": {"id": "c5mp2xkzq7wj4tnsv3yhrd6fbe", "name": "Ada"},
                            "at": "2027-01-15T08:00:00Z",
                            "void": False,
                            "changes": [[0, "Hello, world"]],
                        }
                    ],
                    "next": "1",
                }
            ]
        }
    )

    items: list[Update]
    next: str | None


class UpdatesQuery(BaseModel):
    """`cursor` goes on where `next` says, else the page begins after revision `after`."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(0, ge=0, le=MAX_INTEGER)
    limit: int = Field(100, ge=1, le=1_000)
    cursor: str | None = None


EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of updates; or, to whom accepts an event stream, each as an event, "
        "what there is and then what comes, from after the revision in `Last-Event-ID` or `after`.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'id: 1\nevent: update\ndata: {"revision":1,"client":"","seq":0,'
                '"author":{"id":"x7k2","name":"Ada"},"at":"2027-01-15T08:00:00Z","void":false,'
                '"changes":[[0,"Hello, world"]]}\n\n',
            }
        },
    }
}
LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "For event streams, instead of `after`: the `id` of the last event received.",
    "schema": {"type": "string", "example": "7"},
}


@router.get(
    "/updates",
    response_model=UpdatePage,
    responses={
        **EVENTS,
        **documented(BadRequest, Unauthorized, NotFound, Unprocessable, TooMany, NotReady),
    },
    openapi_extra={"parameters": [LAST_EVENT_ID]},
)
async def page(
    document: ReadableDocument, services: Services, query: Annotated[UpdatesQuery, Query()]
) -> Response:
    """The saved updates, in order, a page at a time. A page may be shorter than `limit`."""
    found = await history.updates(
        services.database, document.id, _after(query), query.limit, MAX_BYTES
    )
    ids = {update.author for update in found}
    names = await services.database.look_up(lambda connection: users.names(connection, ids))
    items = [shown(update, names) for update in found]
    last = found[-1].revision if found else document.saved_revision
    body = {"items": items, "next": str(last) if last < document.saved_revision else None}
    return Response(encode_json(body), media_type="application/json")


def _after(query: UpdatesQuery) -> int:
    """The revision that the page begins after. Raises `BadRequest` for what is no cursor."""
    if query.cursor is None:
        return query.after
    if not query.cursor.isdecimal() or not query.cursor.isascii() or len(query.cursor) > 16:
        raise BadRequest("the cursor is not one that this list gave out")
    return int(query.cursor)


def shown(update: SavedUpdate, names: dict[str, str]) -> dict[str, object]:
    return {
        "revision": update.revision,
        "client": "" if update.void else update.client,
        "seq": 0 if update.void else update.seq,
        "author": {"id": update.author, "name": names.get(update.author, "")},
        "at": from_ms(update.at),
        "void": update.void,
        "changes": msgspec.Raw(update.change),
    }
