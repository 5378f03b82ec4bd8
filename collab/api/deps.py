"""What a route asks for by the type of a parameter."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from collab.access.roles import Action, require
from collab.access.tokens import Identity
from collab.api import services
from collab.errors import Denied, NotReady, Unauthorized, Unavailable, Unprocessable
from collab.rooms.open_room import OpenRoom
from collab.storage import access, documents


async def _services(connection: HTTPConnection) -> services.Services:
    running = connection.app.state.services
    assert isinstance(running, services.Services)
    return running


Services = Annotated[services.Services, Depends(_services)]

_bearer = HTTPBearer(bearerFormat="JWT", auto_error=False)

_Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def _current_user(bearer: _Bearer, services: Services) -> Identity:
    if bearer is None:
        raise Unauthorized("a token is needed: Authorization: Bearer …")
    return await services.tokens.verify(bearer.credentials)


CurrentUser = Annotated[Identity, Depends(_current_user)]


async def _own_user(user: CurrentUser) -> Identity:
    if user.hosted:
        raise Denied("the application that issued this token renews it and knows the name")
    return user


OwnUser = Annotated[Identity, Depends(_own_user)]
"""The same, where this server itself issues the tokens."""


class SignedInRoute(APIRoute):
    """A route that reads no body of somebody without a valid token: FastAPI parses a body before it
    solves any dependency.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_signed_in(request: Request) -> Response:
            await _current_user(await _bearer(request), request.app.state.services)
            return await handle(request)

        return handle_signed_in


async def _perhaps_user(bearer: _Bearer, services: Services) -> Identity | None:
    return None if bearer is None else await services.tokens.verify(bearer.credentials)


PerhapsUser = Annotated[Identity | None, Depends(_perhaps_user)]
"""None for whoever sends no token. One that is not valid is refused."""


async def _caller(user: CurrentUser) -> access.Caller:
    return access.Caller(user.user, user.roles)


Caller = Annotated[access.Caller, Depends(_caller)]
"""Who wants something done with a document, and what their token says of their roles."""


async def _document(document_id: str, caller: Caller, services: Services) -> documents.Document:
    return await documents.opened(
        services.database, document_id, caller.user, services.now_ms(), caller.claims
    )


@dataclass(frozen=True)
class Allowed:
    """The document that the path names, where the caller may do this with it; from now on it is on
    their list.

    Judged when the request comes. Who loses a role while an edit of theirs is on its way may see it
    ordered all the same, as with a push that was given to the log. What changes who may do what is
    judged again in its transaction.
    """

    action: Action

    async def __call__(
        self, document: Annotated[documents.Document, Depends(_document)]
    ) -> documents.Document:
        require(document.role, self.action)
        return document


ReadableDocument = Annotated[documents.Document, Depends(Allowed(Action.READ))]
WritableDocument = Annotated[documents.Document, Depends(Allowed(Action.WRITE))]
RenamableDocument = Annotated[documents.Document, Depends(Allowed(Action.RENAME))]
DocumentToVersion = Annotated[documents.Document, Depends(Allowed(Action.NAME_VERSIONS))]
DocumentWithMembers = Annotated[documents.Document, Depends(Allowed(Action.SEE_MEMBERS))]
SharableDocument = Annotated[documents.Document, Depends(Allowed(Action.SHARE))]
AuditedDocument = Annotated[documents.Document, Depends(Allowed(Action.AUDIT))]
DeletableDocument = Annotated[documents.Document, Depends(Allowed(Action.DELETE))]


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
