"""The public keys of a host application: a JSON Web Key Set (RFC 7517), fetched and kept.

One task fetches, now and then and when somebody asks for a key that is not there; but never again
before a pause is over, whatever is asked for. Everybody who waits, waits for the same fetch.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import structlog

from collab.access.fetch import TIMEOUT_S
from collab.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger(__name__)

PAUSE_S = 10.0
"""How long after a fetch there is no other."""

WAIT_S = TIMEOUT_S + 1
MAX_KEYS = 100
MIN_RSA_BITS = 2_048

PUBLIC_MEMBERS = {"kty", "crv", "n", "e", "x", "y"}
"""Of a key that was published with its private part by mistake, no more than these is read."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`algorithm` is the only one that it verifies by."""

    algorithm: str
    key: Any


class HostKeys:
    """The keys as they were last fetched. They hold while fetching fails."""

    def __init__(
        self, fetch: Callable[[], Awaitable[bytes]], max_age_s: float, pause_s: float = PAUSE_S
    ) -> None:
        """`fetch` raises `OSError`. A key that was withdrawn is forgotten within `max_age_s`."""
        self._fetch = fetch
        self._every_s = max_age_s / 2
        self._pause_s = pause_s
        self._keys: dict[str | None, PublicKey] = {}
        self._known = False
        self._resting = False
        self._wanted = asyncio.Event()
        self._fetched = asyncio.Event()

    async def find(self, kid: str | None) -> PublicKey | None:
        """The key of that name; without a name the only one there is. None if there is none.

        Waits a few seconds for it at most. Raises `NotReady` if that cannot be known now.
        """
        key = self._look_up(kid)
        if key is None and not self._resting:
            self._wanted.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    await self._fetched.wait()
            key = self._look_up(kid)
        if key is None and not self._known:
            retry_after_ms = round(self._pause_s * 1000)
            raise NotReady("the keys of this token cannot be read", retry_after_ms=retry_after_ms)
        return key

    def _look_up(self, kid: str | None) -> PublicKey | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def run(self) -> None:
        """Fetch for as long as it runs."""
        while True:
            await self._refresh()
            self._resting = True
            self._fetched.set()
            self._fetched = asyncio.Event()
            self._wanted.clear()
            await asyncio.sleep(self._pause_s)
            self._resting = False
            if self._known:  # else at once
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._every_s - self._pause_s):
                        await self._wanted.wait()

    async def _refresh(self) -> None:
        try:
            self._keys = parse(await self._fetch())
            self._known = True
        except (OSError, ValueError) as error:
            self._known = False
            kept = len(self._keys)
            log.warning("cannot fetch the keys for tokens", error=type(error).__name__, kept=kept)


def parse(document: bytes) -> dict[str | None, PublicKey]:
    """The keys of a set that can be used here, by their `kid`. Raises `ValueError`."""
    try:
        match json.loads(document):
            case {"keys": [*listed]} if len(listed) <= MAX_KEYS:
                pass
            case _:
                raise ValueError("this is no set of keys")
    except RecursionError:
        raise ValueError("this is no set of keys") from None
    keys: dict[str | None, PublicKey] = {}
    for each in listed:
        key = _usable(each)
        if key is not None:
            keys.setdefault(each.get("kid"), key)
    return keys


def _usable(jwk: Any) -> PublicKey | None:
    """A public key for signatures; never one whose secret its publishing has told (RFC 8725)."""
    match jwk:
        case {"kty": "RSA"}:
            algorithm = "RS256"
        case {"kty": "EC", "crv": "P-256"}:
            algorithm = "ES256"
        case {"kty": "OKP", "crv": "Ed25519"}:
            algorithm = "EdDSA"
        case _:
            return None
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        return None
    uses = jwk.get("key_ops", ["verify"])
    if not isinstance(uses, list) or "verify" not in uses:
        return None
    if not isinstance(jwk.get("kid", ""), str):
        return None
    try:
        public = {name: jwk[name] for name in PUBLIC_MEMBERS & jwk.keys()}
        key = jwt.PyJWK(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        log.warning("a key for tokens cannot be read", error=type(error).__name__)
        return None
    if algorithm == "RS256" and key.key_size < MIN_RSA_BITS:
        log.warning("a key for tokens is too short")
        return None
    return PublicKey(algorithm, key)
