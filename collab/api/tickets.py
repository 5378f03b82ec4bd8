"""`POST /v1/documents/{id}/tickets`: for a browser's WebSocket, which can set no headers."""

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from collab.api.deps import CurrentUser, ReadableDocument, Services
from collab.api.problems import documented
from collab.errors import NotFound, NotReady, Unauthorized, Unprocessable
from collab.storage import tickets

router = APIRouter(prefix="/v1/documents/{document_id}", tags=["documents"])


class Ticket(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ticket": "0qZ5JkLr8mYw2VxT7nB4cH6dG1sFaEuP",
                    "expires_at": "2027-01-15T08:00:30Z",
                }
            ]
        }
    )

    ticket: str
    expires_at: datetime


@router.post(
    "/tickets",
    status_code=201,
    responses=documented(Unauthorized, NotFound, Unprocessable, NotReady),
)
async def make_ticket(document: ReadableDocument, user: CurrentUser, services: Services) -> Ticket:
    """A ticket for one handshake with this document, instead of the token that this call bears: so
    the token is in no URL. It is valid for 30 s.
    """
    now = services.now_ms()
    ticket, expires_at = await services.database.write(
        lambda connection: tickets.make(connection, document.id, user, now)
    )
    return Ticket(ticket=ticket, expires_at=datetime.fromtimestamp(expires_at / 1000, UTC))
