"""The load: one process of Node that is all editors (`load/main.js`), as it is seen from here."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bench.peers.install import HERE, node
from bench.peers.processes import on_core
from collab.client import create_document, guest_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.peers.servers import Server
    from bench.peers.workloads import Workload

OPEN_TIMEOUT_S = 120.0
PATIENCE_S = 10.0
"""How long it waits in the end for what is not delivered yet."""
TELL_TIMEOUT_S = 60.0
"""For the last line: it makes the texts before."""

TEXT = "What everybody begins with is a page of text, as it may be.\n" * 20


class Pace(NamedTuple):
    """How long everybody types, in seconds. Nothing counts in the warm-up."""

    warm_up_s: float
    seconds: float


class Times(msgspec.Struct):
    """Times in milliseconds; None where there were none."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    most: float | None


class Window(msgspec.Struct):
    """What happened while it was measured. `due` counts each key once for each other editor."""

    ms: float
    cpu_ms: float
    """Of the load itself."""
    typed: int
    due: int
    delivered: int
    bytes: int
    presences: int


class Told(msgspec.Struct):
    """What the load measured. Except for the window, from the first key to the last delivery."""

    window: Window
    backlog: int
    """Deliveries that were due when the window ended, and had not been made."""
    drain_ms: float
    typed: int
    due: int
    delivered: int
    refusals: int
    late: Times
    """From when a key should have been pressed until it was."""
    heard: Times
    """From each key in the window to other editors, sampled evenly among these."""
    early: Times
    """The same, of keys in its first half."""
    later: Times
    wrong: str | None
    """What is wrong with the texts that two editors have in the end."""


class Used(NamedTuple):
    """What the server's processes used in the window, and have at its end."""

    cpu_s: float
    rss_bytes: int


async def load(
    server: Server,
    workload: Workload,
    pace: Pace,
    core: int | None,
    on_window: Callable[[], None] = lambda: None,
) -> tuple[Told, Used]:
    """Let everybody type. `on_window` is called when it begins to be measured.

    Raises RuntimeError where a session ended or the server misbehaved.
    """
    plan = await _plan(server, workload, pace)
    main = str(HERE / "load" / "main.js")
    with on_core(core):
        process = await asyncio.create_subprocess_exec(
            node(), main, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan).encode())
        process.stdin.close()
        await _line(process, OPEN_TIMEOUT_S)
        await _line(process, pace.warm_up_s + TELL_TIMEOUT_S)
        on_window()
        cpu_s = server.tree.cpu_s
        await _line(process, pace.seconds + TELL_TIMEOUT_S)
        used = Used(server.tree.cpu_s - cpu_s, server.tree.rss_bytes)
        told = await _line(process, PATIENCE_S + TELL_TIMEOUT_S)
        return msgspec.json.decode(told, type=Told), used
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _plan(server: Server, workload: Workload, pace: Pace) -> dict[str, object]:
    names = [f"document-{number}" for number in range(workload.documents)]
    token = ""
    if server.name == "collab":
        token = await guest_token(server.url, "Load")
        names = [await create_document(server.url, token, name, TEXT) for name in names]
    return {
        "server": server.name,
        "port": server.port,
        "token": token,
        "documents": names,
        "text": TEXT,
        "typists": workload.typists,
        "readers": workload.readers,
        "per_second": workload.per_second,
        "presence_hz": workload.presence_hz,
        "warm_up_s": pace.warm_up_s,
        "seconds": pace.seconds,
        "patience_s": PATIENCE_S,
    }


async def _line(process: asyncio.subprocess.Process, timeout_s: float) -> bytes:
    """What it prints next. Raises RuntimeError with its last words if it ends instead."""
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(timeout_s):
        line = await process.stdout.readline()
        if not line:
            words = (await process.stderr.read()).decode()
            raise RuntimeError(f"the load ended: {_last_words(words)}")
    return line


def _last_words(words: str) -> str:
    errors = [line for line in words.splitlines() if "Error:" in line]
    return errors[0] if errors else words[-500:]
