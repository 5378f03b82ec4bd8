"""The revocations that every server reads. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from collab.access.revocation import Revocation
from collab.storage.tables import revocations

if TYPE_CHECKING:
    from sqlalchemy import Connection


def add(connection: Connection, revocation: Revocation, at: int) -> None:
    """Keep one from now on. One that is there already only comes to end more, for longer."""
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(revocations)
    values = {
        "id": revocation.id,
        "issued_before": revocation.issued_before,
        "at": at,
        "expires_at": revocation.expires_at,
    }
    # SQLite's `max` of two values is PostgreSQL's `greatest`.
    larger = func.max if connection.dialect.name == "sqlite" else func.greatest
    grown = {
        name: larger(revocations.c[name], insert.excluded[name])
        for name in ("issued_before", "at", "expires_at")
    }
    connection.execute(
        insert.values(values).on_conflict_do_update(index_elements=["id"], set_=grown)
    )


def since(connection: Connection, at: int, now: int) -> list[Revocation]:
    """Those that were added since a time and are not expired."""
    found = connection.execute(
        select(revocations).where(revocations.c.at >= at, revocations.c.expires_at > now)
    )
    return [Revocation(row.id, row.issued_before, row.expires_at) for row in found]


def forget_expired(connection: Connection, now: int, limit: int) -> int:
    """Returns how many: those above the limit wait for another transaction."""
    expired = select(revocations.c.id).where(revocations.c.expires_at <= now).limit(limit)
    unused = expired.with_for_update(skip_locked=True)
    return connection.execute(delete(revocations).where(revocations.c.id.in_(unused))).rowcount
