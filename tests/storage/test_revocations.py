"""What tokens do not say any more, in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collab.access.revocation import Revocation
from collab.storage import revocations

if TYPE_CHECKING:
    from collab.storage.database import Database


async def add(database: Database, revocation: Revocation, at: int) -> None:
    await database.write(lambda connection: revocations.add(connection, revocation, at))


async def since(database: Database, at: int, now: int = 0) -> list[Revocation]:
    found = await database.look_up(lambda connection: revocations.since(connection, at, now))
    return sorted(found, key=lambda each: each.id)


async def test_what_was_added_since_a_time_is_found(database: Database) -> None:
    first, second = Revocation("1", 2**62, 100), Revocation("2", 7, 100)
    await add(database, first, at=10)
    await add(database, second, at=20)
    assert await since(database, 0) == [first, second]
    assert await since(database, 11) == [second]
    assert await since(database, 21) == []
    assert await since(database, 0, now=100) == []


async def test_one_that_is_added_again_ends_more_and_never_less(database: Database) -> None:
    await add(database, Revocation("1", 7, 100), at=10)
    await add(database, Revocation("1", 9, 90), at=20)
    assert await since(database, 20) == [Revocation("1", 9, 100)]
    await add(database, Revocation("1", 8, 110), at=15)
    assert await since(database, 20) == [Revocation("1", 9, 110)]


async def test_expired_ones_are_forgotten_some_at_a_time(database: Database) -> None:
    for number in range(5):
        await add(database, Revocation(str(number), 7, 100 + number), at=10)
    forgotten = [
        await database.write(lambda connection: revocations.forget_expired(connection, 103, 3))
        for _ in range(3)
    ]
    assert forgotten == [3, 1, 0]
    assert [each.id for each in await since(database, 0)] == ["4"]
