"""The updates of a document as they come: server-sent events, on the path of the pages."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from collab.access.roles import Action, Standing, claimed
from collab.access.tokens import Identity
from collab.api import services
from collab.api.deps import CurrentUser, ReadableDocument, Services
from collab.api.event_stream import EventStream
from collab.api.fields import MAX_INTEGER
from collab.api.updates import shown
from collab.errors import BadRequest, NotFound, Problem, Refusal
from collab.log.entry import encode_json
from collab.rooms.open_room import OpenRoom
from collab.rooms.past import shown as shown_revision
from collab.rooms.standings import Seen
from collab.rooms.trail import follow
from collab.storage import users
from collab.storage.history import SavedUpdate

log = structlog.get_logger(__name__)

RETRY_MIN_MS, RETRY_MAX_MS = 500, 3_000
"""When clients are to come back after the stream ends, at random between these."""

_REVISION = re.compile(r"[0-9]{1,16}", re.ASCII)


class EventStreamRoute(APIRoute):
    """A route for whom accepts an event stream; others are for the next route of this path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and not accepts_events(Headers(scope=scope)):
            return Match.NONE, {}
        return super().matches(scope)


def accepts_events(headers: Headers) -> bool:
    """Whether `Accept` names event streams, with another weight than 0."""
    for each in ",".join(headers.getlist("accept")).lower().split(","):
        kind, *parameters = each.replace(" ", "").split(";")
        if kind == "text/event-stream":
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False


router = APIRouter(
    prefix="/v1/documents/{document_id}", tags=["updates"], route_class=EventStreamRoute
)


async def _followed_room(
    document: ReadableDocument, user: CurrentUser, services: Services
) -> AsyncIterator[OpenRoom]:
    with services.registry.places.place(user.user_id, document.id):
        async with services.registry.room(document.id) as room:
            yield room


FollowedRoom = Annotated[OpenRoom, Depends(_followed_room)]
"""The document's room, held open until the answer has ended, which takes a session's place."""


class StreamQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: int = Field(0, ge=0, le=MAX_INTEGER)


async def _no_body(request: Request) -> None:
    """An answer that has begun could not refuse it any more."""
    length = request.headers.get("content-length", "0")
    if length != "0" or "transfer-encoding" in request.headers:
        raise BadRequest("an event stream is asked for without a body")


@router.get(
    "/updates",
    include_in_schema=False,  # described beside the pages
    dependencies=[Depends(_no_body)],
)
async def stream(
    room: FollowedRoom,
    user: CurrentUser,
    services: Services,
    query: Annotated[StreamQuery, Query()],
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> Response:
    """The updates after a revision, in order, and then each as it is shown, one event each."""
    after = query.after if last_event_id is None else _revision(last_event_id)
    await shown_revision(room, after)
    seen = await room.standings.of(user)
    events = _events(services, room, Reader(user, room), seen, after)
    return EventStream(events, services.settings.stall_s)


def _revision(last_event_id: str) -> int:
    """Raises `BadRequest` for what is no event's id."""
    if not _REVISION.fullmatch(last_event_id):
        raise BadRequest("Last-Event-ID is not one that this stream gave out")
    return int(last_event_id)


class Reader:
    """Who reads a stream, as the room's standings know them (X2)."""

    def __init__(self, identity: Identity, room: OpenRoom) -> None:
        self.identity = identity
        self.user_id = identity.user_id
        self.claims = claimed(identity.roles, room.document_id) is not None
        self._may_read = True
        self._room = room

    def may_read(self) -> bool:
        return self._may_read

    def role_changed(self, standing: Standing) -> None:
        self._may_read = standing.role is not None and standing.role.may(Action.READ)
        self._room.trail.wake()


async def _events(
    services: services.Services, room: OpenRoom, reader: Reader, seen: Seen, after: int
) -> AsyncGenerator[bytes, None]:
    """Ends with the room, and with the reader's token and access."""
    yield b"retry: %d\n\n" % random.randint(RETRY_MIN_MS, RETRY_MAX_MS)  # noqa: S311 - spread only
    heartbeat_s = services.settings.heartbeat_s
    names = Names(services, heartbeat_s)
    room.standings.join(reader, seen)
    try:
        following = follow(services.database, room, after, heartbeat_s, reader.may_read)
        async with aclosing(following) as pages:
            async for page in pages:
                if services.tokens.over(reader.identity) is not None:
                    return
                known = await names.of(page)
                services.counts.deliveries += len(page)
                yield b"".join(_event(update, known) for update in page) or b":\n\n"
    except NotFound:
        return  # it was deleted while it was read
    except (Problem, Refusal, SQLAlchemyError) as error:
        log.warning("an event stream ends", error=type(error).__name__)
    finally:
        room.standings.leave(reader)


def _event(update: SavedUpdate, names: dict[str, str]) -> bytes:
    return b"id: %d\nevent: update\ndata: %s\n\n" % (
        update.revision,
        encode_json(shown(update, names)),
    )


class Names:
    """The names of authors, asked for again when they are older than `fresh_s`."""

    def __init__(self, running: services.Services, fresh_s: float) -> None:
        self._database = running.database
        self._fresh_s = fresh_s
        self._known: dict[str, str] = {}
        self._fresh_until = 0.0

    async def of(self, page: list[SavedUpdate]) -> dict[str, str]:
        """The names of a page's authors, by their ids, and perhaps others."""
        now = asyncio.get_running_loop().time()
        if now > self._fresh_until:
            self._known, self._fresh_until = {}, now + self._fresh_s
        unknown = {update.author for update in page} - self._known.keys()
        if unknown:
            self._known |= await self._database.look_up(
                lambda connection: users.names(connection, unknown)
            )
        return self._known
