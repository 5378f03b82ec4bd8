"""Tickets, over both databases."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from collab.access.roles import Role
from collab.access.tokens import Identity
from collab.errors import NotFound, Unauthorized
from collab.storage import tickets
from collab.storage.tables import tickets as table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from collab.storage.database import Database
    from tests.storage.saving import Bench

ADA = Identity("ada", "Ada 😀", False, 2**31, "1", 7, {"d": Role.OWNER, "*": Role.VIEWER}, True)
NOW = 1_800_000_000_000


async def make(database: Database, document_id: str = "d") -> str:
    ticket, expires_at = await database.write(
        lambda connection: tickets.make(connection, document_id, ADA, NOW)
    )
    assert expires_at == NOW + 30_000
    return ticket


async def use(
    database: Database, ticket: str, document_id: str = "d", now: int = NOW
) -> Identity | None:
    try:
        return await database.write(
            lambda connection: tickets.use(connection, ticket, document_id, now)
        )
    except Unauthorized:
        return None


async def test_a_ticket_is_good_once_for_whom_it_was_made(bench: Bench) -> None:
    await bench.document("d")
    ticket = await make(bench.database)
    assert await use(bench.database, ticket) == ADA
    assert await use(bench.database, ticket) is None


async def test_of_many_who_use_a_ticket_at_once_one_gets_in(bench: Bench) -> None:
    await bench.document("d")
    ticket = await make(bench.database)
    got = await asyncio.gather(*(use(bench.database, ticket) for _ in range(10)))
    assert [each for each in got if each is not None] == [ADA]


async def test_a_ticket_is_good_for_its_document_alone(bench: Bench) -> None:
    await bench.document("d")
    await bench.document("e")
    ticket = await make(bench.database)
    assert await use(bench.database, ticket, "e") is None
    assert await use(bench.database, ticket) == ADA


async def test_a_ticket_is_good_for_thirty_seconds(bench: Bench) -> None:
    await bench.document("d")
    ticket = await make(bench.database)
    assert await use(bench.database, ticket, now=NOW + 30_000) is None
    assert await use(bench.database, ticket, now=NOW + 29_999) == ADA


async def test_nothing_that_is_kept_is_a_ticket(bench: Bench) -> None:
    await bench.document("d")
    ticket = await make(bench.database)
    row = await bench.database.look_up(lambda connection: connection.execute(select(table)).one())
    assert ticket not in str(row)
    assert await use(bench.database, row.hash) is None


async def test_there_is_none_for_a_document_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await make(bench.database, "nowhere")


async def test_whoever_makes_tickets_without_end_fills_no_table(bench: Bench) -> None:
    await bench.document("d")
    for _ in range(4):
        await make(bench.database)

    def make_later(connection: Connection) -> None:
        tickets.make(connection, "d", ADA, NOW + 30_000)

    for _ in range(4):
        await bench.database.write(make_later)
    count = select(func.count()).select_from(table)
    assert await bench.database.look_up(lambda connection: connection.scalar(count)) == 4


async def test_expired_ones_are_forgotten_some_at_a_time(bench: Bench) -> None:
    await bench.document("d")
    for _ in range(3):
        await make(bench.database)
    assert [await _forget(bench.database, NOW + 29_999), await _forget(bench.database)] == [0, 2]
    assert [await _forget(bench.database), await _forget(bench.database)] == [1, 0]


async def _forget(database: Database, now: int = NOW + 30_000) -> int:
    return await database.write(lambda connection: tickets.forget_expired(connection, now, 2))
