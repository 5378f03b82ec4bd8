"""One connection to Redis, which speaks RESP3.

Answers come in the order of the commands; what Redis pushes comes between them. A connection whose
oldest command is not answered in time is given up, and so is one that has nothing to say to a PING.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import hiredis

from collab.log.redis.link import FateUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

QUIET = 0.5
"""A connection that is quiet for this part of the time limit is asked for a sign of life."""

_MORE = object()


def pack(*command: str | bytes | int) -> bytes:
    """A command as Redis reads it."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type] # of any length
    return packed


_PING = pack("PING")


class Connection(asyncio.Protocol):
    """`pushed` is told what Redis pushes; `ended` that the connection is lost, once, before those
    are told who wait for an answer. `writable` says that it takes more, after it was `full`.
    """

    def __init__(
        self,
        limit_s: float,
        *,
        pushed: Callable[[list[Any]], None] = lambda _: None,
        ended: Callable[[], None] = lambda: None,
        writable: Callable[[], None] = lambda: None,
    ) -> None:
        self.full = False
        self.closed = asyncio.Event()
        self.why = ""
        """It was closed for."""
        self._limit_s = limit_s
        self._pushed = pushed
        self._ended = ended
        self._writable = writable
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._waiting: deque[tuple[float, Callable[[Any], None]]] = deque()
        self._heard_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.WriteTransport | None = None

    def send(self, commands: Iterable[tuple[bytes, Callable[[Any], None]]]) -> None:
        """Send packed commands, each with who is told its answer: `hiredis.ReplyError` if Redis
        refuses it, `FateUnknown` if the connection ends before.
        """
        assert self._transport is not None, "not connected"
        now = self._loop.time()
        packed = []
        for command, waiter in commands:
            packed.append(command)
            self._waiting.append((now, waiter))
        self._transport.write(b"".join(packed))

    async def ask(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        """The answers to some commands. Raises `ReplyError`, or `FateUnknown`."""
        answers: list[asyncio.Future[Any]] = [self._loop.create_future() for _ in commands]
        asked = zip(commands, answers, strict=True)
        self.send((pack(*command), _settling(answer)) for command, answer in asked)
        return await asyncio.gather(*answers)

    @property
    def oldest(self) -> Callable[[Any], None] | None:
        """Who is to be told the next answer."""
        return self._waiting[0][1] if self._waiting else None

    def answer(self, reply: object) -> None:
        """`reply` answers the oldest command: some are answered by what is pushed."""
        _, waiter = self._waiting.popleft()
        waiter(reply)

    def drop(self, why: str) -> None:
        """End at once."""
        if not self.closed.is_set():
            self._end(why)
        if self._transport is not None:
            self._transport.abort()

    # -- What the transport tells ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by name
        if self.closed.is_set():
            self._transport.abort()  # given up meanwhile
            return
        self._heard_at = self._loop.time()
        self._look_at(self._heard_at + QUIET * self._limit_s)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        try:
            self._reader.feed(data)
            while not self.closed.is_set() and (reply := self._reader.gets()) is not _MORE:
                if isinstance(reply, hiredis.PushNotification):
                    self._pushed(reply)
                elif self._waiting:
                    self.answer(reply)
                else:
                    self.drop(f"what nobody asked for: {reply!r}")
        except hiredis.ProtocolError as error:
            self.drop(str(error))

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._writable()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(str(error or "Redis closed the connection"))

    def _end(self, why: str) -> None:
        if self.closed.is_set():
            return
        self.closed.set()
        self.why = why
        if self._timer is not None:
            self._timer.cancel()
        self._ended()
        waiting, self._waiting = self._waiting, deque()
        for _, waiter in waiting:
            waiter(FateUnknown(why))

    # -- Signs of life ---------------------------------------------------------------------------

    def _look_at(self, at: float) -> None:
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        """Give the connection up if its oldest command waits for too long; ask if it is quiet.

        After a sleep of the whole process, both event loops read before they look at timers.
        """
        now = self._loop.time()
        quiet_s = QUIET * self._limit_s
        if self._waiting:
            due = self._waiting[0][0] + self._limit_s
            if due > now:
                self._look_at(due)
            else:
                self.drop("no answer in time")
        elif self._heard_at + quiet_s > now:
            self._look_at(self._heard_at + quiet_s)
        else:
            self.send([(_PING, _hear_nothing)])
            self._look_at(now + self._limit_s)


def _hear_nothing(_: object) -> None: ...


def _settling(future: asyncio.Future[Any]) -> Callable[[Any], None]:
    def settle(answer: object) -> None:
        if future.done():
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    return settle
