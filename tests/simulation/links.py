"""The way from a server's log to the modelled Redis, over the modelled network.

Two connections: one for calls, one that listens. Each is made anew when it is lost. A call whose
connection is lost has had its effect, or has not, or will have it yet.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from collab.log.redis.link import FateUnknown, NotDone
from tests.simulation.loop import EPOCH_S
from tests.simulation.redis import Full

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator

    from collab.log.redis.link import Listener
    from tests.simulation.loop import Future, Machine
    from tests.simulation.network import End, Network
    from tests.simulation.redis import Redis

ANSWER_S = 3.0
MAX_PAUSE_S = 1.0


class SimulatedLink:
    """One document's."""

    def __init__(self, links: SimulatedLinks, document_id: str, listener: Listener) -> None:
        self.listener = listener
        self.hears = False
        self.channel = b"collab:{%s}" % document_id.encode()
        self.keys = [
            b"%s:%s" % (self.channel, part) for part in (b"log", b"state", b"offers", b"lease")
        ]
        self.keys.append(self.channel)
        self._links = links

    @property
    def run(self) -> str | None:
        return self._links.calls.run

    async def call(self, operation: str, *arguments: str | bytes | int) -> list[Any]:
        written = [
            argument if isinstance(argument, bytes) else str(argument).encode()
            for argument in (operation, *arguments)
        ]
        answer: list[Any] = await self._links.calls.call(self.keys, written)
        return answer

    def doubt(self) -> None:
        self._links.calls.drop()

    def close(self) -> None:
        self._links.forget(self)


class _Way:
    """A connection that is made anew whenever it is lost."""

    def __init__(self, links: SimulatedLinks) -> None:
        self.links = links
        self.machine = links.machine
        self.end: End | None = None
        self._closed = False

    def connect(self) -> None:
        if self._closed or self.end is not None:
            return
        links = self.links
        if links.redis.down:
            self._again()
            return
        here, there = links.network.connect(self.machine, links.redis.machine)
        self.end = here
        links.redis.accept(there)
        here.on_message = lambda message: self.heard(*message)
        here.on_lost = self.drop
        self.greet(here)

    def greet(self, end: End) -> None: ...

    def heard(self, kind: str, *rest: Any) -> None: ...

    def lost(self) -> None: ...

    def drop(self) -> None:
        """Give the connection up."""
        end, self.end = self.end, None
        if end is None:
            return
        end.on_message = lambda _: None
        end.on_lost = lambda: None
        end.close()
        self.lost()
        self._again()

    def _again(self) -> None:
        pause_s = self.links.random.uniform(0.02, MAX_PAUSE_S)
        self.machine.call_later(pause_s, self.connect)

    def close(self) -> None:
        self._closed = True
        self.drop()

    def guard(self, answer: Future) -> None:
        """Drop the connection if no answer comes in time."""
        end = self.end
        timer = self.machine.call_later(ANSWER_S, self._late, end, answer)
        answer.add_done_callback(lambda _: timer.cancel())

    def _late(self, end: End, answer: Future) -> None:
        if not answer.done() and self.end is end:
            self.drop()


class _Calls(_Way):
    """The one that calls go over."""

    def __init__(self, links: SimulatedLinks) -> None:
        super().__init__(links)
        self.run: str | None = None
        self.ahead_s = 0.0
        """By how much the clock of Redis is ahead of this server's."""
        self.passing = asyncio.Event()
        self._waiting: dict[int, Future] = {}
        self._count = 0

    def _ask(self, kind: str, *rest: Any) -> Future:
        assert self.end is not None
        self._count += 1
        answer = self._waiting[self._count] = self.machine.create_future()
        self.end.send((kind, self._count, *rest))
        self.guard(answer)
        return answer

    def greet(self, end: End) -> None:
        answer = self._waiting[0] = self.machine.create_future()
        self._asked_at = self.links.clock_s
        end.send(("info",))
        self.guard(answer)

    async def call(self, keys: list[bytes], arguments: list[bytes]) -> Any:
        if self.run is None:
            raise NotDone("no connection to Redis")
        return await self._ask("call", keys, arguments)

    async def all_keys(self) -> list[bytes]:
        if self.run is None:
            raise NotDone("no connection to Redis")
        try:
            found: list[bytes] = await self._ask("keys")
        except FateUnknown as error:
            raise NotDone(str(error)) from error
        return found

    def heard(self, kind: str, *rest: Any) -> None:
        if kind == "info":
            self._waiting.pop(0).set_result(None)
            self.run = rest[0]
            self.ahead_s = rest[1] - (self._asked_at + self.links.clock_s) / 2
            self.passing.set()
            for link in self.links.all():
                link.listener.connected()
            return
        answer = self._waiting.pop(rest[0])
        if answer.done():
            return
        if isinstance(rest[1], Full):
            answer.set_exception(NotDone(str(rest[1])))
        else:
            answer.set_result(rest[1])

    def lost(self) -> None:
        was_passing = self.run is not None
        self.run = None
        self.passing.clear()
        waiting, self._waiting = self._waiting, {}
        for number, answer in waiting.items():
            if answer.done():
                continue
            if number:
                answer.set_exception(FateUnknown("the connection was lost"))
            else:
                answer.cancel()
        if was_passing:
            for link in self.links.all():
                link.listener.disconnected()


class _Listening(_Way):
    """The one that listens."""

    def greet(self, end: End) -> None:
        for link in self.links.all():
            end.send(("subscribe", link.channel))
        self._watch(end)

    def _watch(self, end: End) -> None:
        """Ask now and then whether anybody is there."""
        if self.end is not end:
            return
        self._pong = self.machine.create_future()
        end.send(("ping",))
        self.guard(self._pong)
        self.machine.call_later(ANSWER_S, self._watch, end)

    def subscribe(self, link: SimulatedLink) -> None:
        if self.end is not None:
            self.end.send(("subscribe", link.channel))

    def heard(self, kind: str, *rest: Any) -> None:
        if kind == "pong":
            if not self._pong.done():
                self._pong.set_result(None)
            return
        for link in self.links.of(rest[0]):
            if kind == "message":
                link.listener.published(rest[1])
            elif not link.hears:
                link.hears = True
                link.listener.subscribed()

    def lost(self) -> None:
        for link in self.links.all():
            link.hears = False


class SimulatedLinks:
    """One server's."""

    def __init__(
        self,
        machine: Machine,
        network: Network,
        redis: Redis,
        rng: random.Random,
        wrong_by_s: float,
    ) -> None:
        self.wrong_by_s = wrong_by_s
        self.machine = machine
        self.network = network
        self.redis = redis
        self.random = rng
        self.calls = _Calls(self)
        self.listening = _Listening(self)
        self._links: dict[SimulatedLink, None] = {}

    async def start(self) -> None:
        self.calls.connect()
        self.listening.connect()
        await self.calls.passing.wait()

    @property
    def ready(self) -> bool:
        return self.calls.run is not None

    def now_s(self) -> float:
        return self.clock_s + self.calls.ahead_s

    @property
    def clock_s(self) -> float:
        """This server's own clock."""
        return EPOCH_S + self.machine.clock.now + self.wrong_by_s

    def all(self) -> tuple[SimulatedLink, ...]:
        return tuple(self._links)

    def of(self, channel: bytes) -> tuple[SimulatedLink, ...]:
        return tuple(link for link in self._links if link.channel == channel)

    def link(self, document_id: str, listener: Listener) -> SimulatedLink:
        link = SimulatedLink(self, document_id, listener)
        self._links[link] = None
        self.listening.subscribe(link)
        self.machine.call_soon(self._tell, link)
        return link

    def _tell(self, link: SimulatedLink) -> None:
        if link in self._links and self.calls.run is not None:
            link.listener.connected()

    def forget(self, link: SimulatedLink) -> None:
        self._links.pop(link, None)
        if not self.of(link.channel) and self.listening.end is not None:
            self.listening.end.send(("unsubscribe", link.channel))

    async def documents(self) -> AsyncIterator[str]:
        for key in await self.calls.all_keys():
            if key.endswith(b"}:log"):
                yield key[len("collab:{") : -len("}:log")].decode()

    async def close(self) -> None:
        self.calls.close()
        self.listening.close()
