"""The secrets that this server's own tokens are signed with: one signs, those before it verify."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Any

import jwt

from collab.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwt.types import Options

ALGORITHM = "HS256"
ISSUER = AUDIENCE = "collab"
MIN_SECRET_BYTES = 32  # as long as the hash (RFC 7518, 3.2)
KID_BYTES = 9

OPTIONS: Options = {
    "require": ["iss", "aud", "sub", "exp"],
    "verify_exp": False,  # these by our own clock and leeway, in `Tokens`
    "verify_iat": False,
    "verify_nbf": False,
}
"""How PyJWT checks the claims of any token."""


class KeyRing:
    """HS256 keys, each by its `kid`."""

    def __init__(self, secret: str, old_secrets: Sequence[str] = ()) -> None:
        """Raises `Misconfigured` for a secret that could be guessed."""
        for name, each in [("SECRET", secret), *(("OLD_SECRETS", old) for old in old_secrets)]:
            if len(each.encode()) < MIN_SECRET_BYTES:
                raise Misconfigured(f"COLLAB_{name} must be at least {MIN_SECRET_BYTES} bytes long")
        self._signing = secret
        self._kid = kid(secret)
        self._keys = {kid(each): each for each in (*old_secrets, secret)}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._signing, ALGORITHM, headers={"kid": self._kid})

    def read(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of the keys has signed, for us. Raises PyJWT's errors."""
        try:
            return self._read(token, self._kid)
        except jwt.InvalidSignatureError:
            # Only now is it looked which one it names: to decode a token takes most of the time.
            named = jwt.get_unverified_header(token).get("kid", self._kid)
            if named == self._kid or named not in self._keys:
                raise
            return self._read(token, named)

    def _read(self, token: str, named: str) -> dict[str, Any]:
        """The same, by one key, which the token names itself."""
        read = jwt.decode_complete(
            token,
            self._keys[named],
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={**OPTIONS, "strict_aud": True},
        )
        # Tokens of before there were several keys name none: they are the present one's.
        if read["header"].get("kid", self._kid) != named:
            raise jwt.InvalidTokenError("it names another key")
        claims: dict[str, Any] = read["payload"]
        return claims


def kid(secret: str) -> str:
    """A name for a secret that does not give it away."""
    named = hmac.digest(secret.encode(), b"kid", "sha256")[:KID_BYTES]
    return base64.urlsafe_b64encode(named).decode()
