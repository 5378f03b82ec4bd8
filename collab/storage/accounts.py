"""Accounts: users who sign in here with a password. Times are milliseconds since 1970.

Who verified a password did so a while ago: what is changed on the strength of it is changed only
if the account still has the hash that was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from collab.access.tokens import User
from collab.errors import Conflict, UsernameTaken
from collab.storage import users as known_users
from collab.storage.tables import accounts, users
from collab.storage.upsert import insert_if_new

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection


@dataclass(frozen=True, slots=True)
class Account:
    """`username` is in lower case."""

    user: User
    username: str
    password_hash: str


def add(connection: Connection, account: Account, at: int) -> None:
    """Give a user an account; a guest is none from now on.

    Raises `UsernameTaken`, and `Conflict` if the user has one.
    """
    user = account.user
    known_users.add(connection, user, at)
    renamed = update(users).where(users.c.id == user.id)
    connection.execute(renamed.values(name=user.name, guest=False))
    if not insert_if_new(
        connection,
        accounts,
        user_id=user.id,
        username=account.username,
        password_hash=account.password_hash,
        created_at=at,
        changed_at=at,
    ):
        if of_user(connection, user.id) is not None:
            raise Conflict("this user has an account")
        raise UsernameTaken("somebody else has this username")


def named(connection: Connection, username: str) -> Account | None:
    """The account with a username in lower case."""
    return _find(connection, accounts.c.username == username)


def of_user(connection: Connection, user_id: str) -> Account | None:
    return _find(connection, accounts.c.user_id == user_id)


def has(connection: Connection, account: Account) -> bool:
    """Whether the account's password is still the one that it was."""
    return connection.scalar(select(accounts.c.user_id).where(_as_it_was(account))) is not None


def change_password(
    connection: Connection, account: Account, password_hash: str, at: int | None = None
) -> bool:
    """Returns whether it was changed: else somebody else has, meanwhile.

    `at` is None where the password is the same and was hashed anew.
    """
    values = {"password_hash": password_hash} | ({} if at is None else {"changed_at": at})
    changed = connection.execute(update(accounts).where(_as_it_was(account)).values(values))
    return changed.rowcount == 1


def _as_it_was(account: Account) -> ColumnElement[bool]:
    return (accounts.c.user_id == account.user.id) & (
        accounts.c.password_hash == account.password_hash
    )


def _find(connection: Connection, which: ColumnElement[bool]) -> Account | None:
    found = connection.execute(
        select(accounts.c.username, accounts.c.password_hash, users.c.id, users.c.name)
        .join(users, users.c.id == accounts.c.user_id)
        .where(which)
    ).one_or_none()
    if found is None:
        return None
    user = User(found.id, found.name, guest=False)
    return Account(user, found.username, found.password_hash)
