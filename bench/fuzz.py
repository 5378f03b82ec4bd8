"""Attacks a real server with random messages, while a good editor types in the same document.

python -m bench.fuzz --messages 200000 --seed 7

Sessions come and send what `bench.fuzz_messages` makes; whoever is closed comes back. Prints how
often each answer came. Fails if a session ended in a way that the protocol does not know, if the
server logged an error, or if the good editor's text is not the server's in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.fuzz_messages import LIMITS, Hostile, Place
from bench.server import running
from collab import client
from tests.live.raw import CLOSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.client import ClientConnection

    from collab.client import Editor

ATTACKERS = 16
PATIENCE_S = 30.0
SWALLOWED_S = 1.0
"""How long a pong may take, before what was sent is taken for the beginning of something longer."""
TYPING_PAUSE_S = 0.01
LONG_UNITS = 10_000
WRITTEN = "Ein Satz, den jemand in Ruhe schreibt 😀. "

EXPECTED_CLOSES = {1002, 1007, 1009, 4400, 4401, 4429}
"""How the server ends an attacker's session, but for closes that it was sent and sends back."""
EXPECTED_STATUSES = {400, 401}


class Unexpected(AssertionError):
    """The server answered as the protocol does not say."""


class Attack:
    """Many attackers of one document. `answers` counts what they were answered."""

    def __init__(self, url: str, document_id: str, token: str, seed: int) -> None:
        self.answers: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._live = f"{url.replace('http', 'ws', 1)}/v1/documents/{document_id}/live"
        self._token = token
        self._random = Random(seed)
        self._hostile = Hostile(self._random)
        self._left = 0

    async def run(self, messages: int) -> None:
        """Send so many messages. Raises `Unexpected`."""
        self._left = messages
        async with asyncio.TaskGroup() as attackers:
            for number in range(ATTACKERS):
                attackers.create_task(self._attacker(), name=f"attacker {number}")

    async def _attacker(self) -> None:
        while self._left > 0:
            try:
                connection = await self._come()
            except InvalidStatus as refused:
                status = refused.response.status_code
                self.answers[f"handshake {status}"] += 1
                if status not in EXPECTED_STATUSES:
                    raise Unexpected(f"a handshake was answered {status}") from refused
                continue
            await self._session(connection)

    async def _come(self) -> ClientConnection:
        random = self._random
        query: dict[str, Any] = {"token": self._token, "client": secrets.token_urlsafe(16)}
        if random.random() < 0.1:
            name = random.choice(("token", "client", "revision", "mark", "inflight"))
            query[name] = random.choice(
                ("", "x", "-1", "0", "7", "2e9", "x" * 50, "\0", "é", 2**53)
            )
        return await connect(
            f"{self._live}?{urlencode(query)}",
            max_size=None,
            max_queue=None,
            compression=None,
            ping_interval=None,
            close_timeout=PATIENCE_S,
            proxy=None,
        )

    async def _session(self, connection: ClientConnection) -> None:
        """Send until the server ends it, or cut it."""
        session = _Session(connection, self._token, self.answers)
        reading = asyncio.create_task(session.read(), name="attacker reads")
        try:
            await session.welcomed()
            while self._left > 0 and not session.over:
                self._left -= 1
                kind, data, answered = self._hostile.message(session.place)
                self.sent[kind] += 1
                await session.send(data, answered=answered)
        finally:
            session.cut()
            async with asyncio.timeout(PATIENCE_S):
                await reading


class _Session:
    """One connection of an attacker, and where it stands."""

    def __init__(self, connection: ClientConnection, token: str, answers: Counter[str]) -> None:
        self.place = Place(0, 0, token)
        self.over = False
        self._connection = connection
        self._answers = answers
        self._moved = asyncio.Event()
        self._answered = False
        self._name = ""
        self._said_goodbye = False
        self._cut = False

    async def welcomed(self) -> None:
        await self._until(lambda: bool(self._name))

    async def send(self, data: bytes, *, answered: bool) -> None:
        """Send, wait until it was taken, and a push until it is answered. Raises `Unexpected`."""
        self._answered = False
        self._said_goodbye = data[0] & 0x0F == CLOSE
        self._connection.transport.write(data)
        with suppress(ConnectionClosed):
            pong = await self._connection.ping()
            try:
                async with asyncio.timeout(SWALLOWED_S):
                    await pong
            except TimeoutError:
                self.cut()
        if answered:
            await self._until(lambda: self._answered)

    def cut(self) -> None:
        """Lose the connection without a word, if it is not closed."""
        self._cut = self._cut or not self.over
        self.over = True
        self._connection.transport.abort()

    async def _until(self, reached: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not reached() and not self.over:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise Unexpected("a message was never answered") from None

    async def read(self) -> None:
        """Hear what comes, until the end. Raises `Unexpected`."""
        try:
            async for data in self._connection:
                self._hear(json.loads(data))
                self._moved.set()
        except ConnectionClosed:
            pass
        finally:
            self.over = True
            self._moved.set()
        code = self._connection.close_code
        if self._cut:
            self._answers["(cut by the attacker)"] += 1
        elif self._said_goodbye:
            self._answers["(closed by the attacker)"] += 1
        else:
            self._answers[f"close {code}"] += 1
            if code not in EXPECTED_CLOSES:
                raise Unexpected(f"a session ended with {code} {self._connection.close_reason}")

    def _hear(self, message: dict[str, Any]) -> None:
        place = self.place
        match message["type"]:
            case "welcome":
                self._name = message["client"]
                place.revision = message["revision"]
                place.length = units(message["text"])
            case "updates":
                for client_name, _, change in message["updates"]:
                    place.length += grown(change)
                    place.revision += 1
                    if client_name == self._name:
                        self._answered = True
                        self._answers["ordered"] += 1
            case "refused":
                self._answered = True
                self._answers[f"refused {message['code']}"] += 1


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def grown(change: list[Any]) -> int:
    """How much longer a change makes a text."""
    return sum(
        units("\n".join(section[1:])) - section[0]
        for section in change
        if isinstance(section, list)
    )


async def type_on(editor: Editor, attack: asyncio.Task[None]) -> int:
    """What a good editor does while the attack goes on. Returns how often it typed."""
    random, typed = Random(0), 0
    while not attack.done():
        length = len(editor.text)
        if length > LONG_UNITS:
            editor.delete(0, length)
        else:
            editor.insert(random.choice((0, length)), random.choice(WRITTEN))
        await editor.confirmed(PATIENCE_S)
        typed += 1
        await asyncio.sleep(TYPING_PAUSE_S)
    return typed


async def besiege(url: str, messages: int, seed: int) -> tuple[Attack, int, str]:
    """Attack a new document while somebody types in it. Returns how often they did, and
    the document. Raises `Unexpected`.
    """
    good = await client.guest_token(url, "Good")
    document_id = await client.create_document(url, good, "Under attack", WRITTEN)
    attack = Attack(url, document_id, await client.guest_token(url, "Mallory"), seed)
    async with client.connect(url, document_id, token=good) as editor:
        attacking = asyncio.create_task(attack.run(messages), name="attack")
        try:
            typed = await type_on(editor, attacking)
        finally:
            attacking.cancel()
            await asyncio.wait([attacking])
        attacking.result()
        editor.insert(0, "The end. ")  # whatever was ordered before is here when this is
        await editor.saved(PATIENCE_S)
        if str(editor.text) != await client.read_text(url, good, document_id):
            raise Unexpected("the good editor's text is not the server's")
    return attack, typed, document_id


async def main(messages: int, seed: int) -> int:
    settings = {f"COLLAB_{name.upper()}": str(value) for name, value in LIMITS.items()}
    with tempfile.TemporaryDirectory() as data_dir:
        async with running(Path(data_dir), **settings) as server:
            started = perf_counter()
            attack, typed, _ = await besiege(server.url, messages, seed)
            took_s = perf_counter() - started
            figures = server.cpu_s, server.peak_rss_bytes
            code = await server.stop()
            errors = [line for line in server.log.read_text().splitlines() if _is_error(line)]
    for title, counts in (("sent", attack.sent), ("answered", attack.answers)):
        print(f"{title}:")
        for what, count in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"  {count:9,}  {what}")
    print(f"the good editor typed {typed:,} times, and ends equal with the server")
    print(f"{took_s:.0f} s; the server took {figures[0]:.0f} s and {figures[1] / 2**20:.0f} MiB")
    print(f"it ended with {code}; errors in its log: {len(errors)}")
    print(*errors[:20], sep="\n")
    return 1 if code or errors else 0


def _is_error(line: str) -> bool:
    return any(mark in line for mark in ('"error"', '"critical"', "Traceback", "[error"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.messages, options.seed)))
