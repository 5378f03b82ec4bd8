"""Attacks by connections that take their time, and never get anywhere."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from bench.attacks.scene import Attack, Scene, counted, in_one, new_address
from bench.author import author
from tests.live.raw import frame, upgrade

if TYPE_CHECKING:
    from tests.live.raw import Raw

PATIENCE_S = 120.0
PASTE = "x" * 60_000
PASTES_PER_S = 3
CONNECTING_AT_ONCE = 100
OF_ONE_ADDRESS = 100
BYTES_EVERY_S = 1.0


async def never_reads(scene: Scene) -> str:
    """Somebody else pastes and deletes, and one session, which sends its beats, reads
    nothing of it (U4).
    """
    reader = await scene.join(await scene.member())
    url = f"http://127.0.0.1:{scene.port}"
    stall_s = float(scene.size.settings["COLLAB_STALL_S"])
    member, client_id = await scene.member(), secrets.token_urlsafe(16)
    async with (
        author(url, scene.document_id, member, client_id) as other,
        asyncio.TaskGroup() as tasks,
    ):
        beating = tasks.create_task(_beat(reader), name="beats")
        # What is read by nobody is noticed when it has not moved for so long.
        for _ in range(round(2 * stall_s * PASTES_PER_S)):
            length = len(other.text())
            paste = [length, [0, PASTE]] if length else [[0, PASTE]]
            await other.push([json.dumps(paste).encode()])
            # Somebody else may have written there before.
            text = str(other.text())
            start = text.index(PASTE)
            after = len(text) - start - len(PASTE)
            sections = [start, [len(PASTE)], after]
            change = [section for section in sections if section != 0]
            await other.push([json.dumps(change).encode()])
            await asyncio.sleep(1 / PASTES_PER_S)
        beating.cancel()
    code, _ = await reader.closed()
    return f"close {code}"


async def _beat(session: Raw) -> None:
    """However long others take."""
    while True:
        session.send_message({"type": "beat"})
        await asyncio.sleep(1 / PASTES_PER_S)


async def a_byte_a_second(scene: Scene) -> str:
    """The head of a handshake, the body of a request, and a message of a session."""
    live = upgrade(f"{scene.document}/live?token=x&client={'c' * 16}", scene.port)
    head = b"POST /v1/auth/guest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    answers = []
    for begun, slow in (
        (b"", live),
        (head + b"Content-Length: 60\r\n\r\n", b'{"name":' + b" " * 52),
    ):
        raw = await scene.connect()
        raw.send(begun)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_trickle(raw, slow), name="a byte a second")
            status, _ = await raw.answer_head()
            sending.cancel()
        answers.append(str(status))
        await raw.cut()
    session = await scene.join(await scene.member())
    async with asyncio.TaskGroup() as tasks:
        said = frame(1, b'{"type":"beat"' + b" " * 100)
        sending = tasks.create_task(_trickle(session, said), name="a byte a second")
        code, _ = await session.closed()
        sending.cancel()
    return in_one([*answers, f"close {code}"])


async def _trickle(raw: Raw, data: bytes) -> None:
    with suppress(ConnectionError):
        for byte in data:
            raw.send(bytes([byte]))
            await asyncio.sleep(BYTES_EVERY_S)


# -- Half-open handshakes --------------------------------------------------------------------------


class _HalfOpen(asyncio.Protocol):
    """Begins a handshake and leaves it at that. `answers` gets what it was told in the end."""

    def __init__(self, answers: list[str], all_ended: asyncio.Event, most: int) -> None:
        self._answers = answers
        self._all_ended = all_ended
        self._most = most
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclass of it.
        writable = cast("asyncio.Transport", transport)
        writable.write(b"GET /v1/documents/x/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n")

    def data_received(self, data: bytes) -> None:
        self._heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        status = self._heard.split(b" ", 2)[1:2]
        self._answers.append(status[0].decode() if status else "cut")
        if len(self._answers) == self._most:
            self._all_ended.set()


async def _half_open(scene: Scene, addresses: list[str]) -> list[str]:
    """One handshake from each of these, all of them open together until the server ends each."""
    loop = asyncio.get_running_loop()
    answers: list[str] = []
    all_ended = asyncio.Event()
    at_once = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def begin(address: str) -> None:
        async with at_once:
            await loop.create_connection(
                lambda: _HalfOpen(answers, all_ended, len(addresses)),
                "127.0.0.1",
                scene.port,
                local_addr=(address, 0),
            )

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*map(begin, addresses))
        await all_ended.wait()
    return answers


async def half_open_of_many(scene: Scene) -> str:
    """So few of each address that all are waited for."""
    many = scene.size.half_open
    of_address = (itertools.repeat(new_address(), OF_ONE_ADDRESS) for _ in itertools.count())
    addresses = list(itertools.islice(itertools.chain.from_iterable(of_address), many))
    return in_one(await _half_open(scene, addresses))


async def half_open_of_one(scene: Scene) -> str:
    """Of too many, the oldest give way; the others are waited for."""
    answers = await _half_open(scene, [scene.address] * scene.size.half_open)
    waited_for = int(scene.size.settings["COLLAB_MAX_HALF_OPEN"])
    assert answers.count("408") <= waited_for, counted(answers)
    return in_one(sorted(answers, reverse=True))


ATTACKS = [
    Attack("a socket that never reads", "close 4410", never_reads),
    Attack("one byte a second", "408, close 4408", a_byte_a_second),
    Attack("half-open handshakes, of many addresses", "408", half_open_of_many),
    Attack("half-open handshakes, of one address", "cut, 408", half_open_of_one),
]
