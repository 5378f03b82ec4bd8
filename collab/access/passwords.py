"""Passwords: hashed by argon2id (RFC 9106), in a few threads of their own."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY as RECOMMENDED

from collab.errors import NotReady, Unprocessable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MIN_CHARS = 8
MAX_CHARS = 256

THREADS = 2
"""How many passwords are hashed at once: each takes a processor, and `memory_kib`."""

MAX_WAITING = 64
"""How many wait for a thread: at a twentieth of a second each, the last for less than 2 s."""


class Passwords:
    """Hashes, and tells whether a password is the one that was hashed.

    What depends on the processor's being slow happens in threads: the event loop goes on. Either
    raises `NotReady` where too many wait already.
    """

    def __init__(
        self,
        memory_kib: int = RECOMMENDED.memory_cost,
        passes: int = RECOMMENDED.time_cost,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib)
        self._nobodys = _nobodys(self._hasher)
        self._threads = ThreadPoolExecutor(THREADS, "collab-passwords")
        self._room = THREADS + max_waiting

    async def hash(self, password: str) -> str:
        """A hash that names its parameters and its salt."""
        return await self._aside(lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed. Where there is none, it is not, which
        takes as long to find out.
        """
        return await self._aside(lambda: self._is(hashed or self._nobodys, _bytes(password)))

    def outdated(self, hashed: str) -> bool:
        """Whether it was hashed by other parameters than are used now."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _is(self, hashed: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except VerifyMismatchError:
            return False

    async def _aside(self, work: Callable[[], T]) -> T:
        if not self._room:
            raise NotReady("too many people sign in at once", retry_after_ms=2_000)
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._room += 1


def check(password: str, username: str, pointer: str) -> None:
    """Whether the owner of a username, in lower case, may have it. Raises `Unprocessable`."""
    if len(password) > MAX_CHARS or len(_composed(password)) < MIN_CHARS:
        raise Unprocessable(f"must have {MIN_CHARS} to {MAX_CHARS} characters", pointer=pointer)
    if password.lower() == username:
        raise Unprocessable("must not be the username", pointer=pointer)


def _composed(password: str) -> str:
    """As it was typed, whichever way the keyboard composes an accent."""
    return unicodedata.normalize("NFC", password)


def _bytes(password: str) -> bytes:
    return _composed(password).encode("utf-8", "surrogatepass")


def _nobodys(hasher: PasswordHasher) -> str:
    """A hash with these parameters that no password has."""
    salt, digest = (
        b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
