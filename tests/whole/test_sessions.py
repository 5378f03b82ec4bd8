"""Whole sessions: people type at once with the real editor, over networks that are late and break.

The editors are the page's own connection and binding over the published `@codemirror/collab`, in
Node; the server is `collab serve` as a process of its own, or there are several over one Redis and
one database, and each connection goes to the next of them. In each session six people type with up
to 150 ms of latency each way; connections are cut at random and resumed, pushes of cut connections
arrive late, fresh starts and marks of no history are thrown in, conflicts are made on purpose. In
the end every editor and the server must have the same text, with everything that was ever typed in
it exactly once.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bench.server import ServerProcess, running
from tests.building import built
from tests.serving import SECRET

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bench.redis import RedisServer
    from tests.postgres import Postgres

SEEDS = "1-12"
SEEDS_OF_SEVERAL = "21-24"
PATIENT = ("--patience", "60000")
PATIENCE_S = 180


async def hold(servers: Sequence[ServerProcess], *options: str) -> Process:
    return await asyncio.create_subprocess_exec(
        "node",
        built("dist-session/session.js"),
        *(f"--server={server.url}" for server in servers),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def result(session: Process) -> tuple[int, str]:
    """The exit status and what was printed: a line per seed, and why it failed."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, _ = await session.communicate()
    finally:
        if session.returncode is None:
            session.kill()
    assert session.returncode is not None
    return session.returncode, out.decode()


@asynccontextmanager
async def sharing(
    folder: Path, count: int, redis: RedisServer, postgres: Postgres
) -> AsyncIterator[list[ServerProcess]]:
    """Servers over one Redis and one PostgreSQL database."""
    async with postgres.database() as url, AsyncExitStack() as stack:
        folders = [folder / str(number) for number in range(count)]
        for each in folders:
            each.mkdir()
        settings = {
            "COLLAB_DATABASE_URL": url,
            "COLLAB_REDIS_URL": redis.url,
            "COLLAB_SECRET": SECRET,
            "COLLAB_HEARTBEAT_S": "3",  # so that people of a dead server are soon gone (A4)
        }
        starting = [stack.enter_async_context(running(each, **settings)) for each in folders]
        yield await asyncio.gather(*starting)


async def test_all_editors_end_with_one_text_and_nothing_is_lost(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        session = await hold([server], "--seeds", SEEDS, "--parallel", "6", *PATIENT)
        status, printed = await result(session)
        assert status == 0, printed
        assert printed.count("  ok  ") == 12


async def test_nothing_is_lost_while_the_server_is_killed_and_restarted(tmp_path: Path) -> None:
    """SIGKILL, five times in the middle: nothing ordered is lost, nothing is doubled."""
    rng = random.Random(5)
    async with running(tmp_path) as server:
        session = await hold(
            [server],
            "--seeds",
            "101-102",
            "--parallel",
            "2",
            "--edits",
            "250",
            *PATIENT,
        )
        ended = asyncio.create_task(result(session))
        for _ in range(5):
            # The time between two kills is what is tested here, not something that is waited for.
            await asyncio.wait([ended], timeout=rng.uniform(0.5, 2))
            assert not ended.done(), "all was typed before the last kill"
            await server.kill()
            await server.start()
        status, printed = await ended
        assert status == 0, printed


@pytest.mark.parametrize("count", [2, 4])
async def test_all_editors_end_with_one_text_whichever_servers_they_come_to(
    tmp_path: Path, redis: RedisServer, postgres: Postgres, count: int
) -> None:
    async with sharing(tmp_path, count, redis, postgres) as servers:
        status, printed = await result(
            await hold(servers, "--seeds", SEEDS_OF_SEVERAL, "--parallel", "4", *PATIENT)
        )
        assert status == 0, printed
        assert printed.count("  ok  ") == 4


async def test_nothing_is_lost_while_one_of_several_servers_is_killed_and_restarted(
    tmp_path: Path, redis: RedisServer, postgres: Postgres
) -> None:
    """SIGKILL, in the middle: the others go on with those who were there."""
    async with sharing(tmp_path, 2, redis, postgres) as servers:
        session = await hold(
            servers, "--seeds", "111-113", "--parallel", "3", "--edits", "120", *PATIENT
        )
        ended = asyncio.create_task(result(session))
        # When it is killed is what is tested here, not something that is waited for.
        await asyncio.wait([ended], timeout=1.5)
        await servers[0].kill()
        await servers[0].start()
        assert not ended.done(), "all was typed before"
        status, printed = await ended
        assert status == 0, printed
