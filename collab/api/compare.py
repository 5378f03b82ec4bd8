"""What changed from one revision to another, and who wrote what."""

from datetime import datetime
from functools import partial
from typing import Annotated, NamedTuple

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from collab.api.deps import ReadableDocument, Services, open_room
from collab.api.fields import MAX_INTEGER
from collab.api.problems import documented
from collab.api.times import from_ms
from collab.api.updates import Author
from collab.errors import (
    Damaged,
    InvalidChange,
    NotFound,
    NotReady,
    TooMany,
    Unauthorized,
    Unprocessable,
)
from collab.log.entry import encode_json
from collab.rooms.past import shown, text_at
from collab.storage import history, users
from collab.storage.history import SavedUpdate
from collab.text import Change, Text
from collab.text.blame import Blame
from collab.text.difference import difference

router = APIRouter(prefix="/v1/documents/{document_id}", tags=["comparing"])

MAX_LOOKED_BACK = 50_000
"""How many updates are looked at to tell who wrote what."""

PAGE = 1_000
PAGE_BYTES = 1024 * 1024
"""How many of them are read and replayed at once."""

_PROBLEMS = documented(Unauthorized, NotFound, Unprocessable, TooMany, NotReady)

# -- What changed --------------------------------------------------------------------------------


class DiffQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: int = Field(alias="from", ge=0, le=MAX_INTEGER)
    end: int | None = Field(None, alias="to", ge=0, le=MAX_INTEGER)


class Diff(BaseModel):
    """A change that makes the text at revision `to` of the one at revision `from`, in sections as
    in the live protocol. Either may be the older one.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"from": 1, "to": 7, "sections": [[5, "Goodbye"], 7, [0, "!"]]}]
        }
    )

    start: int = Field(alias="from")
    end: int = Field(alias="to")
    sections: list[int | list[int | str]]


@router.get("/diff", response_model=Diff, responses=_PROBLEMS)
async def diff(
    document: ReadableDocument, services: Services, query: Annotated[DiffQuery, Query()]
) -> Response:
    """What differs between the texts of two revisions; the second is the current one by default.

    Found by lines and by words, whatever the updates were that lie between.
    """
    async with open_room(services, document.id) as room:
        start, end = await shown(room, query.start), await shown(room, query.end)
        old = await text_at(services.database, room, start)
        new = await text_at(services.database, room, end)
        body = await services.aside(partial(_diff, start, old, end, new))
    return Response(body, media_type="application/json")


def _diff(start: int, old: Text, end: int, new: Text) -> bytes:
    sections = difference(str(old), str(new)).to_json()
    return encode_json({"from": start, "to": end, "sections": sections})


# -- Who wrote what ------------------------------------------------------------------------------


class BlameQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    revision: int | None = Field(None, ge=0, le=MAX_INTEGER)


class Span(BaseModel):
    """`length` UTF-16 code units that the update which made `revision` put there; `author`,
    `revision` and `at` are null where that lies further back than is looked.
    """

    length: int
    author: Author | None
    revision: int | None
    at: datetime | None


class Blamed(BaseModel):
    """The text at a revision, in spans, from its beginning to its end."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "revision": 7,
                    "spans": [
                        {
                            "length": 12,
                            "author": {"id": "x7k2", "name": "Ada"},
                            "revision": 1,
                            "at": "2027-01-15T08:00:00Z",
                        },
                        {
                            "length": 3,
                            "author": {"id": "p3m9", "name": "Bob"},
                            "revision": 7,
                            "at": "2027-01-15T08:00:12.345000Z",
                        },
                    ],
                }
            ]
        }
    )

    revision: int
    spans: list[Span]


@router.get("/blame", response_model=Blamed, responses=_PROBLEMS)
async def blame(
    document: ReadableDocument, services: Services, query: Annotated[BlameQuery, Query()]
) -> Response:
    """Who wrote what of the text at a revision, by default the one that was stored last."""
    async with open_room(services, document.id) as room:
        revision = room.stored_revision
        if query.revision is not None:
            revision = await shown(room, query.revision)
        if revision > room.stored_revision:
            raise NotReady(f"revision {revision} is not stored yet", retry_after_ms=1_000)
        replay = Replay(max(revision - MAX_LOOKED_BACK, 0))
        while replay.revision < revision:
            wanted = min(revision - replay.revision, PAGE)
            page = await history.updates(
                services.database, document.id, replay.revision, wanted, PAGE_BYTES
            )
            if not page:
                raise Damaged(f"the history has no revision {replay.revision + 1}")
            await services.aside(partial(replay.go_on, page))
        names = await services.database.look_up(
            lambda connection: users.names(connection, replay.authors)
        )
        body = await services.aside(partial(replay.shown, names))
    return Response(body, media_type="application/json")


class _Source(NamedTuple):
    """Who put text into a document, and when, in ms since 1970."""

    author: str
    at: int


class Replay:
    """The updates after a revision, one after the other."""

    def __init__(self, start: int) -> None:
        self.revision = self._start = start
        self._blame: Blame | None = None
        self._sources: list[_Source] = []

    @property
    def authors(self) -> set[str]:
        return {source.author for source in self._sources}

    def go_on(self, page: list[SavedUpdate]) -> None:
        """Raises `Damaged`."""
        try:
            for update in page:
                change = Change.from_json(msgspec.json.decode(update.change))
                if self._blame is None:
                    self._blame = Blame(change.length)
                self._sources.append(_Source(update.author, update.at))
                self._blame.apply(change, len(self._sources))
                self.revision = update.revision
        except (InvalidChange, msgspec.MsgspecError) as error:
            raise Damaged(f"the history cannot be replayed: {error}") from error

    def shown(self, names: dict[str, str]) -> bytes:
        spans = self._blame.spans() if self._blame is not None else ()
        shown = [self._span(length, source, names) for length, source in spans]
        return encode_json({"revision": self.revision, "spans": shown})

    def _span(self, length: int, source: int, names: dict[str, str]) -> dict[str, object]:
        if not source:
            return {"length": length, "author": None, "revision": None, "at": None}
        author, at = self._sources[source - 1]
        return {
            "length": length,
            "author": {"id": author, "name": names.get(author, "")},
            "revision": self._start + source,
            "at": from_ms(at),
        }
