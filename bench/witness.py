"""A well-behaved editor in a process of its own, so that nobody's work but the server's delays it.

    python -m bench.witness URL DOCUMENT PAUSE

The first line of standard input is its token. It types a word at a time at the end of the text, and
pauses for so many seconds;
each further line asks for the times since the one before, from each push until it came back, in
seconds and JSON. At the end of the input it stops, and tells how many words it typed. A refused
push or a lost connection is an error: nothing may happen to it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvloop

from bench.author import author

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.author import Author

PATIENCE_S = 30.0


def word(number: int) -> str:
    return f"<{number}>"


class Witness:
    """The process, as seen from another."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def times(self) -> list[float]:
        """Those of each push since they were last asked for, a few at least."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        times: list[float] = json.loads(await self._line())
        return times

    async def stop(self) -> int:
        """Let it finish. Returns how many words it has typed; all came back. Raises RuntimeError
        if anything happened to it.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        typed: int = json.loads(await self._line())
        return typed

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the editor's session has ended")
        return line


@asynccontextmanager
async def witness(url: str, document_id: str, token: str, pause_s: float) -> AsyncIterator[Witness]:
    """One who types from here on."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.witness", url, document_id, str(pause_s)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(token.encode() + b"\n")
        one = Witness(process)
        await one.times()  # it is there
        yield one
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def main(url: str, document_id: str, pause_s: str) -> None:
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin
    )
    token = (await stdin.readline()).decode().strip()
    async with author(url, document_id, token, secrets.token_urlsafe(16)) as one:
        typed, asked = 0, asyncio.create_task(stdin.readline(), name="asked")
        while not asked.done() or asked.result():
            await _type(one, word(typed))
            typed += 1
            if asked.done() and asked.result() and one.latencies_s:
                print(json.dumps(one.latencies_s), flush=True)
                one.latencies_s.clear()
                asked = asyncio.create_task(stdin.readline(), name="asked")
            await asyncio.sleep(float(pause_s))
    print(typed, flush=True)


async def _type(one: Author, typed: str) -> None:
    length = len(one.text())
    put = [0, typed]
    await one.push([json.dumps([length, put] if length else [put]).encode()])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
