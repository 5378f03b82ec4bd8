"""Idempotency keys: which requests were answered, so that one that is repeated is not done twice.

A key is a user's own. Its row is there from the request's beginning; the answer follows when it is
known. Times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, func, select, tuple_, update

from collab.errors import Conflict, KeyReused, TooMany
from collab.storage.tables import idempotency_keys as keys
from collab.storage.upsert import insert_if_new

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

KEPT_MS = 24 * 3600 * 1000
MAX_KEYS = 10_000
"""How many a user may have used within that time."""


class Begun(NamedTuple):
    """A request with a key: when it came first, whether it comes again now, and what was answered,
    None if that is not known.
    """

    at: int
    again: bool
    answer: bytes | None


def begin(connection: Connection, user_id: str, key: str, fingerprint: bytes, now: int) -> Begun:
    """Take note of a request, or find it again.

    Raises `KeyReused` if the key is another request's, `TooMany` if the user has too many.
    """
    known = _find(connection, user_id, key, now)
    if known is None:
        _check_number(connection, user_id, now)
        _forget_if_expired(connection, user_id, key, now)
        row = {"user_id": user_id, "key": key, "fingerprint": fingerprint, "at": now}
        if insert_if_new(connection, keys, **row):
            return Begun(now, False, None)
        known = _find(connection, user_id, key, now)  # it came to another server as well
    if known is None or known.fingerprint != fingerprint:
        raise KeyReused("this Idempotency-Key was sent with another request")
    return Begun(known.at, True, known.answer)


def _find(connection: Connection, user_id: str, key: str, now: int) -> Row[Any] | None:
    return connection.execute(
        select(keys).where(keys.c.user_id == user_id, keys.c.key == key, keys.c.at > now - KEPT_MS)
    ).one_or_none()


def _forget_if_expired(connection: Connection, user_id: str, key: str, now: int) -> None:
    """Only then: it may have come to another server since this one looked."""
    expired = keys.c.at <= now - KEPT_MS
    connection.execute(delete(keys).where(keys.c.user_id == user_id, keys.c.key == key, expired))


def _check_number(connection: Connection, user_id: str, now: int) -> None:
    used = connection.scalar(
        select(func.count()).where(keys.c.user_id == user_id, keys.c.at > now - KEPT_MS)
    )
    if used is not None and used >= MAX_KEYS:
        raise TooMany(f"a user has at most {MAX_KEYS} idempotency keys in 24 hours")


def keep(connection: Connection, user_id: str, key: str, answer: bytes) -> None:
    """The request was answered. Raises `Conflict` if it was before."""
    kept = connection.execute(
        update(keys)
        .where(keys.c.user_id == user_id, keys.c.key == key, keys.c.answer.is_(None))
        .values(answer=answer)
    )
    if kept.rowcount != 1:
        raise Conflict("this request was answered meanwhile", retry_after_ms=1_000)


def forget(connection: Connection, user_id: str, key: str) -> None:
    """The key is free again."""
    connection.execute(delete(keys).where(keys.c.user_id == user_id, keys.c.key == key))


def forget_expired(connection: Connection, now: int, limit: int) -> int:
    """Returns how many: those above the limit wait for another transaction."""
    key = (keys.c.user_id, keys.c.key)
    # Nobody waits for another server that does the same, or they might wait for each other.
    expired = select(*key).where(keys.c.at <= now - KEPT_MS).limit(limit)
    unused = expired.with_for_update(skip_locked=True)
    return connection.execute(delete(keys).where(tuple_(*key).in_(unused))).rowcount
