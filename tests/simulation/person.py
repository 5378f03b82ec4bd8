"""Somebody who types: the real client, on a machine of its own, and a random hand."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from collab.backoff import Backoff
from collab.client.connection import Connection
from collab.errors import CloseCode, Forbidden, NotFound, Problem, SessionEnd
from collab.text import Change, Text
from tests.simulation.checks import Broken, Document, Ear, Histories
from tests.simulation.websocket import ClientSocket, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.client.errors import Rejected
    from tests.simulation.access import Access
    from tests.simulation.loop import Machine
    from tests.simulation.network import End

FIRST_TOKEN = 0x4E00
LAST_TOKEN = 0x9FFF
FIRST_PAIR = 0x20000
"""Tokens are characters that are typed once; every fourth takes two units."""


class Tokens:
    """Characters that nobody typed before."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> str:
        self._count += 1
        pair = self._count % 4 == 0
        token = (FIRST_PAIR if pair else FIRST_TOKEN) + self._count
        assert pair or token <= LAST_TOKEN
        return chr(token)


class Person:
    """One editor of one document."""

    def __init__(
        self,
        name: str,
        machine: Machine,
        document: Document,
        histories: Histories,
        tokens: Tokens,
        access: Access,
        note: Callable[[str, str], None],
        failed: Callable[[str], None],
    ) -> None:
        self.name = name
        self.machine = machine
        self.document = document
        self.typing = True
        self.pace_s = 0.5
        self.ends: list[End] = []
        """Its connections, the newest last."""
        self._random = random.Random(f"{name} {machine.clock.random.random()}")
        self._histories = histories
        self._tokens = tokens
        self._access = access
        self._note = note
        self._failed = failed
        self._seen = Text.empty()
        self._typed: list[str] = []
        self.connection = Connection(
            f"ws://{name}/v1/documents/{document.id}/live",
            name,
            Backoff(0.1, 2.0),
            seen=self._see,
            rejected=self._rejected,
        )

    def start(self) -> None:
        self.machine.create_task(self._connect(), name="connection")
        self.machine.create_task(self._type(), name="typing")

    async def _connect(self) -> None:
        try:
            await self.connection.run()
        except (NotFound, SessionEnd) as error:
            ended = isinstance(error, NotFound) or error.close == CloseCode.ACCESS_LOST
            if not ended or not self._access.was_removed(self.document.id, self.name):
                self._failed(f"{self.name} was sent away for good: {error!r}")
            self._access.sent_away(self)
        except Problem as error:
            self._failed(f"{self.name} was sent away for good: {error!r}")

    # -- Its connections ----------------------------------------------------------------------

    async def dial(self, end: End, request: Request) -> ClientSocket:
        replica = self.connection.replica
        in_flight = None if replica.in_flight is None else replica.in_flight.seq
        start = replica.revision, replica.mark
        ear = Ear(self.document, self._histories, start, in_flight)

        def observe(message: str) -> None:
            try:
                note = ear.hear(message)
            except Broken as broken:
                self._failed(f"{self.name}: {broken}")
            else:
                if note is not None:
                    self._note(self.name, note)

        self._note(self.name, f"dials {end.peer.machine.name}: {_asked(request)}")
        self.ends = [*(old for old in self.ends if old.open), end]
        socket = ClientSocket(end, observe)
        end.send(request)
        try:
            await socket.opened
        except BaseException as error:
            self._note(self.name, f"cannot connect: {error!r}")
            socket.close()
            raise
        return socket

    # -- What it types ------------------------------------------------------------------------

    async def _type(self) -> None:
        rng = self._random
        while True:
            await asyncio.sleep(rng.expovariate(1 / self.pace_s))
            if not self.typing or self.connection.limits is None:
                continue
            if self.connection.role in {"viewer", "commenter"} and rng.random() < 0.7:
                continue  # the page shows that they may not
            for _ in range(rng.choice([1, 1, 1, 1, 1, 2, 4])):
                self.edit()
            self.connection.nudge()

    def edit(self) -> None:
        self.check()
        rng, replica = self._random, self.connection.replica
        text = str(replica.text)
        start = rng.randint(0, len(text))
        end, insert = start, ""
        if text and rng.random() < 0.25:
            end = min(len(text), start + rng.randint(1, 4))
        if end == start or rng.random() < 0.4:
            insert = "".join(self._tokens.next() for _ in range(rng.choice([1, 1, 2])))
        before, gone, whole = (_units(part) for part in (text[:start], text[start:end], text))
        change = Change.replace(whole, before, before + gone, insert)
        for token in insert:
            self.document.typed[token] = self.name
            self._typed.append(token)
        self.document.deleted.update(text[start:end])
        replica.edit(change)
        self._seen = change.apply(self._seen)

    def _see(self, change: Change) -> None:
        self._seen = change.apply(self._seen)

    def check(self) -> None:
        """What it was told of the text makes that very text."""
        if self._seen != self.connection.replica.text:
            self._failed(f"{self.name} sees another text than it has")

    def _rejected(self, lost: Rejected) -> None:
        """What was refused stays with its author, and is not in the document (X2)."""
        if not isinstance(lost.refusal, Forbidden):
            self._failed(f"{self.name}: rejected: {lost}")
        before, after = set(str(lost.confirmed)), set(str(lost.text))
        self.document.refused.update(after - before)
        self.document.unsure.update(before - after)
        self._note(self.name, f"may not write, and keeps {len(after - before)} characters")

    # -- How it is ----------------------------------------------------------------------------

    @property
    def text(self) -> str:
        return str(self.connection.replica.text)

    @property
    def at_rest(self) -> bool:
        """Everything is ordered and saved, and it is connected."""
        replica = self.connection.replica
        return self.connection.trouble is None and replica.saved and bool(replica.mark)

    def leave(self) -> None:
        """Close the window, with whatever is not sent yet."""
        replica = self.connection.replica
        if replica.unconfirmed:
            confirmed = set(str(replica.confirmed))
            self.document.unsure.update(token for token in self._typed if token not in confirmed)
            self.document.unsure.update(confirmed - set(self.text))
        self._note(self.name, "leaves")
        self.machine.kill()

    def tell(self) -> str:
        replica = self.connection.replica
        return (
            f"{self.name}: {replica.revision} {replica.mark[:6]} saved {replica.saved_revision}, "
            f"unconfirmed {len(replica.unconfirmed)}, in flight {replica.in_flight}, "
            f"trouble {self.connection.trouble!r}, {len(self.text)} characters"
        )


def _units(text: str) -> int:
    return sum(1 + (ord(character) > 0xFFFF) for character in text)


def _asked(request: Request) -> str:
    return "&".join(
        part for part in request.query.split("&") if part.startswith(("revision", "inflight"))
    )
