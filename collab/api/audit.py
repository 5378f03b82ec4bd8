"""The audit trail of a document: who changed who may do what."""

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from collab.access.roles import Role
from collab.api.deps import AuditedDocument, Services
from collab.api.paging import PlainPageQuery
from collab.api.problems import documented
from collab.api.times import from_ms
from collab.errors import BadRequest, Denied, NotFound, NotReady, Unauthorized, Unprocessable
from collab.storage import audit
from collab.storage.cursors import bad_cursor

router = APIRouter(prefix="/v1/documents/{document_id}", tags=["access"])

_NUMBER = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)

EXAMPLE: JsonDict = {
    "number": 2,
    "at": "2027-01-15T08:00:00Z",
    "actor": {"id": "c5mp2xkzq7wj4tnsv3yhrd6fbe", "name": "Ada"},
    "action": "member_changed",
    "subject": {"id": "p3m9tk7qzy2xw4jnr6hsvbdfca", "name": "Bob"},
    "link": "q7wj4tnsv3yhrd6fbec5mp2xkz",
    "role": "viewer",
    "role_before": "editor",
}


class Person(BaseModel):
    id: str
    name: str


class Entry(BaseModel):
    """`number` counts a document's entries from 1. `subject` is whom it was done to, `link` the
    link that it was about; `role` is what they, or anyone, have since then, and had before.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    number: int
    at: datetime
    actor: Person
    action: audit.Event
    subject: Person | None
    link: str | None
    role: Role | None
    role_before: Role | None


class Trail(BaseModel):
    """`next` is the `cursor` of the page after this one, null on the last."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE], "next": "2"}]})

    items: list[Entry]
    next: str | None


@router.get(
    "/audit",
    responses=documented(BadRequest, Unauthorized, Denied, NotFound, Unprocessable, NotReady),
)
async def page(
    document: AuditedDocument, services: Services, query: Annotated[PlainPageQuery, Query()]
) -> Trail:
    """What changed about who may do what, newest first, a page at a time."""
    before = None
    if query.cursor is not None:
        if not _NUMBER.fullmatch(query.cursor):
            raise bad_cursor()
        before = int(query.cursor)
    items, more = await services.database.look_up(
        lambda connection: audit.page(connection, document.id, before, query.limit)
    )
    return Trail(
        items=[_shown(entry) for entry in items],
        next=str(items[-1].number) if more else None,
    )


def _shown(entry: audit.Entry) -> Entry:
    return Entry(
        number=entry.number,
        at=from_ms(entry.at),
        actor=_person(entry.actor),
        action=entry.event,
        subject=None if entry.subject is None else _person(entry.subject),
        link=entry.link_id,
        role=entry.role,
        role_before=entry.role_before,
    )


def _person(person: audit.Person) -> Person:
    return Person(id=person.id, name=person.name)
