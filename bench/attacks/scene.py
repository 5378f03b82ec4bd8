"""Where an attack takes place: a server, a document with people in it, and how much is done.

Attackers come from addresses of their own, all in 127.0.0.0/8: so what is allowed to one address is
counted for each of them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.live.raw import PATIENCE_S, Raw, upgrade

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from bench.attacks.host import Host

OWNERS_ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Size:
    """How much is done; `settings` are the server's, `COLLAB_…`."""

    half_open: int
    ids: int
    stormers: int
    guesses: int
    pause_s: float
    """The editor's, after each word."""
    before_s: float
    """How long the editor types before each attack, to compare with."""
    at_least_s: float
    """How long an attack goes on, again and again if need be."""
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    status: int
    code: str
    detail: str
    body: Any

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip()


_numbers = itertools.count(256)


def new_address() -> str:
    number = next(_numbers)
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


class Scene:
    """One attack's."""

    def __init__(self, port: int, document_id: str, owner: str, host: Host, size: Size) -> None:
        """`owner` is the token of the document's owner."""
        self.port = port
        self.document_id = document_id
        self.document = f"/v1/documents/{document_id}"
        self.owner = owner
        self.host = host
        self.size = size
        self.address = new_address()

    async def ask(
        self,
        method: str,
        path: str,
        token: str = "",
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        return await ask(self.port, method, path, token, body, headers, self.address)

    async def shake_hands(
        self,
        token: str,
        document: str | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """A handshake, whose connection is dropped if it succeeds."""
        raw = await self.connect()
        path = f"{document or self.document}/live?token={token}&client={secrets.token_urlsafe(16)}"
        raw.send(upgrade(path, self.port, headers))
        return await answer(raw)

    async def connect(self) -> Raw:
        return await Raw.open(self.port, self.address)

    async def join(self, token: str) -> Raw:
        """A session in the document, which has read nothing yet."""
        return await Raw.join(self.port, self.document_id, token, address=self.address)

    async def stranger(self) -> str:
        """The token of somebody who has nothing to do with the document."""
        return await self._guest(self.address)

    async def member(self, role: str = "editor") -> str:
        token = await self._guest(self.address)
        user = (await self.ask("GET", "/v1/me", token)).body["id"]
        path = f"{self.document}/members/{user}"
        given = await self.ask("PUT", path, self.owner, {"role": role})
        assert given.status == 200, given
        return token

    async def _guest(self, address: str) -> str:
        made = await self.ask("POST", "/v1/auth/guest", body={"name": f"Mallory of {address}"})
        token: str = made.body["token"]
        return token


async def ask(
    port: int,
    method: str,
    path: str,
    token: str = "",
    body: Any = None,
    headers: dict[str, str] | None = None,
    address: str = "",
) -> Answer:
    """A call of the REST API; a body that is not bytes is sent as JSON."""
    given = {"Host": f"127.0.0.1:{port}", "Connection": "close", **(headers or {})}
    if token:
        given["Authorization"] = f"Bearer {token}"
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    if data:
        given = {"Content-Type": "application/json", **given, "Content-Length": str(len(data))}
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {given[name]}" for name in given), "", ""]
    raw = await Raw.open(port, address)
    raw.send("\r\n".join(head).encode("latin-1") + data)
    return await answer(raw)


async def answer(raw: Raw) -> Answer:
    """What came over a connection that ends now."""
    status, headers = await raw.answer_head()
    if status == 101:
        await raw.cut()
        return Answer(101, "", "", None)
    async with asyncio.timeout(PATIENCE_S):
        data = await raw.reader.read()
    await raw.cut()
    is_json = headers.get("content-type", "").startswith(("application/json", "application/prob"))
    body = json.loads(data) if is_json and data else data
    if not isinstance(body, dict):
        body = {}
    return Answer(status, body.get("code", ""), body.get("detail", ""), body)


@dataclass(frozen=True)
class Attack:
    name: str
    answer: str
    """What it has to be answered."""
    run: Callable[[Scene], Awaitable[str]]
    """Attacks once. Returns what it was answered, in the same words."""


def in_one(answers: Iterable[object]) -> str:
    """All of several answers, in few words."""
    return ", ".join(dict.fromkeys(map(str, answers)))


def counted(answers: Iterable[object]) -> str:
    """How often which was given."""
    return ", ".join(
        f"{count} x {each}" for each, count in sorted(Counter(map(str, answers)).items())
    )
