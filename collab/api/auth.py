"""Who somebody is: guests, tokens, and `GET /v1/me`."""

from dataclasses import replace
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from collab.access import tokens
from collab.api.deps import CurrentUser, Services
from collab.api.fields import one_line
from collab.api.problems import documented
from collab.errors import BadRequest, BodyTooLarge, Denied, NotReady, Unauthorized, Unprocessable
from collab.storage import users

router = APIRouter(prefix="/v1", tags=["auth"])


USER_EXAMPLE: JsonDict = {"id": "c5mp2xkzq7wj4tnsv3yhrd6fbe", "name": "Ada", "guest": True}
TOKEN_EXAMPLE: JsonDict = {
    "token": "eyJhbGciOi.J9eyJzd.WIiOiJ",
    "expires_at": "2027-01-16T08:00:00Z",
}


class NewGuest(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"name": "Ada"}]}
    )

    name: str


class User(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [USER_EXAMPLE]})

    id: str
    name: str
    guest: bool


class Token(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [TOKEN_EXAMPLE]})

    token: str
    expires_at: datetime


class SignedIn(Token):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{**TOKEN_EXAMPLE, "user": USER_EXAMPLE}]}
    )

    user: User


@router.post(
    "/auth/guest",
    responses=documented(BadRequest, Denied, BodyTooLarge, Unprocessable, NotReady),
)
async def sign_in_as_guest(body: NewGuest, services: Services) -> SignedIn:
    """A token for somebody new, where the settings allow guests."""
    if not services.settings.guests_allowed:
        raise Denied("this server has no guests")
    user = users.new_guest(one_line(body.name, "/name", services.settings.max_title_units))
    at = services.now_ms()
    await services.database.write(lambda connection: users.add(connection, user, at))
    token, expires_at = services.tokens.issue(user)
    return SignedIn(token=token, expires_at=_time(expires_at), user=_shown(user))


@router.post("/auth/refresh", responses=documented(Unauthorized))
async def refresh(user: CurrentUser, services: Services) -> Token:
    """A new token for a valid one."""
    token, expires_at = services.tokens.issue(user.user, user)
    return Token(token=token, expires_at=_time(expires_at))


@router.get("/me", responses=documented(Unauthorized))
async def me(user: CurrentUser) -> User:
    """Who the token is."""
    return _shown(user.user)


class NewName(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"name": "Ada Lovelace"}]}
    )

    name: str


@router.patch(
    "/me", responses=documented(BadRequest, Unauthorized, BodyTooLarge, Unprocessable, NotReady)
)
async def change_name(body: NewName, caller: CurrentUser, services: Services) -> SignedIn:
    """Another name for the same user: the token that comes back bears it, the old one does not."""
    name = one_line(body.name, "/name", services.settings.max_title_units)
    user = replace(caller.user, name=name)
    at = services.now_ms()
    await services.database.write(lambda connection: users.rename(connection, user, at))
    token, expires_at = services.tokens.issue(user, caller)
    return SignedIn(token=token, expires_at=_time(expires_at), user=_shown(user))


def _shown(user: tokens.User) -> User:
    return User(id=user.id, name=user.name, guest=user.guest)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
