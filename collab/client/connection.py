"""The way between a replica and the server: one session after another, until it ends for good.

A session is one WebSocket. Two tasks share it: one listens, one pushes. Whatever cuts it off, the
next one resumes where the replica stands; pauses between them grow, and shrink again once the
server shows life.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias, assert_never
from urllib.parse import urlencode

from websockets.asyncio import client as websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from collab.client import wire
from collab.client.errors import Astray, Rejected, problem
from collab.client.replica import Replica
from collab.errors import CloseCode, NotReady, Problem, SessionEnd, TooMany

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import NoReturn

    from collab.backoff import Backoff
    from collab.client.wire import Limits, Refused
    from collab.text import Change

    Token: TypeAlias = str | Callable[[], Awaitable[str]]
    """A token, or what is asked for one before each session, and limits its own waiting."""

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
FIRST_WELCOME_BYTES = 64 * 1_048_576
"""The most that is read of a server whose limits are not known yet."""
WELCOME_SLACK_BYTES = 1_048_576
"""A welcome takes no more beside its text."""

_FOR_GOOD = {
    CloseCode.TOO_BIG,
    CloseCode.PROTOCOL,
    CloseCode.ACCESS_LOST,
    CloseCode.DELETED,
    CloseCode.REPLACED,
}
"""Closes after which coming back would end the same way (L3)."""


class Moved:
    """Wakes all who wait for something to move; they look for themselves what did."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def fire(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()


class Connection:
    """Keeps one replica in step with its document.

    `seen` is called with each change of the visible text that is no edit, `rejected` when a push is
    refused for good; both before anyone who waits for `moved` goes on.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        backoff: Backoff,
        *,
        seen: Callable[[Change], None],
        rejected: Callable[[Rejected], None],
    ) -> None:
        self.replica = Replica()
        self.role = ""
        self.limits: Limits | None = None
        """As the last welcome named them."""
        self.moved = Moved()
        self.trouble: Exception | None = None
        """What ended the last session, or kept it from beginning; None while one is open."""
        self._url = url
        self._token = token
        self._backoff = backoff
        self._seen = seen
        self._rejected = rejected
        self._client_id = secrets.token_urlsafe(24)
        self._to_push = asyncio.Event()
        self._hold_s = 0.0  # before the next push
        self._return_s: float | None = None  # when to come back, as the server asked

    def nudge(self) -> None:
        """There is something to push."""
        self._to_push.set()

    async def run(self) -> NoReturn:
        """Connect, again and again. Raises what there is no coming back from.

        That is a Problem (a handshake refused for good), a SessionEnd (a session closed for good),
        or whatever the source of tokens raises; a failing network and a busy server are not.
        """
        while True:
            try:
                await self._session()
            except (Problem, OSError, InvalidHandshake, ConnectionClosed, Astray) as error:
                self.trouble = error
                pause_s = self._pause_s(error)
            self.moved.fire()
            await asyncio.sleep(pause_s)

    def _pause_s(self, error: Exception) -> float:
        """How long to wait after this; raises it, or what it stands for, if it is for good."""
        asked_s = self._return_s
        self._return_s = None
        match error:
            case NotReady() | TooMany():
                if error.retry_after_ms is not None:
                    asked_s = error.retry_after_ms / 1000
            case Problem():
                raise error
            case ConnectionClosed(rcvd=close) if close is not None:
                expired = close.code == CloseCode.TOKEN_EXPIRED and isinstance(self._token, str)
                if close.code in _FOR_GOOD or expired:
                    raise SessionEnd(CloseCode(close.code), close.reason) from error
            case Astray():
                self.replica.stray()
            case _:
                pass
        return self._backoff.next_s() if asked_s is None else asked_s

    # -- one session --------------------------------------------------------------------------

    async def _session(self) -> NoReturn:
        """Raises why it ended: ConnectionClosed, Astray, or TimeoutError where no beat came."""
        async with await self._open() as socket:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                welcome = wire.decode(await socket.recv(decode=False))
            limits = self._enter(welcome)
            patience_s = 2 * limits.heartbeat_s
            async with asyncio.timeout(patience_s) as silence, asyncio.TaskGroup() as tasks:
                pushing = tasks.create_task(self._push(socket, limits), name="collab client push")
                end = await self._listen(socket, silence, patience_s)
                pushing.cancel()
            raise end

    async def _open(self) -> websocket.ClientConnection:
        """Shake hands (H1). A refused handshake is a Problem (H2)."""
        token = self._token if isinstance(self._token, str) else await self._token()
        query = {"client": self._client_id, **self.replica.handshake()}
        max_bytes = FIRST_WELCOME_BYTES
        if self.limits is not None:
            max_bytes = wire.UNIT_BYTES * self.limits.max_document_units + WELCOME_SLACK_BYTES
        try:
            return await websocket.connect(
                f"{self._url}?{urlencode(query)}",
                additional_headers={"Authorization": f"Bearer {token}"},
                compression=None,
                proxy=None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=None,  # the protocol has beats (U5)
                max_size=max_bytes,
            )
        except InvalidStatus as refused:
            answer = refused.response
            retry_after = answer.headers.get("Retry-After")
            body = bytes(answer.body or b"")
            raise problem(answer.status_code, body, retry_after) from refused

    def _enter(self, welcome: wire.Incoming) -> Limits:
        if not isinstance(welcome, wire.Welcome):
            raise Astray("the first message is no welcome")
        if welcome.protocol != wire.PROTOCOL:
            raise SessionEnd(CloseCode.PROTOCOL, f"the server speaks version {welcome.protocol}")
        self.replica.welcome(welcome)
        self._show()
        self.limits, self.role, self.trouble = welcome.limits, welcome.role, None
        self._hold_s = 0.0
        self.nudge()
        self.moved.fire()
        return welcome.limits

    async def _listen(
        self, socket: websocket.ClientConnection, silence: asyncio.Timeout, patience_s: float
    ) -> ConnectionClosed | Astray:
        """Take messages until the session ends; returns why. Each beat buys new patience (U5)."""
        now = asyncio.get_running_loop().time
        try:
            while True:
                message = wire.decode(await socket.recv(decode=False))
                if isinstance(message, wire.Beat):
                    silence.reschedule(now() + patience_s)
                    await socket.send(wire.BEAT, text=True)
                self._take(message)
                self.moved.fire()
        except (ConnectionClosed, Astray) as end:
            return end

    def _take(self, message: wire.Incoming) -> None:
        match message:
            case wire.Updates():
                was_in_flight = self.replica.in_flight
                try:
                    self.replica.receive(message)
                finally:
                    self._show()
                if was_in_flight is not None and self.replica.in_flight is None:
                    self._backoff.reset()
                    self.nudge()
            case wire.Saved(revision=revision):
                self.replica.heard_saved(revision)
            case wire.Beat():
                self.replica.beat(message)
                self._backoff.reset()
            case wire.Refused():
                self._refused(message)
            case wire.Role(role=role):
                self.role = role
            case wire.Goodbye(retry_after_ms=wait_ms):
                self._return_s = wait_ms / 1000
            case wire.Presence():
                pass
            case wire.Welcome():
                raise Astray("a second welcome")
            case _:
                assert_never(message)

    def _show(self) -> None:
        for change in self.replica.seen():
            self._seen(change)

    def _refused(self, message: Refused) -> None:
        lost = self.replica.refused(message)
        if lost is not None:
            self._show()
            self._rejected(lost)
            return
        wait_ms = message.retry_after_ms
        self._hold_s = self._backoff.next_s() if wait_ms is None else wait_ms / 1000
        self.nudge()

    async def _push(self, socket: websocket.ClientConnection, limits: Limits) -> None:
        """Send the next push whenever there is one; the session's end is the listener's to tell."""
        with suppress(ConnectionClosed):
            while True:
                await self._to_push.wait()
                if self._hold_s:
                    hold_s, self._hold_s = self._hold_s, 0.0
                    await asyncio.sleep(hold_s)
                self._to_push.clear()
                push = self.replica.next_push(limits)
                if push is not None:
                    await socket.send(wire.encode(push), text=True)
