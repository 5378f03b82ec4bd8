"""The people that documents belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from collab.access.tokens import User
from collab.storage.ids import new_id
from collab.storage.tables import users
from collab.storage.upsert import insert_if_new

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection


def new_guest(name: str) -> User:
    return User(new_id(), name, guest=True)


def add(connection: Connection, user: User, at: int) -> None:
    """Make a user known; one who is known stays as they are.

    A valid token may name someone this database has not met: before a row refers to a user, they
    are added.
    """
    insert_if_new(connection, users, id=user.id, name=user.name, guest=user.guest, created_at=at)


def rename(connection: Connection, user: User, at: int) -> None:
    """Make the user known by `user.name`."""
    add(connection, user, at)
    connection.execute(update(users).where(users.c.id == user.id).values(name=user.name))


def names(connection: Connection, user_ids: Collection[str]) -> dict[str, str]:
    """The names of the users that are known, by id."""
    found = connection.execute(select(users.c.id, users.c.name).where(users.c.id.in_(user_ids)))
    return {row.id: row.name for row in found}
