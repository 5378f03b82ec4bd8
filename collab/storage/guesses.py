"""How often a password may be guessed: allowances that hold over all servers, and restarts.

Each is a token bucket with a row of its own, which is there only while something is missing from
it. What is taken is taken before the password is looked at: of two guesses at the same moment, on
whatever servers, both count. Times are milliseconds since 1970.
"""

from __future__ import annotations

import hashlib
import math
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BigInteger, Float, bindparam, case, cast, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from collab.errors import TooMany
from collab.storage.tables import guesses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, Connection

    from collab.storage.database import Database


class Guessed(StrEnum):
    """What has an allowance of its own."""

    ADDRESS = "address"  # whoever guesses from there
    USERNAME = "username"  # whoever guesses that account's password
    LINK = "link"  # whoever guesses that link's


class Allowance(NamedTuple):
    """So many at once, and again one after so long."""

    at_once: int
    every_s: float

    @property
    def full_after_ms(self) -> int:
        return math.ceil(self.at_once * self.every_s * 1000)


class Guessing:
    """`now_ms` is the clock."""

    def __init__(
        self,
        database: Database,
        allowances: Mapping[Guessed, Allowance],
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._allowances = allowances
        self._now_ms = now_ms

    async def take(self, kind: Guessed, subject: str) -> None:
        """One guess. Raises `TooMany` with the time to wait, if there is none left."""
        key, allowance, now = _key(kind, subject), self._allowances[kind], self._now_ms()
        # Who insists is refused without a commit.
        wait_ms = await self._database.look_up(lambda c: missing_ms(c, key, allowance, now))
        if not wait_ms:
            wait_ms = await self._database.write(lambda c: take(c, key, allowance, now))
        if wait_ms:
            raise TooMany("too many attempts; try again later", retry_after_ms=wait_ms)

    def give_back(self, connection: Connection, kind: Guessed, subject: str) -> None:
        """The guess was right: the whole allowance is there again."""
        connection.execute(delete(guesses).where(guesses.c.key == _key(kind, subject)))

    def forget_full(self, connection: Connection, limit: int) -> int:
        """Remove rows from which nothing is missing any more. Returns how many: those above the
        limit wait for another transaction.
        """
        longest_ms = max(allowance.full_after_ms for allowance in self._allowances.values())
        return forget(connection, self._now_ms() - longest_ms, limit)


def take(connection: Connection, key: str, allowance: Allowance, now: int) -> int:
    """Take one. Returns 0, or how long to wait: then nothing was taken."""
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(guesses)
    there_is = _there_is(allowance)
    # In one statement: PostgreSQL lets the second of two wait here, and then look at what the first
    # has left.
    taking = (
        insert.values(key=key, remaining=allowance.at_once - 1.0, at=now)
        .on_conflict_do_update(
            index_elements=[guesses.c.key],
            set_={
                "remaining": there_is - 1.0,
                "at": case((guesses.c.at > _NOW, guesses.c.at), else_=_NOW),
            },
            where=there_is >= 1.0,
        )
        .returning(guesses.c.key)
    )
    if connection.execute(taking, {"now": now}).one_or_none() is not None:
        return 0
    return missing_ms(connection, key, allowance, now) or 1


def missing_ms(connection: Connection, key: str, allowance: Allowance, now: int) -> int:
    """How long it takes until there is one, 0 where there is."""
    found = select(_there_is(allowance)).where(guesses.c.key == key)
    there_is = connection.scalar(found, {"now": now})
    if there_is is None or there_is >= 1.0:
        return 0
    return math.ceil((1.0 - there_is) * allowance.every_s * 1000)


def forget(connection: Connection, before: int, limit: int) -> int:
    """Remove rows that nothing was taken from since then. Returns how many."""
    # Nobody waits for another server that does the same, or they might wait for each other.
    old = select(guesses.c.key).where(guesses.c.at <= before).limit(limit)
    unused = old.with_for_update(skip_locked=True)
    return connection.execute(delete(guesses).where(guesses.c.key.in_(unused))).rowcount


_NOW = bindparam("now", type_=BigInteger)


def _there_is(allowance: Allowance) -> ColumnElement[float]:
    """What the row's allowance has grown to. Clocks of servers may differ: it never shrinks."""
    gone_ms = case((guesses.c.at < _NOW, cast(_NOW - guesses.c.at, Float)), else_=0.0)
    grown = guesses.c.remaining + gone_ms / (allowance.every_s * 1000)
    return case((grown > allowance.at_once, float(allowance.at_once)), else_=grown)


def _key(kind: Guessed, subject: str) -> str:
    return hashlib.sha256(f"{kind}:{subject}".encode()).hexdigest()
