"""A typist for measurements: one letter after another at a steady rate; what it hears is timed.

Everybody in its document types single letters and nothing else. So a revision is a letter, the
length of the text follows from the revision, and no change has to be looked into.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import asynccontextmanager
from itertools import groupby
from operator import itemgetter
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, TypeAlias

from bench.author import session
from collab.client import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from websockets.asyncio.client import ClientConnection

Keys: TypeAlias = dict[tuple[str, int], list[float]]
"""For each push, by client and seq, when its keys were pressed."""

SETTLE_S = 30.0


class Times:
    """What was measured, in seconds. One may be shared by all typists of a load."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        """From a key that somebody pressed until another editor had its letter, each of them."""
        self.ordered: list[float] = []
        """From the sending of a push until it came back (P3)."""
        self.saved: list[float] = []
        """From the sending of a push until it was heard to be saved (S1)."""


class Typist:
    """One client. `times` is where it measures now; `typed` counts its letters.

    `near` are those, by their public names, whose letters it does not time.
    """

    def __init__(
        self,
        socket: ClientConnection,
        welcome: wire.Welcome,
        letter: str,
        keys: Keys,
        times: Times,
    ) -> None:
        """`keys` is shared by all who type in the document."""
        assert welcome.text is not None
        self.times = times
        self.typed = 0
        self.letter = letter
        self.revision = welcome.revision
        self.name = welcome.client
        self.near: frozenset[str] = frozenset()
        self._extra_units = len(welcome.text) - welcome.revision
        self._socket = socket
        self._keys = keys
        self._pressed: list[float] = []  # keys that are in no push yet
        self._seq = 0
        self._sent_at: float | None = None  # of the push in flight
        self._unsaved: deque[tuple[int, float]] = deque()  # its last revision, when it was sent
        self._moved = asyncio.Event()

    async def type(self, per_second: float, seconds: float) -> None:
        """Press keys at even times, from a moment of its own on. A late key delays no other."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        due = began + random.random() / per_second
        while due < began + seconds:
            await asyncio.sleep(due - loop.time())
            self._pressed.append(perf_counter())
            self.typed += 1
            await self._push()
            due += 1 / per_second

    async def settled(self) -> None:
        """Wait until everything that it typed is ordered and saved (S2)."""
        async with asyncio.timeout(SETTLE_S):
            while self._pressed or self._sent_at is not None or self._unsaved:
                await self._moves()

    async def at(self, revision: int) -> None:
        """Wait until it has heard everything up to `revision`."""
        async with asyncio.timeout(SETTLE_S):
            while self.revision < revision:
                await self._moves()

    async def listen(self) -> None:
        """Take messages until it is cancelled. A refusal or an end is a failed measurement."""
        while True:
            message = wire.decode(await self._socket.recv(decode=False))
            now = perf_counter()
            match message:
                case wire.Updates():
                    self._hear(message, now)
                    await self._push()
                case wire.Saved(revision=saved):
                    self._hear_saved(saved, now)
                case wire.Beat(saved=saved):
                    self._hear_saved(saved, now)
                    await self._socket.send(wire.BEAT, text=True)
                case wire.Presence():
                    continue
                case _:
                    raise RuntimeError(f"the server says {message}")
            self._moved.set()

    async def _moves(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def _push(self) -> None:
        """Send all keys that were pressed, unless a push is in flight (P2)."""
        if self._sent_at is not None or not self._pressed:
            return
        self._seq += 1
        keys, self._pressed = self._pressed, []
        self._keys[self.name, self._seq] = keys
        length = self._extra_units + self.revision
        updates = [self._letter_in(length + before) for before in range(len(keys))]
        self._sent_at = perf_counter()
        await self._socket.send(
            b'{"type":"push","revision":%d,"seq":%d,"updates":[%s]}'
            % (self.revision, self._seq, b",".join(updates)),
            text=True,
        )

    def _letter_in(self, length: int) -> bytes:
        """A change (T3) that puts the letter somewhere into a text of this length."""
        at = random.randint(0, length)
        around = [b"%d" % at] * (at > 0), [b"%d" % (length - at)] * (at < length)
        return b"[%s]" % b",".join([*around[0], b'[0,"%s"]' % self.letter.encode(), *around[1]])

    def _hear(self, message: wire.Updates, now: float) -> None:
        assert message.revision == self.revision + 1, "updates have a gap or repeat (U2)"
        self.revision += len(message.updates)
        revision = message.revision - 1
        for source, updates in groupby(message.updates, itemgetter(0, 1)):
            keys = self._keys[source]
            assert len(list(updates)) == len(keys), "a push is split over messages (U1)"
            revision += len(keys)
            if source == (self.name, self._seq):
                assert self._sent_at is not None, "a push came back twice (P4)"
                self.times.ordered.append(now - self._sent_at)
                self._unsaved.append((revision, self._sent_at))
                self._sent_at = None
            elif source[0] not in self.near:
                self.times.heard += [now - key for key in keys]

    def _hear_saved(self, saved: int, now: float) -> None:
        while self._unsaved and self._unsaved[0][0] <= saved:
            self.times.saved.append(now - self._unsaved.popleft()[1])


@asynccontextmanager
async def typist(
    url: str, document_id: str, token: str, letter: str, keys: Keys, times: Times
) -> AsyncIterator[Typist]:
    """A typist who listens. Whoever types is cancelled if its session ends."""
    client_id = f"bench-typist-{letter}-{random.getrandbits(32):08x}"
    async with (
        session(url, document_id, token, client_id) as (socket, welcome),
        asyncio.TaskGroup() as tasks,
    ):
        one = Typist(socket, welcome, letter, keys, times)
        listening = tasks.create_task(one.listen(), name=client_id)
        try:
            yield one
        finally:
            listening.cancel()


class Typed(Protocol):
    """A typist, in the end."""

    letter: str
    typed: int


def letters_wrong(text: str, typists: Sequence[Typed]) -> list[str]:
    """The letters that do not stand in the text as often as they were typed; each has its own."""
    return [one.letter for one in typists if text.count(one.letter) != one.typed]
