"""What a route asks for by the type of a parameter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from collab.access.roles import Action
from collab.access.tokens import Identity
from collab.api import services
from collab.errors import Denied, NotReady, Unauthorized, Unavailable, Unprocessable
from collab.rooms.open_room import OpenRoom
from collab.storage import documents


async def _services(connection: HTTPConnection) -> services.Services:
    running = connection.app.state.services
    assert isinstance(running, services.Services)
    return running


Services = Annotated[services.Services, Depends(_services)]

_Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(bearerFormat="JWT", auto_error=False)),
]


async def _current_user(bearer: _Bearer, services: Services) -> Identity:
    if bearer is None:
        raise Unauthorized("a token is needed: Authorization: Bearer …")
    return await services.tokens.verify(bearer.credentials)


CurrentUser = Annotated[Identity, Depends(_current_user)]


async def _perhaps_user(bearer: _Bearer, services: Services) -> Identity | None:
    return None if bearer is None else await services.tokens.verify(bearer.credentials)


PerhapsUser = Annotated[Identity | None, Depends(_perhaps_user)]
"""None for whoever sends no token. One that is not valid is refused."""


async def _open_document(
    document_id: str, user: CurrentUser, services: Services
) -> documents.Document:
    return await documents.opened(services.database, document_id, user.user, services.now_ms())


OpenDocument = Annotated[documents.Document, Depends(_open_document)]
"""The document that the path names; from now on it is on the caller's list."""


async def _writable_document(document: OpenDocument) -> documents.Document:
    if not document.role.may(Action.WRITE):
        raise Denied(f"a {document.role.value} may not write")
    return document


WritableDocument = Annotated[documents.Document, Depends(_writable_document)]
"""The same, where the caller may write."""


async def _no_query(request: Request) -> None:
    if request.query_params:
        raise Unprocessable("there is no parameter here")


NO_QUERY = [Depends(_no_query)]
"""Nobody who asks for something special is given the ordinary instead."""


@asynccontextmanager
async def open_room(services: services.Services, document_id: str) -> AsyncIterator[OpenRoom]:
    """A document's room, for as long as a request may take. Raises `NotReady` after that."""
    try:
        async with (
            asyncio.timeout(services.settings.open_timeout_s),
            services.registry.room(document_id) as room,
        ):
            with suppress(Unavailable):  # what is known is better than nothing
                await room.feed.catch_up()  # what another server has ordered is in it
            yield room
    except TimeoutError:
        raise NotReady("this took too long", retry_after_ms=1_000) from None
