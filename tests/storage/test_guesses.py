"""How often a password may be guessed, by however many servers the guesses come."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from collab.errors import TooMany
from collab.storage.database import database_at
from collab.storage.guesses import Allowance, Guessed, Guessing
from collab.storage.tables import guesses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from collab.storage.database import Database

ALLOWANCES = {
    Guessed.USERNAME: Allowance(3, every_s=60),
    Guessed.ADDRESS: Allowance(5, every_s=0.5),
}


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ms


class Site:
    """Servers on one database, each with its clock."""

    def __init__(self, databases: list[Database]) -> None:
        self.clocks = [Clock() for _ in databases]
        self.servers = [
            Guessing(database, ALLOWANCES, clock)
            for database, clock in zip(databases, self.clocks, strict=True)
        ]
        self.database = databases[0]

    def later(self, seconds: float) -> None:
        for clock in self.clocks:
            clock.now_ms += round(seconds * 1000)

    async def rows(self) -> int:
        counted = select(func.count()).select_from(guesses)
        return await self.database.look_up(lambda c: c.scalar(counted)) or 0


@asynccontextmanager
async def site(url: str, servers: int = 2) -> AsyncIterator[Site]:
    databases = [database_at(url, shared=True) for _ in range(servers)]
    try:
        for database in databases:
            await database.start()
        await databases[0].migrate()
        yield Site(databases)
    finally:
        for database in databases:
            await database.close()


async def wait_s(server: Guessing, subject: str, kind: Guessed = Guessed.USERNAME) -> float:
    """Take one. Returns 0, or how long to wait."""
    try:
        await server.take(kind, subject)
    except TooMany as error:
        return (error.retry_after_ms or 0) / 1000
    return 0


async def test_there_are_so_many_at_once_and_again_one_after_a_time(url: str) -> None:
    async with site(url, 1) as made:
        (server,) = made.servers
        assert [await wait_s(server, "ada") for _ in range(4)] == [0, 0, 0, 60]
        made.later(45)
        assert await wait_s(server, "ada") == 15
        made.later(15)
        assert [await wait_s(server, "ada") for _ in range(2)] == [0, 60]
        made.later(3600)
        assert [await wait_s(server, "ada") for _ in range(4)] == [0, 0, 0, 60]


async def test_each_subject_has_its_own(url: str) -> None:
    async with site(url, 1) as made:
        (server,) = made.servers
        assert [await wait_s(server, "ada") for _ in range(4)] == [0, 0, 0, 60]
        assert await wait_s(server, "bob") == 0
        assert [await wait_s(server, "ada", Guessed.ADDRESS) for _ in range(6)] == [*[0] * 5, 0.5]


async def test_who_guessed_right_has_the_whole_allowance_again(url: str) -> None:
    async with site(url, 1) as made:
        (server,) = made.servers
        assert [await wait_s(server, "ada") for _ in range(4)] == [0, 0, 0, 60]
        await made.database.write(lambda c: server.give_back(c, Guessed.USERNAME, "ada"))
        assert [await wait_s(server, "ada") for _ in range(4)] == [0, 0, 0, 60]


async def test_guesses_at_the_same_moment_on_two_servers_all_count(url: str) -> None:
    async with site(url) as made:
        taken = await asyncio.gather(
            *(wait_s(server, "ada") for _ in range(10) for server in made.servers)
        )
        assert sorted(taken) == [*[0] * 3, *[60] * 17]


async def test_a_server_whose_clock_is_behind_neither_gives_nor_takes_more(url: str) -> None:
    async with site(url) as made:
        early, late = made.servers
        made.clocks[1].now_ms += 30_000
        assert [await wait_s(late, "ada") for _ in range(2)] == [0, 0]
        assert [await wait_s(early, "ada") for _ in range(2)] == [0, 60]
        assert await wait_s(late, "ada") == 60


@pytest.mark.parametrize("seconds", [0, 179])
async def test_an_allowance_that_is_not_full_is_not_forgotten(url: str, seconds: float) -> None:
    async with site(url, 1) as made:
        (server,) = made.servers
        for _ in range(3):
            await server.take(Guessed.USERNAME, "ada")
        made.later(seconds)
        assert await made.database.write(lambda c: server.forget_full(c, 10)) == 0
        assert await made.rows() == 1


async def test_what_is_full_again_is_forgotten_some_at_a_time(url: str) -> None:
    async with site(url, 1) as made:
        (server,) = made.servers
        for n in range(3):
            await server.take(Guessed.USERNAME, f"user {n}")
        made.later(180)
        assert await made.database.write(lambda c: server.forget_full(c, 2)) == 2
        assert await made.database.write(lambda c: server.forget_full(c, 2)) == 1
        assert await made.rows() == 0


async def test_no_row_tells_what_was_guessed(url: str) -> None:
    async with site(url, 1) as made:
        await made.servers[0].take(Guessed.USERNAME, "ada")
        (row,) = await made.database.look_up(lambda c: c.execute(select(guesses)).all())
        assert "ada" not in str(row)
