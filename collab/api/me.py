"""Whoever calls: their name and their password."""

from dataclasses import replace

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from collab.access import passwords
from collab.access.revocation import Revocation
from collab.api import revoking, services
from collab.api.auth import (
    PASSWORD_EXAMPLE,
    NewPassword,
    Password,
    SignedIn,
    User,
    guess,
    shown,
    signed_in,
)
from collab.api.deps import CurrentUser, OwnUser, Services
from collab.api.fields import one_line
from collab.api.problems import documented
from collab.errors import (
    BadRequest,
    BodyTooLarge,
    Denied,
    NotReady,
    TooMany,
    Unauthorized,
    Unprocessable,
    WrongPassword,
)
from collab.storage import accounts, users
from collab.storage.accounts import Account
from collab.storage.guesses import Guessed

router = APIRouter(prefix="/v1", tags=["auth"])


class NewName(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"name": "Ada Lovelace"}]}
    )

    name: str


class PasswordChange(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"current": PASSWORD_EXAMPLE, "new": "another that weaves"}]
        },
    )

    current: Password
    new: NewPassword


@router.get("/me", responses=documented(Unauthorized, NotReady))
async def me(caller: CurrentUser, services: Services) -> User:
    """Who the token is."""
    return shown(caller.user, await _account(services, caller.user_id))


@router.patch(
    "/me",
    responses=documented(BadRequest, Unauthorized, Denied, BodyTooLarge, Unprocessable, NotReady),
)
async def change_name(body: NewName, caller: OwnUser, services: Services) -> SignedIn:
    """Another name for the same user: the token that comes back bears it, the old one does not."""
    name = one_line(body.name, "/name", services.settings.max_title_units)
    user = replace(caller.user, name=name)
    at = services.now_ms()
    await services.database.write(lambda connection: users.rename(connection, user, at))
    return signed_in(services, user, await _account(services, caller.user_id), caller)


@router.post(
    "/me/password",
    responses=documented(
        *(BadRequest, Unauthorized, Denied, WrongPassword, BodyTooLarge, Unprocessable),
        *(TooMany, NotReady),
    ),
)
async def change_password(
    body: PasswordChange, caller: CurrentUser, request: Request, services: Services
) -> SignedIn:
    """Another password. The token that comes back is of a new sign-in, and the only one left."""
    account = await _account(services, caller.user_id)
    if account is None:
        raise Denied("this user has no password here")
    passwords.check(body.new, account.username, "/new")
    right = await guess(services, request, account.username, account, body.current)
    ended = await _changed(services, account, body.new) if right else None
    if ended is None:
        raise WrongPassword("this is not the current password")
    revoking.heard(services, [ended])
    return signed_in(services, account.user, account)


async def _changed(
    services: services.Services, account: Account, password: str
) -> Revocation | None:
    """What ends all sign-ins until now; None if somebody else has changed the password meanwhile,
    and nothing was done.
    """
    hashed, ttl_s = await services.passwords.hash(password), services.settings.token_ttl_s

    def change(connection: Connection) -> Revocation | None:
        ended = accounts.change_password(connection, account, hashed, services.now_ms, ttl_s)
        if ended is not None:
            services.guessing.give_back(connection, Guessed.USERNAME, account.username)
        return ended

    return await services.database.write(change)


async def _account(services: services.Services, user_id: str) -> Account | None:
    return await services.database.look_up(lambda c: accounts.belonging_to(c, user_id))
