"""Two who change the same at once: the second is judged by what the first made of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from collab.access.roles import Role
from collab.access.tokens import User
from collab.errors import Denied, NotFound
from collab.storage import access, audit, documents, links, members, users
from collab.storage.database import Database, database_at
from collab.storage.history import first_segment
from collab.storage.tables import documents as document_rows
from collab.storage.tables import members as member_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection

ADA, BOB, EVE = (User(name, name.title(), guest=True) for name in ("ada", "bob", "eve"))


@pytest.fixture
async def servers(url: str) -> AsyncIterator[list[Database]]:
    """Two servers' connections to a database that has Ada's document `d`."""
    async with AsyncExitStack() as stack:
        shared = url.startswith("postgresql")
        opened = [database_at(url, shared=shared) for _ in range(2 if shared else 1)]
        for each in opened:
            await each.start()
            stack.push_async_callback(each.close)
        await opened[0].migrate()

        def make(connection: Connection) -> None:
            first = first_segment("d", "", ADA.id, 1)
            documents.create(connection, "d", "Notes", first, ADA, 1)
            for user in (BOB, EVE):
                users.add(connection, user, 1)

        await opened[0].write(make)
        yield [opened[0], opened[-1]]


async def give(database: Database, caller: User, to: User, role: Role) -> None:
    await database.write(
        lambda connection: members.give(connection, "d", access.Caller(caller), to.id, role, 2, 10)
    )


async def test_handed_over_from_two_servers_at_once_it_has_one_owner(
    servers: list[Database],
) -> None:
    here, there = servers
    for _ in range(5):
        results = await asyncio.gather(
            give(here, ADA, BOB, Role.OWNER),
            give(there, ADA, EVE, Role.OWNER),
            return_exceptions=True,
        )
        (denied,) = (result for result in results if result is not None)
        assert isinstance(denied, Denied)
        owners, owner = await here.look_up(owners_of_it)
        assert owners == [owner]
        await give(there, BOB if owner == "bob" else EVE, ADA, Role.OWNER)


def owners_of_it(connection: Connection) -> tuple[list[str], str]:
    """By the list of members, and by the document."""
    query = select(member_rows.c.user_id).where(member_rows.c.role == Role.OWNER)
    owners = list(connection.execute(query).scalars())
    return owners, connection.execute(select(document_rows.c.owner_id)).scalar_one()


async def test_a_link_revoked_while_somebody_comes_by_it_gives_nothing(
    servers: list[Database],
) -> None:
    here, there = servers
    for n in range(5):
        link = await here.write(
            lambda c: links.add(c, "d", access.Caller(ADA), Role.EDITOR, None, None, 2)
        )
        user = User(f"u{n}", "U", guest=True)
        came, _ = await asyncio.gather(
            there.write(
                lambda c, secret=link.secret, user=user: links.redeem(  # type: ignore[misc]
                    c, secret, access.Caller(user), 3
                )
            ),
            here.write(lambda c, it=link.id: links.revoke(c, "d", access.Caller(ADA), it, 3)),  # type: ignore[misc]
            return_exceptions=True,
        )
        assert came is True or isinstance(came, NotFound)
        standings = await here.look_up(
            lambda c, user=user: access.standings(c, "d", [user.id], 4)  # type: ignore[misc]
        )
        assert standings[user.id].role is None


async def test_to_come_by_a_link_once_more_makes_no_difference(servers: list[Database]) -> None:
    here, there = servers
    link = await here.write(
        lambda c: links.add(c, "d", access.Caller(ADA), Role.EDITOR, None, None, 2)
    )
    came = await asyncio.gather(
        *(
            server.write(lambda c: links.redeem(c, link.secret, access.Caller(BOB), 3))
            for server in (here, there, here, there)
        )
    )
    assert sorted(came) == [False, False, False, True]
    assert await here.look_up(lambda c: access.versions(c, ["d"])) == {"d": 2}


async def test_every_change_has_its_entry_and_its_version(servers: list[Database]) -> None:
    here, there = servers
    changes = [
        give(server, ADA, user, role)
        for server in (here, there)
        for user in (BOB, EVE)
        for role in (Role.VIEWER, Role.EDITOR)
    ]
    await asyncio.gather(*changes)
    page = await here.look_up(lambda c: audit.page(c, "d", None, 100))
    numbers = [entry.number for entry in page.items]
    assert numbers == list(range(len(numbers), 0, -1))
    versions = await here.look_up(lambda c: access.versions(c, ["d"]))
    assert versions == {"d": len(numbers) - 1}  # it was made at version 0


async def test_who_was_removed_meanwhile_changes_nothing_any_more(
    servers: list[Database],
) -> None:
    here, there = servers
    await give(here, ADA, BOB, Role.OWNER)
    await there.write(lambda c: members.remove(c, "d", access.Caller(BOB), ADA.id, 2))
    with pytest.raises(NotFound, match="there is no such document"):
        await give(here, ADA, EVE, Role.EDITOR)
