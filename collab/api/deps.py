"""What a route asks for by the type of a parameter."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from collab.access.tokens import Identity
from collab.api import services
from collab.errors import Unauthorized
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
    return services.tokens.verify(bearer.credentials)


CurrentUser = Annotated[Identity, Depends(_current_user)]


async def _open_document(
    document_id: str, user: CurrentUser, services: Services
) -> documents.Document:
    return await documents.opened(services.database, document_id, user.user, services.now_ms())


OpenDocument = Annotated[documents.Document, Depends(_open_document)]
"""The document that the path names; from now on it is on the caller's list."""
