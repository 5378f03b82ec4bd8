"""Tokens: who somebody is, signed, until a time.

A token is a JWT (RFC 7519) with `iss` and `aud` "collab", `sub` a user's id, `name`, `guest`,
`iat`, `exp` and `jti`, signed by HS256 with the server's own secret. Which key and algorithm a
token is checked with is never the token's choice (RFC 8725, 3.1).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from collab.errors import Misconfigured, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable

ALGORITHM = "HS256"
ISSUER = AUDIENCE = "collab"
MIN_SECRET_BYTES = 32  # as long as the hash (RFC 7518, 3.2)
MAX_TOKEN_CHARS = 4_096
MAX_USER_ID_CHARS = 64
LEEWAY_S = 5
"""How far the clocks of two servers may be apart."""


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    guest: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """What a valid token says. `expires_at` is in seconds since 1970."""

    user_id: str
    name: str
    guest: bool
    expires_at: int

    @property
    def user(self) -> User:
        return User(self.user_id, self.name, self.guest)


class Tokens:
    """Issues and verifies. `clock` gives seconds since 1970."""

    def __init__(self, secret: str, ttl_s: int, clock: Callable[[], float]) -> None:
        """Raises `Misconfigured` for a secret that could be guessed."""
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise Misconfigured(f"COLLAB_SECRET must be at least {MIN_SECRET_BYTES} bytes long")
        self._secret = secret
        self._ttl_s = ttl_s
        self._clock = clock

    def issue(self, user: User) -> tuple[str, int]:
        """A token, and when it expires in seconds since 1970."""
        now = int(self._clock())
        expires_at = now + self._ttl_s
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.id,
            "name": user.name,
            "guest": user.guest,
            "iat": now,
            "exp": expires_at,
            "jti": secrets.token_urlsafe(12),
        }
        return jwt.encode(claims, self._secret, ALGORITHM), expires_at

    def verify(self, token: str) -> Identity:
        """Raises `Unauthorized`, which tells an expired token from one that is not valid."""
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise _not_valid()
        identity = _identity(self._claims(token))
        if self.expired(identity):
            raise Unauthorized("the token has expired")
        return identity

    def expired(self, identity: Identity) -> bool:
        return identity.expires_at + LEEWAY_S <= self._clock()

    def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that is signed as it must be, for us and by us."""
        try:
            return jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={
                    "require": ["iss", "aud", "sub", "exp"],
                    "strict_aud": True,
                    "verify_exp": False,  # these two by our own clock, or not at all
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError:
            raise _not_valid() from None


def _identity(claims: dict[str, Any]) -> Identity:
    match claims:
        case {"sub": str(user_id), "name": str(name), "guest": bool(guest), "exp": int(expires_at)}:
            if not isinstance(expires_at, bool) and 0 < len(user_id) <= MAX_USER_ID_CHARS:
                return Identity(user_id, name, guest, expires_at)
    raise _not_valid()


def _not_valid() -> Unauthorized:
    return Unauthorized("the token is not valid")
