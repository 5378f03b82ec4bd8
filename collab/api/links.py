"""Share links: whoever has a link's secret may take the role that it gives."""

from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from sqlalchemy import Connection

from collab.access.roles import Role
from collab.api import services
from collab.api.address import client_address
from collab.api.deps import NO_QUERY, Caller, Services, SharableDocument
from collab.api.documents import Document, SharedRole, shown
from collab.api.paging import PlainPageQuery
from collab.api.problems import documented
from collab.api.times import from_ms, to_ms
from collab.errors import (
    BadRequest,
    BodyTooLarge,
    Denied,
    LinksFull,
    NotFound,
    NotReady,
    PasswordNeeded,
    TooMany,
    Unauthorized,
    Unprocessable,
    WrongPassword,
)
from collab.storage import documents, links
from collab.storage.guesses import Guessed

router = APIRouter(prefix="/v1/documents/{document_id}/links", tags=["access"])
coming = APIRouter(prefix="/v1/links", tags=["access"])

Password = Annotated[str, Field(min_length=1, max_length=256)]

EXAMPLE: JsonDict = {
    "id": "q7wj4tnsv3yhrd6fbec5mp2xkz",
    "role": "viewer",
    "secret": "yz2xw4jnr6hsvbdfcap3m9tk7q",
    "has_password": True,
    "expires_at": "2027-02-15T08:00:00Z",
    "created_at": "2027-01-15T08:00:00Z",
    "uses": 3,
}


class NewLink(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"role": "viewer", "expires_at": "9999-01-01T00:00:00Z", "password": "tea"}
            ]
        },
    )

    role: SharedRole
    expires_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    password: Password | None = None


class Link(BaseModel):
    """`uses` counts those who have their role by it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str
    role: Role
    secret: str
    has_password: bool
    expires_at: datetime | None
    created_at: datetime
    uses: int


class LinkPage(BaseModel):
    """`next` is the `cursor` of the page after this one, null on the last."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [EXAMPLE], "next": "WzEsMThd"}]}
    )

    items: list[Link]
    next: str | None


class Secret(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"secret": "yz2xw4jnr6hsvbdfcap3m9tk7q", "password": "tea"}]
        },
    )

    secret: str
    password: Password | None = None


@router.post(
    "",
    status_code=201,
    responses=documented(
        BadRequest,
        Unauthorized,
        Denied,
        NotFound,
        LinksFull,
        BodyTooLarge,
        Unprocessable,
        TooMany,
        NotReady,
    ),
    dependencies=NO_QUERY,
)
async def make(
    body: NewLink,
    document: SharableDocument,
    caller: Caller,
    services: Services,
    request: Request,
) -> Link:
    """A link that gives a role, until a time or for good, to who knows its password if it has one.

    The page opens `/#link=<secret>`: what stands after `#` never reaches a server's log.
    """
    now = services.now_ms()
    expires_at = None if body.expires_at is None else to_ms(body.expires_at, "/expires_at")
    if expires_at is not None and expires_at <= now:
        raise Unprocessable("must lie in the future", pointer="/expires_at")
    hashed = None
    if body.password is not None:
        # As dear as a guess: nobody keeps all others from signing in by it.
        await services.guessing.take(Guessed.ADDRESS, client_address(request))
        hashed = await services.passwords.hash(body.password)
    link = await services.database.write(
        partial(
            links.add,
            document_id=document.id,
            caller=caller,
            role=Role(body.role),
            password_hash=hashed,
            expires_at=expires_at,
            now=now,
        )
    )
    await services.registry.access_changed(document.id)
    return _shown(link)


@router.get(
    "", responses=documented(BadRequest, Unauthorized, Denied, NotFound, Unprocessable, NotReady)
)
async def page(
    document: SharableDocument, services: Services, query: Annotated[PlainPageQuery, Query()]
) -> LinkPage:
    """The links in the order in which they were made, those that have expired too."""
    found = await services.database.look_up(
        partial(links.page, document_id=document.id, cursor=query.cursor, limit=query.limit)
    )
    return LinkPage(items=[_shown(link) for link in found.items], next=found.next)


@router.delete(
    "/{link_id}",
    status_code=204,
    responses=documented(Unauthorized, Denied, NotFound, Unprocessable, NotReady),
    dependencies=NO_QUERY,
)
async def revoke(
    link_id: str, document: SharableDocument, caller: Caller, services: Services
) -> None:
    """Take a link back: whoever came by it loses what it gave, at once."""
    await services.database.write(
        partial(
            links.revoke,
            document_id=document.id,
            caller=caller,
            link_id=link_id,
            now=services.now_ms(),
        )
    )
    await services.registry.access_changed(document.id)


@coming.post(
    "",
    responses=documented(
        BadRequest,
        Unauthorized,
        PasswordNeeded,
        WrongPassword,
        NotFound,
        BodyTooLarge,
        Unprocessable,
        TooMany,
        NotReady,
    ),
    dependencies=NO_QUERY,
)
async def come(body: Secret, caller: Caller, services: Services, request: Request) -> Document:
    """Come by a link: its document, where the caller has the link's role from now on.

    Who has a role by name, or a better one by another link, keeps it.
    """
    link = await services.database.look_up(
        partial(links.usable, secret=body.secret, user_id=caller.user.id, now=services.now_ms())
    )
    if link.password_hash is not None:
        await _check(services, link.id, link.password_hash, body.password, client_address(request))
    now = services.now_ms()

    def enter(connection: Connection) -> bool:
        if link.password_hash is not None:
            services.guessing.give_back(connection, Guessed.LINK, link.id)
        return links.redeem(connection, body.secret, caller, now)

    if await services.database.write(enter):
        await services.registry.access_changed(link.document_id)
    document = await documents.opened(
        services.database, link.document_id, caller.user, now, caller.claims
    )
    return shown(document, services.registry)


async def _check(
    running: services.Services, link_id: str, hashed: str, password: str | None, address: str
) -> None:
    """Raises `PasswordNeeded`, `WrongPassword`, `TooMany`."""
    if password is None:
        raise PasswordNeeded("this link has a password")
    await running.guessing.take(Guessed.ADDRESS, address)
    await running.guessing.take(Guessed.LINK, link_id)
    if not await running.passwords.verify(hashed, password):
        raise WrongPassword("this is not the link's password")


def _shown(link: links.Link) -> Link:
    return Link(
        id=link.id,
        role=link.role,
        secret=link.secret,
        has_password=link.password_hash is not None,
        expires_at=None if link.expires_at is None else from_ms(link.expires_at),
        created_at=from_ms(link.created_at),
        uses=link.uses,
    )
