"""Accounts, and who may have which username."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from collab.access.revocation import of_user
from collab.access.tokens import User
from collab.errors import CollabError, Conflict, UsernameTaken
from collab.storage import accounts, revocations, users
from collab.storage.accounts import Account
from collab.storage.database import database_at

if TYPE_CHECKING:
    from collab.access.revocation import Revocation
    from collab.storage.database import Database

ADA = Account(User("u1", "Ada", guest=False), "ada", "hashed")


async def add(database: Database, account: Account) -> None:
    await database.write(partial(accounts.add, account=account, at=1))


async def named(database: Database, username: str) -> Account | None:
    return await database.look_up(partial(accounts.named, username=username))


async def test_an_account_is_found_by_its_username_and_its_user(database: Database) -> None:
    await add(database, ADA)
    assert await named(database, "ada") == ADA
    assert await database.look_up(partial(accounts.belonging_to, user_id="u1")) == ADA
    assert await named(database, "bob") is None
    assert await database.look_up(partial(accounts.belonging_to, user_id="ada")) is None


async def test_a_guest_who_makes_one_is_no_guest_any_more(database: Database) -> None:
    guest = User("u1", "Guest", guest=True)
    await database.write(partial(users.add, user=guest, at=1))
    await add(database, ADA)
    assert await named(database, "ada") == ADA
    kept = await database.look_up(lambda c: c.exec_driver_sql("SELECT name, guest FROM users"))
    assert [tuple(row) for row in kept] == [("Ada", False)]


async def test_a_username_is_one_user_s_and_a_user_has_one(database: Database) -> None:
    await add(database, ADA)
    with pytest.raises(UsernameTaken):
        await add(database, Account(User("u2", "Another", guest=False), "ada", "hashed too"))
    with pytest.raises(Conflict):
        await add(database, Account(User("u1", "Renamed", guest=False), "lovelace", "hashed too"))
    assert await named(database, "ada") == ADA
    assert await named(database, "lovelace") is None
    known = await database.look_up(partial(users.names, user_ids=["u1", "u2"]))
    assert known == {"u1": "Ada"}  # who was refused left nothing behind


async def test_of_many_who_want_a_username_at_once_one_gets_it(url: str) -> None:
    servers = [database_at(url, shared=True) for _ in range(2)]
    for server in servers:
        await server.start()
    await servers[0].migrate()

    async def outcome(server: Database, n: int) -> str:
        try:
            await add(server, Account(User(f"u{n}", "Ada", guest=False), "ada", "hashed"))
        except CollabError as error:
            return error.code
        return "added"

    outcomes = await asyncio.gather(*(outcome(servers[n % 2], n) for n in range(8)))
    assert sorted(outcomes) == ["added", *["username_taken"] * 7]
    for server in servers:
        await server.close()


async def test_a_password_is_changed_only_if_it_is_still_the_one_that_was(
    database: Database,
) -> None:
    """Whoever changes it ends all sign-ins, in the same transaction."""
    await add(database, ADA)

    async def change(to: str) -> Revocation | None:
        return await database.write(
            lambda c: accounts.change_password(c, ADA, to, lambda: 2_000, token_ttl_s=60)
        )

    async def ended() -> list[Revocation]:
        return await database.look_up(partial(revocations.since, at=0, now=0))

    assert await database.write(partial(accounts.has, account=ADA))
    assert await ended() == []
    assert await change("another") == of_user("u1", 2_000, 60)
    assert await ended() == [of_user("u1", 2_000, 60)]
    assert not await database.write(partial(accounts.has, account=ADA))
    assert await change("a third") is None
    assert not await database.write(partial(accounts.rehash, account=ADA, password_hash="a third"))
    assert await named(database, "ada") == replace(ADA, password_hash="another")


async def test_a_password_that_is_hashed_anew_ends_nothing(database: Database) -> None:
    await add(database, ADA)
    assert await database.write(partial(accounts.rehash, account=ADA, password_hash="anew"))
    assert await database.look_up(partial(revocations.since, at=0, now=0)) == []
    assert await named(database, "ada") == replace(ADA, password_hash="anew")
