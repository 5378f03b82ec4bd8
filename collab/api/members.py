"""Who may do what with a document: its members, and what anyone else may."""

from datetime import datetime
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from collab.access.roles import Role
from collab.api.deps import (
    NO_QUERY,
    Caller,
    DocumentWithMembers,
    ReadableDocument,
    Services,
    SharableDocument,
)
from collab.api.documents import SharedRole
from collab.api.paging import PlainPageQuery
from collab.api.problems import documented
from collab.api.times import from_ms
from collab.errors import (
    BadRequest,
    BodyTooLarge,
    Conflict,
    Denied,
    DocumentsFull,
    NoSuchUser,
    NotFound,
    NotReady,
    Unauthorized,
    Unprocessable,
)
from collab.storage import members

router = APIRouter(prefix="/v1/documents/{document_id}", tags=["access"])

EXAMPLE: JsonDict = {
    "user": {"id": "p3m9tk7qzy2xw4jnr6hsvbdfca", "name": "Bob", "username": "bob"},
    "role": "editor",
    "since": "2027-01-15T08:00:00Z",
    "until": "2027-02-15T08:00:00Z",
    "link": "q7wj4tnsv3yhrd6fbec5mp2xkz",
}


class User(BaseModel):
    """`username` is null for who has no account."""

    id: str
    name: str
    username: str | None


class Member(BaseModel):
    """Who has a role of their own: since when, and until when if not for good. `link` is the link
    that they have it by, null where it was given to them by name.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    user: User
    role: Role
    since: datetime
    until: datetime | None
    link: str | None


class MemberPage(BaseModel):
    """`next` is the `cursor` of the page after this one, null on the last."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [EXAMPLE], "next": "WzEsMThd"}]}
    )

    items: list[Member]
    next: str | None


class GivenRole(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"role": "editor"}]}
    )

    role: Literal["owner", "editor", "commenter", "viewer"]


class NewAccess(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"anyone": "viewer"}]}
    )

    anyone: SharedRole | None


class Access(BaseModel):
    """What whoever knows the id may do, and is no member; null: nothing."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"anyone": "viewer"}]})

    anyone: Role | None


# -- Members -------------------------------------------------------------------------------------


@router.get(
    "/members",
    responses=documented(BadRequest, Unauthorized, Denied, NotFound, Unprocessable, NotReady),
)
async def page(
    document: DocumentWithMembers, services: Services, query: Annotated[PlainPageQuery, Query()]
) -> MemberPage:
    """The members: the owner, then the others in the order in which they came, a page at a time."""
    found = await services.database.look_up(
        partial(
            members.page,
            document_id=document.id,
            cursor=query.cursor,
            limit=query.limit,
            now=services.now_ms(),
        )
    )
    return MemberPage(items=[_shown(member) for member in found.items], next=found.next)


@router.put(
    "/members/{user}",
    responses=documented(
        BadRequest,
        Unauthorized,
        Denied,
        NotFound,
        NoSuchUser,
        Conflict,
        DocumentsFull,
        BodyTooLarge,
        Unprocessable,
        NotReady,
    ),
    dependencies=NO_QUERY,
)
async def give(
    user: str, body: GivenRole, document: SharableDocument, caller: Caller, services: Services
) -> Member:
    """Give somebody a role for good, by their id, or by `@` and their username.

    To give the owner's is to hand the document over: whoever was the owner is an editor then.
    """
    member = await services.database.write(
        partial(
            members.give,
            document_id=document.id,
            caller=caller,
            name=user,
            role=Role(body.role),
            now=services.now_ms(),
            max_owned=services.settings.max_user_documents,
        )
    )
    await services.registry.access_changed(document.id)
    return _shown(member)


@router.delete(
    "/members/{user}",
    status_code=204,
    responses=documented(
        Unauthorized, Denied, NotFound, NoSuchUser, Conflict, Unprocessable, NotReady
    ),
    dependencies=NO_QUERY,
)
async def remove(user: str, document: ReadableDocument, caller: Caller, services: Services) -> None:
    """Take somebody's access away, whatever anyone has, until they are given a role by name.

    Who names themselves leaves, which everyone may but the owner.
    """
    await services.database.write(
        partial(
            members.remove,
            document_id=document.id,
            caller=caller,
            name=user,
            now=services.now_ms(),
        )
    )
    await services.registry.access_changed(document.id)


# -- Anyone --------------------------------------------------------------------------------------


@router.get(
    "/access",
    responses=documented(Unauthorized, NotFound, Unprocessable, NotReady),
    dependencies=NO_QUERY,
)
async def look(document: ReadableDocument) -> Access:
    """What anyone may."""
    return Access(anyone=document.anyone)


@router.put(
    "/access",
    responses=documented(
        BadRequest, Unauthorized, Denied, NotFound, BodyTooLarge, Unprocessable, NotReady
    ),
    dependencies=NO_QUERY,
)
async def let_anyone(
    body: NewAccess, document: SharableDocument, caller: Caller, services: Services
) -> Access:
    """Say what whoever knows the id may do, and is no member; null: nothing."""
    anyone = None if body.anyone is None else Role(body.anyone)
    await services.database.write(
        partial(
            members.let_anyone,
            document_id=document.id,
            caller=caller,
            role=anyone,
            now=services.now_ms(),
        )
    )
    await services.registry.access_changed(document.id)
    return Access(anyone=anyone)


def _shown(member: members.Member) -> Member:
    return Member(
        user=User(id=member.user_id, name=member.name, username=member.username),
        role=member.role,
        since=from_ms(member.since),
        until=None if member.until is None else from_ms(member.until),
        link=member.link_id,
    )
