"""Tokens: who somebody is, signed, until a time.

A token is a JWT (RFC 7519) with `iss` and `aud` "collab", `sub` a user's id, `name`, `guest`,
`iat`, `exp`, `jti`, `sid` and `auth_time`, signed by HS256 with the server's own secret, which its
`kid` names. Which algorithm a token is checked with is never the token's choice (RFC 8725, 3.1).

Whoever signs in begins a *sign-in*: `sid` names it and `auth_time` is when it began. The tokens
that others are renewed by keep both, so that all of them end together.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping  # noqa: TC003 - an identity is written as JSON, and read
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt

from collab.access.digest import digest
from collab.access.keys import AUDIENCE, ISSUER, KeyRing
from collab.access.revocation import Revocations
from collab.access.roles import Role  # noqa: TC001 - the same
from collab.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collab.access.host import HostTokens

MAX_TOKEN_CHARS = 8_192
MAX_USER_ID_CHARS = 64
MAX_SIGN_IN_CHARS = 64
MAX_TIME_S = 2**53
LEEWAY_S = 5
"""How far the clocks of two servers may be apart."""


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    guest: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """What a valid token says.

    `expires_at` is in seconds since 1970. `sign_in` names the sign-in that the token is of, and
    `issued_at` is when that one's first token was issued, in milliseconds since 1970. `roles` are
    those that the token itself gives, by a document's id or "*" for all; `hosted` tells whether a
    host application has issued it.
    """

    user_id: str
    name: str
    guest: bool
    expires_at: int
    sign_in: str
    issued_at: int
    roles: Mapping[str, Role] = field(default_factory=dict)
    hosted: bool = False

    @property
    def user(self) -> User:
        return User(self.user_id, self.name, self.guest)


class Tokens:
    """Issues and verifies, and knows what was revoked. `clock` gives seconds since 1970."""

    def __init__(
        self,
        secret: str,
        ttl_s: int,
        clock: Callable[[], float],
        old_secrets: Sequence[str] = (),
        host: HostTokens | None = None,
    ) -> None:
        """`old_secrets` only verify. Raises `Misconfigured` for a secret that could be guessed."""
        self.revocations = Revocations()
        self._keys = KeyRing(secret, old_secrets)
        self._host = host
        self._ttl_s = ttl_s
        self._clock = clock

    def issue(self, user: User, renewed: Identity | None = None) -> tuple[str, int]:
        """A token, and when it expires in seconds since 1970. It is of the sign-in of the token
        that it renews, else of a new one.
        """
        now = self._clock()
        expires_at = int(now) + self._ttl_s
        token_id = secrets.token_urlsafe(12)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.id,
            "name": user.name,
            "guest": user.guest,
            "iat": int(now),
            "exp": expires_at,
            "jti": token_id,
            "sid": token_id if renewed is None else renewed.sign_in,
            "auth_time": round(now, 3) if renewed is None else renewed.issued_at / 1000,
        }
        return self._keys.sign(claims), expires_at

    async def verify(self, token: str) -> Identity:
        """Raises `Unauthorized`, which tells an expired token from one that is not valid.

        A key may have to be fetched, for which this waits a few seconds at most. Raises `NotReady`
        if it is not known then.
        """
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise not_valid()
        try:
            if self._host is not None and (header := self._host.header(token)) is not None:
                claims = await self._host.read(token, header)
                identity = self._host.identity(claims, token)
            else:
                claims = self._keys.read(token)
                identity = _identity(claims, token)
        except jwt.PyJWTError:
            raise not_valid() from None
        not_before = claims.get("nbf", 0)
        if not is_time(not_before) or not_before > self._clock() + LEEWAY_S:
            raise not_valid()
        over = self.over(identity)
        if over is not None:
            raise Unauthorized(over)
        return identity

    def over(self, identity: Identity) -> str | None:
        """Why the token that says this is not valid any more, None while it is."""
        if identity.expires_at + LEEWAY_S <= self._clock():
            return "the token has expired"
        if self.revocations.end(identity):
            return "this sign-in has ended"
        return None


def _identity(claims: dict[str, Any], token: str) -> Identity:
    # One that names no sign-in is one by itself; one without a time is older than any other.
    sign_in = claims.get("sid", claims.get("jti", digest(token)))
    issued_at: Any = claims.get("auth_time", claims.get("iat", 0))
    match claims:
        case {"sub": str(user_id), "name": str(name), "guest": bool(guest), "exp": int(expires_at)}:
            if (
                0 < len(user_id) <= MAX_USER_ID_CHARS
                and isinstance(sign_in, str)
                and 0 < len(sign_in) <= MAX_SIGN_IN_CHARS
                and is_time(expires_at)
                and is_time(issued_at)
            ):
                at = round(issued_at * 1000)
                return Identity(user_id, name, guest, expires_at, sign_in, at)
    raise not_valid()


def is_time(claim: object) -> bool:
    """Whether it is a number of seconds since 1970, in which no NaN can hide."""
    if isinstance(claim, bool) or not isinstance(claim, int | float):
        return False
    return 0 <= claim <= MAX_TIME_S


def not_valid() -> Unauthorized:
    return Unauthorized("the token is not valid")
