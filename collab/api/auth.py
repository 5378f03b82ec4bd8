"""Signing in: guests, accounts with passwords, and tokens that are renewed."""

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from sqlalchemy import Connection

from collab.access import passwords, tokens
from collab.access.tokens import Identity
from collab.api import services
from collab.api.address import client_address
from collab.api.deps import OwnUser, PerhapsUser, Services
from collab.api.fields import USERNAME, one_line, username
from collab.api.problems import documented
from collab.errors import (
    BadRequest,
    BodyTooLarge,
    Conflict,
    Denied,
    NotReady,
    TooMany,
    Unauthorized,
    Unprocessable,
    UsernameTaken,
)
from collab.storage import accounts, users
from collab.storage.accounts import Account
from collab.storage.guesses import Guessed
from collab.storage.ids import new_id

router = APIRouter(prefix="/v1", tags=["auth"])


USER_EXAMPLE: JsonDict = {
    "id": "c5mp2xkzq7wj4tnsv3yhrd6fbe",
    "name": "Ada",
    "guest": False,
    "username": "ada",
}
TOKEN_EXAMPLE: JsonDict = {
    "token": "eyJhbGciOi.J9eyJzd.WIiOiJ",
    "expires_at": "2027-01-16T08:00:00Z",
}
PASSWORD_EXAMPLE = "an engine that weaves"  # noqa: S105 - nobody's

Username = Annotated[str, Field(json_schema_extra={"pattern": USERNAME.pattern})]
NewPassword = Annotated[
    str,
    Field(
        json_schema_extra={"minLength": passwords.MIN_CHARS, "maxLength": passwords.MAX_CHARS},
    ),
]
"""`passwords.check` says more of what it must be."""

Password = Annotated[str, Field(max_length=passwords.MAX_CHARS)]


class NewGuest(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"name": "Ada"}]}
    )

    name: str


class NewAccount(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"username": "ada", "password": PASSWORD_EXAMPLE, "name": "Ada"}]
        },
    )

    username: Username
    password: NewPassword
    name: str | None = None


class Login(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"username": "ada", "password": PASSWORD_EXAMPLE}]},
    )

    username: Username
    password: Password


class User(BaseModel):
    """`username` is null for guests, and for users of a host application."""

    model_config = ConfigDict(json_schema_extra={"examples": [USER_EXAMPLE]})

    id: str
    name: str
    guest: bool
    username: str | None


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
    responses=documented(BadRequest, Denied, BodyTooLarge, Unprocessable, TooMany, NotReady),
)
async def sign_in_as_guest(body: NewGuest, request: Request, services: Services) -> SignedIn:
    """A token for somebody new, where the settings allow guests; as often as from the same address
    handshakes may come, of which each guest makes one.
    """
    if not services.settings.guests_allowed:
        raise Denied("this server has no guests")
    services.arrivals.check(client_address(request), time.monotonic())
    user = users.new_guest(one_line(body.name, "/name", services.settings.max_title_units))
    at = services.now_ms()
    await services.database.write(lambda connection: users.add(connection, user, at))
    return signed_in(services, user)


@router.post(
    "/auth/register",
    responses=documented(
        *(BadRequest, Unauthorized, Denied, Conflict, UsernameTaken, BodyTooLarge, Unprocessable),
        *(TooMany, NotReady),
    ),
    openapi_extra={"security": [{}]},  # a token, or none
)
async def register(
    body: NewAccount, caller: PerhapsUser, request: Request, services: Services
) -> SignedIn:
    """An account with a password. A guest who registers stays the same user, whose documents stay
    theirs; the name is the guest's then, or else the username, unless one is given.
    """
    if not services.settings.registration_allowed:
        raise Denied("accounts are not made here")
    if caller is not None and not caller.guest:
        raise Conflict("this user has an account")
    wanted = username(body.username, "/username")
    passwords.check(body.password, wanted, "/password")
    name = body.username if caller is None else caller.name
    if body.name is not None:
        name = one_line(body.name, "/name", services.settings.max_title_units)
    await services.guessing.take(Guessed.ADDRESS, client_address(request))
    user = tokens.User(new_id() if caller is None else caller.user_id, name, guest=False)
    account = Account(user, wanted, await services.passwords.hash(body.password))
    at = services.now_ms()
    await services.database.write(lambda connection: accounts.add(connection, account, at))
    # Of the guest's sign-in: to sign out ends the guest's tokens too.
    return signed_in(services, user, account, renewed=caller)


@router.post(
    "/auth/login",
    responses=documented(BadRequest, Unauthorized, BodyTooLarge, Unprocessable, TooMany, NotReady),
)
async def log_in(body: Login, request: Request, services: Services) -> SignedIn:
    """A token for a username and its password."""
    wanted = username(body.username, "/username")
    account = await services.database.look_up(lambda c: accounts.named(c, wanted))
    right = await guess(services, request, wanted, account, body.password)
    if account is not None and right:
        # Issued before the last look at the password: whoever changes it ends what was issued.
        answer = signed_in(services, account.user, account)
        if await _still_right(services, account, body.password):
            return answer
    raise Unauthorized("the username or the password is wrong")


async def guess(
    services: services.Services,
    request: Request,
    username: str,
    account: Account | None,
    password: str,
) -> bool:
    """Whether it is the account's password. Where there is no account, it is not, after all that
    would be done if there were one. Raises `TooMany`.
    """
    await services.guessing.take(Guessed.ADDRESS, client_address(request))
    await services.guessing.take(Guessed.USERNAME, username)
    hashed = None if account is None else account.password_hash
    return await services.passwords.verify(hashed, password)


async def _still_right(services: services.Services, account: Account, password: str) -> bool:
    """Whether nobody has changed the password since it was found right.

    If so, the username has its allowance again, and a hash of other parameters is made anew.
    """
    anew = None
    if services.passwords.outdated(account.password_hash):
        anew = await services.passwords.hash(password)

    def confirm(connection: Connection) -> bool:
        if anew is None:
            right = accounts.has(connection, account)
        else:
            right = accounts.rehash(connection, account, anew)
        if right:
            services.guessing.give_back(connection, Guessed.USERNAME, account.username)
        return right

    return await services.database.write(confirm)


@router.post("/auth/refresh", responses=documented(Unauthorized, Denied, NotReady))
async def refresh(user: OwnUser, services: Services) -> Token:
    """A new token for a valid one."""
    token, expires_at = services.tokens.issue(user.user, user)
    return Token(token=token, expires_at=_time(expires_at))


def signed_in(
    services: services.Services,
    user: tokens.User,
    account: Account | None = None,
    renewed: Identity | None = None,
) -> SignedIn:
    """A token, and who it is: of a new sign-in, or of that which it renews."""
    token, expires_at = services.tokens.issue(user, renewed)
    return SignedIn(token=token, expires_at=_time(expires_at), user=shown(user, account))


def shown(user: tokens.User, account: Account | None) -> User:
    if account is None:
        return User(id=user.id, name=user.name, guest=user.guest, username=None)
    # The token may be older than the account: a guest's, who has registered meanwhile.
    return User(id=user.id, name=user.name, guest=False, username=account.username)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
