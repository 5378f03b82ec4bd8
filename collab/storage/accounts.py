"""Accounts: users who sign in here with a password. Times are milliseconds since 1970.

Who verified a password did so a while ago: what is changed on the strength of it is changed only
if the account still has the hash that was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from collab.access.revocation import of_user
from collab.access.tokens import User
from collab.errors import Conflict, UsernameTaken
from collab.storage import revocations
from collab.storage import users as known_users
from collab.storage.tables import accounts, users
from collab.storage.upsert import insert_if_new

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Connection

    from collab.access.revocation import Revocation


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
        if belonging_to(connection, user.id) is not None:
            raise Conflict("this user has an account")
        raise UsernameTaken("somebody else has this username")


def named(connection: Connection, username: str) -> Account | None:
    """The account with a username in lower case."""
    return _find(connection, accounts.c.username == username)


def belonging_to(connection: Connection, user_id: str) -> Account | None:
    return _find(connection, accounts.c.user_id == user_id)


def has(connection: Connection, account: Account) -> bool:
    """Whether the account's password is still the one that it was."""
    # Locked on PostgreSQL: who is just changing it is waited for.
    found = select(accounts.c.user_id).where(_as_it_was(account)).with_for_update(read=True)
    return connection.scalar(found) is not None


def rehash(connection: Connection, account: Account, password_hash: str) -> bool:
    """Keep another hash of the same password. Returns whether it still is the account's."""
    values = {"password_hash": password_hash}
    changed = connection.execute(update(accounts).where(_as_it_was(account)).values(values))
    return changed.rowcount == 1


def change_password(
    connection: Connection,
    account: Account,
    password_hash: str,
    now_ms: Callable[[], int],
    token_ttl_s: int,
) -> Revocation | None:
    """Keep the hash of another password, and end all sign-ins of the user.

    Returns what ends them; None if somebody else has changed the password meanwhile.
    """
    if not rehash(connection, account, password_hash):
        return None
    # Not before: who has signed in by the former password has done so until here.
    at = now_ms()
    user_id = account.user.id
    changed = update(accounts).where(accounts.c.user_id == user_id).values(changed_at=at)
    connection.execute(changed)
    ended = of_user(user_id, at, token_ttl_s)
    revocations.add(connection, ended, at)
    return ended


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
