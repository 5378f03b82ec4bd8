"""The tokens of a host application: Collab behind a login that exists already.

They are JWTs that the host signs with RS256, ES256 or EdDSA. The user's id is made of issuer and
`sub`, and their name and their roles are in claims.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import jwt
import structlog

from collab.access.digest import digest
from collab.access.keys import ISSUER, OPTIONS
from collab.access.roles import Role
from collab.access.tokens import Identity, is_time, not_valid
from collab.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from collab.access.jwks import HostKeys

log = structlog.get_logger(__name__)

NAMELESS = "Someone"
MAX_STRANGE_ROLES = 100


class HostTokens:
    """Verifies them."""

    def __init__(
        self,
        keys: HostKeys,
        *,
        issuer: str,
        audience: str,
        name_claim: str,
        roles_claim: str,
        clean: Callable[[str], str],
    ) -> None:
        """`clean` makes a name of one line of what the host calls somebody, empty if it cannot.

        Raises `Misconfigured`.
        """
        if not issuer or not audience:
            raise Misconfigured(
                "COLLAB_JWKS_URL needs COLLAB_JWT_ISSUER and COLLAB_JWT_AUDIENCE as well"
            )
        if issuer == ISSUER:
            raise Misconfigured(f'COLLAB_JWT_ISSUER must not be "{ISSUER}": that is this server')
        self.keys = keys
        self._issuer = issuer
        self._audience = audience
        self._name_claim = name_claim
        self._roles_claim = roles_claim
        self._clean = clean
        self._strange_roles: set[str] = set()

    def header(self, token: str) -> dict[str, Any] | None:
        """The header of a token that says that it is the host's, None if it says another's. Raises
        PyJWT's errors if it says nothing.
        """
        said = jwt.decode_complete(token, options={"verify_signature": False})
        header: dict[str, Any] = said["header"]
        return header if said["payload"].get("iss") == self._issuer else None

    async def read(self, token: str, header: dict[str, Any]) -> dict[str, Any]:
        """The claims of a token that the host has signed, for us.

        Raises PyJWT's errors, and `NotReady` if its key cannot be known now.
        """
        key = await self.keys.find(header.get("kid"))
        if key is None:
            raise jwt.InvalidTokenError("there is no such key")
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=self._audience,
            issuer=self._issuer,
            options=OPTIONS,
        )

    def identity(self, claims: dict[str, Any], token: str) -> Identity:
        """Raises `Unauthorized`."""
        subject, expires_at = claims["sub"], claims["exp"]
        issued_at = claims.get("iat", 0)
        if not subject or not is_time(expires_at) or not is_time(issued_at):
            raise not_valid()
        session = claims.get("sid") or claims.get("jti") or token
        return Identity(
            user_id=user_id(self._issuer, subject),
            name=self._name(claims.get(self._name_claim)),
            guest=False,
            expires_at=int(expires_at),
            sign_in=digest(self._issuer, subject, str(session)),
            issued_at=round(issued_at * 1000),
            roles=self._roles(claims.get(self._roles_claim)),
            hosted=True,
        )

    def _name(self, claim: object) -> str:
        return (self._clean(claim) if isinstance(claim, str) else "") or NAMELESS

    def _roles(self, claim: object) -> Mapping[str, Role]:
        """What is no role is passed over."""
        roles = dict[str, Role]()
        for document_id, name in claim.items() if isinstance(claim, dict) else ():
            try:
                roles[document_id] = Role(name)
            except ValueError:
                self._note(str(name))
        return roles

    def _note(self, name: str) -> None:
        """Once each."""
        name = name[:32]
        if name not in self._strange_roles and len(self._strange_roles) < MAX_STRANGE_ROLES:
            self._strange_roles.add(name)
            log.warning("a token gives a role that there is not", role=name)


def user_id(issuer: str, subject: str) -> str:
    """Apart from all that this server makes itself, and of the same length for everybody."""
    hashed = hashlib.sha256(json.dumps([issuer, subject]).encode()).digest()[:16]
    return "h-" + base64.b32encode(hashed).decode().rstrip("=").lower()
