"""`collab serve --workers`, with real workers, Redis and PostgreSQL: what people type survives."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from collab.client import Backoff, connect, create_document, guest_token, read_text
from tests.test_cli import PATIENCE_S, ended, serving

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from bench.redis import RedisServer
    from collab.client import Editor
    from tests.postgres import Postgres

WORKERS = 2
EDITORS = 4
KEYSTROKES_S = 0.1
"""Between two words of one editor: processes that start need the processor, too."""


@asynccontextmanager
async def working(
    folder: Path, postgres: Postgres, redis: RedisServer
) -> AsyncIterator[tuple[Process, str]]:
    """A supervisor with its workers, and their address."""
    async with (
        postgres.database() as database,
        serving(
            folder,
            COLLAB_WORKERS=str(WORKERS),
            COLLAB_DATABASE_URL=database,
            COLLAB_REDIS_URL=redis.url,
        ) as served,
    ):
        yield served


class Typist:
    """Types until it is told to stop, each time a word that nobody else types."""

    def __init__(self, editor: Editor, number: int) -> None:
        self.typed: list[str] = []
        self._editor = editor
        self._number = number

    async def run(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait(), name="stopped")
        while not stopped.done():
            word = f"<{self._number}.{len(self.typed)}>"
            self.typed.append(word)
            self._editor.insert(0, word)
            await self._editor.confirmed(PATIENCE_S)
            await asyncio.wait([stopped], timeout=KEYSTROKES_S)
        await self._editor.saved(PATIENCE_S)


async def test_typing_through_a_rolling_restart_and_a_killed_worker_loses_nothing(
    tmp_path: Path, postgres: Postgres, redis: RedisServer
) -> None:
    async with working(tmp_path, postgres, redis) as (process, url), AsyncExitStack() as stack:
        token = await guest_token(url, "Ada")
        document = await create_document(url, token, "Notes")
        typists = []
        for number in range(EDITORS):
            backoff = Backoff(first_s=0.05, max_s=1.0)
            editor = await stack.enter_async_context(
                connect(url, document, token=token, backoff=backoff)
            )
            typists.append(Typist(editor, number))
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for each in typists:
                tasks.create_task(each.run(stop), name="typist")
            process.send_signal(signal.SIGHUP)
            await logged(process, "the rolling restart is done")
            os.kill(workers(process)[0], signal.SIGKILL)
            await logged(process, "a worker ended and is started again")
            stop.set()
        text = await read_text(url, token, document)
        for each in typists:
            assert [text.count(word) for word in each.typed] == [1] * len(each.typed)
        await stack.aclose()
        process.send_signal(signal.SIGTERM)
        code, out, _ = await ended(process)
        assert (code, out) == (0, "")


async def logged(process: Process, what: str) -> None:
    """Wait until a line of the log says so."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while what not in (line := (await process.stderr.readline()).decode()):
            assert line, "the log ended"


def workers(process: Process) -> list[int]:
    """The process IDs of a supervisor's children."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]
