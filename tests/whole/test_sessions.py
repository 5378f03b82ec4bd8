"""Whole sessions: people type at once with the real editor, over networks that are late and break.

The editors are the page's own connection and binding over the published `@codemirror/collab`, in
Node; the server is `collab serve` as a process of its own. In each session six people type with up
to 150 ms of latency each way; connections are cut at random and resumed, pushes of cut connections
arrive late, fresh starts and marks of no history are thrown in, conflicts are made on purpose. In
the end every editor and the server must have the same text, with everything that was ever typed in
it exactly once.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from bench.server import ServerProcess, running
from tests.building import built

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path

SEEDS = "1-20"
PATIENCE_S = 180


async def hold(server: ServerProcess, *options: str) -> Process:
    return await asyncio.create_subprocess_exec(
        "node",
        built("dist-session/session.js"),
        "--server",
        server.url,
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


async def test_all_editors_end_with_one_text_and_nothing_is_lost(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        status, printed = await result(await hold(server, "--seeds", SEEDS, "--parallel", "10"))
        assert status == 0, printed
        assert printed.count("  ok  ") == 20


async def test_nothing_is_lost_while_the_server_is_killed_and_restarted(tmp_path: Path) -> None:
    """SIGKILL, five times in the middle: nothing ordered is lost, nothing is doubled."""
    rng = random.Random(5)
    async with running(tmp_path) as server:
        session = await hold(
            server, "--seeds", "101-104", "--parallel", "4", "--edits", "250", "--patience", "60000"
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
