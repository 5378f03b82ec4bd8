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
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import jwt
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State

from bench.attacks.host import publishing
from bench.attacks.scene import ask
from bench.fuzz_messages import LIMITS, Hostile, Place
from bench.server import running
from collab import client
from tests.live.raw import CLOSE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from websockets.asyncio.client import ClientConnection

    from bench.attacks.host import Host
    from collab.client import Editor

ATTACKERS = 16
PATIENCE_S = 30.0
SWALLOWED_S = 1.0
"""How long a pong may take, before what was sent is taken for the beginning of something longer."""
TYPING_PAUSE_S = 0.01
LONG_UNITS = 10_000
WRITTEN = "Ein Satz, den jemand in Ruhe schreibt 😀. "

EXPECTED_CLOSES = {1002, 1007, 1009, 4400, 4401, 4403, 4409, 4429}
"""How the server ends an attacker's session, but for closes that it was sent and sends back."""
EXPECTED_STATUSES = {400, 401, 403, 404, 503}
"""How it refuses a handshake: 503 where a newer session of the same client has come."""

CHANGES_PER_S = 5.0
"""How often somebody's role changes."""


class Unexpected(AssertionError):
    """The server answered as the protocol does not say."""


@dataclass(frozen=True)
class Cast:
    """Who attacks. `members` are tokens by the user's id, of the owner and of one for each role;
    `others` are tokens that were valid once, or that no member may go on with.
    """

    members: dict[str, str]
    others: Sequence[str]


class Attack:
    """Many attackers of one document. `answers` counts what they were answered."""

    def __init__(self, url: str, document_id: str, cast: Cast, seed: int) -> None:
        self.answers: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._port = urlsplit(url).port or 80
        self._path = f"/v1/documents/{document_id}"
        self._live = f"{url.replace('http', 'ws', 1)}{self._path}/live"
        self._cast = cast
        self._random = Random(seed)
        self._hostile = Hostile(self._random)
        self._clients = [secrets.token_urlsafe(16) for _ in range(ATTACKERS)]
        self._places: list[tuple[int, str, int]] = [(0, "", 0)]  # revision, mark, length
        self._left = 0

    async def run(self, messages: int) -> None:
        """Send so many messages. Raises `Unexpected`."""
        self._left = messages
        async with asyncio.TaskGroup() as attackers:
            for number in range(ATTACKERS):
                attackers.create_task(self._attacker(), name=f"attacker {number}")
            attackers.create_task(self._change_roles(), name="roles change")

    async def _change_roles(self) -> None:
        """Let the owner take roles and give others, while there is anything to send."""
        (_, owner), *others = self._cast.members.items()
        while self._left > 0:
            user, _ = self._random.choice(others)
            role = self._random.choice(("editor", "editor", "commenter", "viewer", None))
            member, given = f"{self._path}/members/{user}", {"role": role}
            if role is None:
                await ask(self._port, "DELETE", member, owner)
            else:
                await ask(self._port, "PUT", member, owner, given)
            await asyncio.sleep(1 / CHANGES_PER_S)

    async def _attacker(self) -> None:
        while self._left > 0:
            self._left -= 1  # a handshake is a message, too
            self.sent["handshake"] += 1
            asked = await self._handshake()
            try:
                connection = await self._come(asked)
            except InvalidStatus as refused:
                status = refused.response.status_code
                self.answers[f"handshake {status}"] += 1
                if status not in EXPECTED_STATUSES:
                    raise Unexpected(f"a handshake was answered {status}") from refused
                continue
            await self._session(connection, asked)

    async def _handshake(self) -> _Asked:
        """Mostly as it should be: anybody's token in any of its forms, fresh or resumed."""
        random = self._random
        token = random.choice(list(self._cast.members.values()))
        given = token if random.random() < 0.9 else random.choice((*self._cast.others, "x", ""))
        query: dict[str, Any] = {"client": secrets.token_urlsafe(16)}
        if random.random() < 0.2:
            query["client"] = random.choice(self._clients)
        headers: dict[str, str] = {}
        match random.randrange(6):
            case 0:
                headers["Authorization"] = f"{random.choice(('Bearer', 'bearer'))} {given}"
            case 1:
                made = await ask(self._port, "POST", f"{self._path}/tickets", given)
                query["token"] = made.body.get("ticket", given)
                self.answers[f"ticket {made.status}"] += 1
            case _:
                query["token"] = given
        length = 0
        if random.random() < 0.3:
            query["revision"], query["mark"], length = random.choice(self._places)
        if random.random() < 0.2:
            query["inflight"] = random.choice((0, 1, 7, 2**20, 2**53 - 1))
        if random.random() < 0.1:
            name = random.choice(("token", "client", "revision", "mark", "inflight", "unheard"))
            query[name] = random.choice(
                ("", "x", "-1", "0", "7", "2e9", "x" * 50, "\0", "é", 2**53)
            )
        if random.random() < 0.02:
            headers["Origin"] = random.choice(("null", "https://elsewhere.example"))
        return _Asked(token, query, headers, length)

    async def _come(self, asked: _Asked) -> ClientConnection:
        return await connect(
            f"{self._live}?{urlencode(asked.query)}",
            additional_headers=asked.headers,
            max_size=None,
            max_queue=None,
            compression=None,
            ping_interval=None,
            close_timeout=PATIENCE_S,
            proxy=None,
        )

    async def _session(self, connection: ClientConnection, asked: _Asked) -> None:
        """Send until the server ends it, or cut it."""
        place = Place(0, asked.length, asked.token, self._cast.others)
        session = _Session(connection, place, self.answers)
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
        self._places = [*self._places, (place.revision, session.mark, place.length)][-ATTACKERS:]


@dataclass(frozen=True)
class _Asked:
    """A handshake. `length` is that of the text where it resumes."""

    token: str
    query: dict[str, Any]
    headers: dict[str, str]
    length: int


class _Session:
    """One connection of an attacker, and where it stands."""

    def __init__(self, connection: ClientConnection, place: Place, answers: Counter[str]) -> None:
        self.place = place
        self.mark = ""
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
        if self._connection.state is not State.OPEN:
            await self._until(lambda: self.over)  # the server was quicker
            return
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
                self.mark = message["mark"]
                if "text" in message:
                    place.length = units(message["text"])
            case "updates":
                self.mark = message["mark"]
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


def strange_tokens(secret: str, host: Host) -> list[str]:
    """Tokens that expired, and a host application's: of a user who is nobody here, and of one who
    may read everything.
    """
    before = int(time.time()) - 60
    expired = {"iss": "collab", "aud": "collab", "sub": "mallory", "name": "M", "guest": True}
    return [
        jwt.encode({**expired, "exp": before}, secret, "HS256"),
        host.token(exp=before),
        host.token(),
        host.token(sub="reader", collab_roles={"*": "viewer"}),
    ]


async def _cast(url: str, document_id: str, owner: str, strange: Sequence[str]) -> Cast:
    """Members of every role, and besides the strange tokens one that was revoked."""
    port, members = urlsplit(url).port or 80, {"owner": owner}
    for role in ("editor", "editor", "commenter", "viewer"):
        token = await client.guest_token(url, "Mallory")
        user = (await ask(port, "GET", "/v1/me", token)).body["id"]
        path = f"/v1/documents/{document_id}/members/{user}"
        assert (await ask(port, "PUT", path, owner, {"role": role})).status == 200
        members[user] = token
    revoked = await client.guest_token(url, "Mallory")
    await ask(port, "POST", "/v1/auth/logout", revoked)
    return Cast(members, [*strange, revoked])


async def besiege(
    url: str, messages: int, seed: int, strange: Sequence[str]
) -> tuple[Attack, int, str]:
    """Attack a new document while somebody types in it. Returns how often they did, and
    the document. Raises `Unexpected`.
    """
    good = await client.guest_token(url, "Good")
    document_id = await client.create_document(url, good, "Under attack", WRITTEN)
    cast = await _cast(url, document_id, good, strange)
    attack = Attack(url, document_id, cast, seed)
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
    secret = settings["COLLAB_SECRET"] = secrets.token_urlsafe(48)
    with tempfile.TemporaryDirectory() as data_dir:
        async with (
            publishing() as host,
            running(Path(data_dir), **settings, **host.settings) as server,
        ):
            started = perf_counter()
            strange = strange_tokens(secret, host)
            attack, typed, _ = await besiege(server.url, messages, seed, strange)
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
