"""Several servers' rooms of one document, joined by a channel, on a clock of their own.

The loop's time passes whenever nothing else is left to do, so that waiting takes no time and a seed
gives the same run each time.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
import selectors
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from collab.log.entry import Entry, Point, first_mark
from collab.log.local import LocalFeed
from collab.rooms.budget import Budget
from collab.rooms.clock import HybridClock
from collab.rooms.history import History
from collab.rooms.open_room import OpenRoom
from collab.rooms.room import Room
from collab.text import Change, Text
from tests.rooms.looking import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from collab.errors import CloseCode, Refusal, SessionEnd
    from collab.rooms.frames import Batch

HEARTBEAT_S = 8.0
TICK_S = HEARTBEAT_S / 8
PRESENCE_HZ = 10
EPOCH_S = 1_700_000_000


class _Jumping(selectors.SelectSelector):
    """Waits for nothing but the time, which it makes pass."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing will ever happen again"
        self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def played(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on such a clock."""

    @functools.wraps(test)
    def play(**given: object) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner, pytest.MonkeyPatch.context() as patch:
            clock = SimpleNamespace(perf_counter=runner.get_loop().time)
            for module in ("presenter", "fanout"):
                patch.setattr(f"collab.rooms.{module}.time", clock)
            runner.run(test(**given))

    return play


def now() -> float:
    return asyncio.get_running_loop().time()


class Session:
    """`others` is what it was told of everybody else, by client."""

    color = "#000000"
    writable = may_write = True

    def __init__(self, client: str, arrival: int) -> None:
        self.client, self.name = client, client.title()
        self.arrival = arrival
        self.position = self.saved = self.presence = 0
        self.others: dict[str, dict[str, Any]] = {}
        self.left: list[str] = []
        self.ended: list[CloseCode] = []
        self.ended_at = 0.0
        self.room: OpenRoom
        self.server = ""

    @property
    def stamp(self) -> tuple[int, str]:
        """Of two sessions of a client, the one with the larger is newer."""
        return self.arrival, self.server

    @property
    def here(self) -> bool:
        return self in self.room.attendance.sessions()

    def write(self, batch: Batch) -> None:
        for payload in batch.payloads:
            message = json.loads(payload)
            if message["type"] == "presence":
                self.others |= {peer["client"]: peer for peer in message["peers"]}
                self.left += message["left"]
                for client in message["left"]:
                    self.others.pop(client, None)

    def end(self, reason: SessionEnd) -> None:
        self.ended.append(reason.close)
        self.ended_at = now()
        self.room.attendance.depart(self.client, self.arrival)

    def leave(self) -> None:
        self.room.attendance.leave(self)
        self.room.attendance.depart(self.client, self.arrival)

    def move(self, *ranges: tuple[int, int], revision: int = 0) -> None:
        self.room.presenter.move(self, revision, ranges)

    def fell_behind(self) -> None: ...

    def settled(self, seq: int) -> None: ...

    def check(self, now: float) -> None: ...

    def say_goodbye(self) -> None: ...

    def ordered(self, seq: int, last: int) -> None: ...

    def refused(self, seq: int, refusal: Refusal) -> None: ...


class _Saver:
    def put(self, *_: object) -> None: ...


class _Feed(LocalFeed):
    def __init__(self, server: Server) -> None:
        super().__init__(server.room)
        self._server = server

    def tell(self, message: bytes) -> None:
        self._server.channel.carry(self._server, message)


class Channel:
    """Carries each message to everybody, in the same order, each in its own time or not at all."""

    def __init__(self, seed: int = 0, *, loss: float = 0, delay_s: float = 0.01) -> None:
        self.random = random.Random(seed)
        self.loss = loss
        self.lost_kind = ""
        self.delay_s = delay_s
        self.carried: list[dict[str, Any]] = []
        self.sizes: list[int] = []
        self.servers: list[Server] = []

    def carry(self, sender: Server, message: bytes) -> None:
        self.carried.append(json.loads(message))
        self.sizes.append(len(message))
        for server in self.servers:
            if self.carried[-1]["type"] == self.lost_kind:
                continue
            if server.hears and self.random.random() >= self.loss:
                at = max(server.last, now() + self.random.uniform(0, self.delay_s))
                server.last = at
                asyncio.get_running_loop().call_at(at, server.take, message)

    def count(self, kind: str) -> int:
        return sum(message["type"] == kind for message in self.carried)


class Server:
    """A server that has the document open. `skew_s` is how wrong its clock is."""

    def __init__(self, channel: Channel, name: str, *, skew_s: float = 0, text: str = "") -> None:
        self.channel = channel
        self.name = name
        self.clock = HybridClock(lambda: EPOCH_S + skew_s + now())
        self.hears = True
        self.last = 0.0
        self.broken: list[OpenRoom] = []
        self.room = OpenRoom(
            "d",
            Room(Text.of(text), History(Point(0, first_mark("d"), 0))),
            _Saver(),
            Budget(1_000_000_000, 100_000_000, lambda: None),
            Access(),
            max_units=100_000,
            presence_hz=PRESENCE_HZ,
            on_broken=self.broken.append,
            server=name,
            clock=self.clock,
            heartbeat_s=HEARTBEAT_S,
        )
        self._ticks = channel.random.randrange(8)
        self._heart: asyncio.TimerHandle | None = None
        channel.servers.append(self)
        self.room.open(_Feed(self))
        self._tick()

    def _tick(self) -> None:
        self._heart = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        self._ticks += 1
        self.room.check(now())
        if self._ticks % 8 == 0:
            self.room.beat()

    def take(self, message: bytes) -> None:
        if self in self.channel.servers:
            self.room.heard(message)

    def knock(self, client: str) -> Session:
        """A handshake that comes, and is not completed yet."""
        session = Session(client, self.clock.now())
        session.room, session.server = self.room, self.name
        self.room.attendance.arrive(client, session.arrival)
        return session

    def admit(self, session: Session) -> Session:
        session.others = {
            peer["client"]: peer
            for peer in map(json.loads, self.room.presenter.everybody_but(session.client))
        }
        self.room.attendance.join(session, session.arrival)
        self.room.attendance.heard(session)
        return session

    def join(self, client: str) -> Session:
        return self.admit(self.knock(client))

    def insert(self, place: int, text: str) -> None:
        """Hear an update that all servers hear, some time."""
        change = Change.replace(self.room.length, place, place, text)
        self.room.ordered(
            Entry("typist", self.room.revision + 1, self.room.revision, (change,), "typist", 1),
            f"mark {self.room.revision + 1}",
        )
        self.room.durable(self.room.revision)

    def die(self) -> None:
        """Without a word."""
        self.channel.servers.remove(self)
        if self._heart is not None:
            self._heart.cancel()
        self.room.presenter.close()

    def close(self) -> None:
        self.room.close()
        self.die()

    @property
    def clients(self) -> list[str]:
        """Who is here, by what this server tells a newcomer."""
        return sorted(json.loads(peer)["client"] for peer in self.room.presenter.everybody_but(""))


async def heartbeats(number: float) -> None:
    await asyncio.sleep(number * HEARTBEAT_S)


async def told() -> None:
    """Long enough for what is told and not lost."""
    await asyncio.sleep(3 / PRESENCE_HZ)


def names(servers: Sequence[Server]) -> list[list[str]]:
    return [server.clients for server in servers]
