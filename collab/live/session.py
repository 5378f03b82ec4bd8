"""A session: one connection of a client.

It checks what comes in and hands pushes on. What goes out is the fan-out's, but for the answers to
its own messages. It never waits: a conversation feeds it, and the transport tells when it may be
written to.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, assert_never

import structlog
from msgspec import Struct

from collab.access.roles import Action, Standing, claimed
from collab.errors import CloseCode, Forbidden, Refusal, SessionEnd
from collab.live import messages, pace
from collab.log.entry import Entry
from collab.rooms.attendance import replaced
from collab.rooms.frames import Batch
from collab.rooms.presence import bounded, color_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.access.roles import Role
    from collab.access.tokens import Identity, Tokens
    from collab.live.transport import Transport
    from collab.rooms.frames import Welcome
    from collab.rooms.open_room import OpenRoom
    from collab.rooms.standings import Seen
    from collab.settings import Limits

log = structlog.get_logger(__name__)

GOODBYE_MIN_MS, GOODBYE_MAX_MS = 200, 3_000
"""When clients are asked to come back after a restart, at random between these (H9)."""

ANSWER_S = 0.3
"""How long a push in flight may take to be answered before a session whose user has no access any
more is closed: within a second of the change (X2).
"""

# What has become of a session's last push. P2 allows one in flight.


class Idle(Struct, frozen=True):
    """Nothing is in flight; every seq up to `last_seq` is used."""

    last_seq: int


class InFlight(Struct, frozen=True):
    """A push has no answer yet."""

    seq: int


class Ordered(Struct, frozen=True):
    """A push took effect, and is answered when its updates up to `last` have been sent."""

    seq: int
    last: int


class Refused(Struct, frozen=True):
    """A push was refused, and the client could not be told yet."""

    seq: int
    refusal: Refusal


class Ended(Struct, frozen=True):
    """The session has ended; whatever still comes in is not heard."""


_GONE = "this document is closed to you now"

State = Idle | InFlight | Ordered | Refused | Ended


class Session:
    """One client's connection to one room."""

    def __init__(
        self,
        transport: Transport,
        room: OpenRoom,
        client: str,
        identity: Identity,
        seen: Seen,
        *,
        position: int,
        last_seq: int,
        limits: Limits,
        tokens: Tokens,
        pushes: pace.Pushes,
    ) -> None:
        """`client` is the public name, and `seen` what its user may do; `position` is the revision
        that the client starts from, and `last_seq` the largest seq that it is known to have used,
        -1 for none.
        """
        self.client = client
        self.position = position
        self.saved = room.saved_revision
        self.presence = 0
        self.name = identity.name
        self.color = color_of(identity.user_id)
        self._transport = transport
        self._room = room
        self._identity = identity
        self._seen = seen
        self._role = seen.standing.role
        self._limits = limits
        self._tokens = tokens
        self._pushes = pushes
        self._role_told = True
        self._state: State = Idle(last_seq)
        self._settled = -1
        now = time.monotonic()
        self._pace = pace.Pace(limits, now)
        self._heard_at = self._moved_at = now
        self._unsent = 0
        self._told: Callable[[], None] = lambda: None
        self._heard = False
        self._leaving: asyncio.TimerHandle | None = None

    def start(self, welcome: Batch | Welcome, arrival: int, told: Callable[[], None]) -> None:
        """Send the welcome, and join the room: from here on, everything follows.

        `told` is called when the welcome is out, or the session is over; perhaps more than once.
        """
        self._told = told
        pinged = self._transport.ping()
        self._transport.welcome(welcome)
        self._transport.listener = self
        if self.writable:
            told()
        self._room.standings.join(self, self._seen)
        self._room.attendance.join(self, arrival)
        self._room.fanout.catch_up(self)
        if not pinged:
            self._is_there()
        self._check_token()  # it was verified a while ago

    # -- What comes in ------------------------------------------------------------------------

    def receive(self, data: str | None) -> str | None:
        """Take a text message, None for a binary one. Raises `SessionEnd` for a bad one (P6).

        Returns the token that the client would go on with, if it sent one: it has to be verified
        before the next message is taken (X1).
        """
        self._is_there()
        if isinstance(self._state, Ended):
            return None
        self._heard_at = time.monotonic()
        if data is None:
            raise SessionEnd(CloseCode.PROTOCOL, "messages are text")
        price = pace.price(len(data))
        message = messages.decode(data)
        token = None
        match message:
            case messages.Push():
                price = self._push(message, price)
            case messages.Presence():
                limits = self._limits
                ranges = bounded(message.ranges, limits.max_ranges, limits.max_document_units)
                self._room.presenter.move(self, message.revision, ranges)
            case messages.Beat():
                pass
            case messages.Token():
                token = message.token
            case _:
                assert_never(message)
        self._pace.pay(price, self._heard_at)
        return token

    def heard_noise(self) -> None:
        """A frame came in that carries no message: a ping, a pong, or a part of a message."""
        self._is_there()
        try:
            self._pace.pay(1, time.monotonic())
        except SessionEnd as reason:
            self.end(reason)

    def _is_there(self) -> None:
        """The handshake was not one that its client has given up since."""
        if not self._heard:
            self._heard = True
            self._room.attendance.heard(self)

    def _push(self, push: messages.Push, price: float) -> float:
        """Order it or refuse it. Returns what it costs; `price` is that of a message of its length.

        One that is ordered is free, but for its rebase: it has a limit of its own, and its author
        waits for it.
        """
        if push.seq <= self._settled:
            raise replaced()
        last_seq = self._last_seq()
        if push.seq <= last_seq:
            raise SessionEnd(CloseCode.PROTOCOL, f"seq must be larger than {last_seq}")
        self._state = InFlight(push.seq)
        rebasing = 0.0
        try:
            if not self.may_write:
                raise Forbidden(f"a {self._role.value} may not write" if self._role else _GONE)
            now = self._heard_at
            shared = self._pushes.of(self.user_id, self._room.document_id, now)
            self._pace.push(price, now, shared)
            updates = messages.parse_updates(push.updates, self._limits)
            behind = max(self._room.revision - push.revision, 0)
            rebasing = pace.price_of_rebase(behind * sum(change.size for change in updates))
            entry = Entry(
                client=self.client,
                seq=push.seq,
                base=push.revision,
                updates=updates,
                author=self._identity.user_id,
                at=time.time_ns() // 1_000_000,
            )
            self._room.push(entry, self)
        except Refusal as refusal:
            self._room.counts.pushes[refusal.code] += 1
            self.refused(push.seq, refusal)
            return price + rebasing
        return rebasing

    def _last_seq(self) -> int:
        """The last seq that was used and answered. Raises `SessionEnd` while one is in flight."""
        match self._state:
            case Idle(last_seq):
                return last_seq
            case Ordered(seq, last) if self.position >= last:
                return seq
            case _:
                raise SessionEnd(CloseCode.PROTOCOL, "a push is in flight")

    def renew(self, identity: Identity | None) -> None:
        """Go on with a token that says this, or with the one it has if nothing is known of the new
        one. Raises `SessionEnd` for somebody else's (X1).
        """
        self._heard_at = time.monotonic()  # nobody was listening meanwhile
        if identity is None:
            return
        if identity.user_id != self._identity.user_id:
            raise SessionEnd(CloseCode.TOKEN_EXPIRED, "this token is another user's")
        had_claim = self.claims
        self._identity = identity
        if self._claim is not None:
            self.role_changed(Standing(self._claim))
        elif had_claim:
            self._room.standings.look()

    # -- What its user may do (X2) ------------------------------------------------------------

    @property
    def user_id(self) -> str:
        return self._identity.user_id

    @property
    def claims(self) -> bool:
        return self._claim is not None

    @property
    def _claim(self) -> Role | None:
        return claimed(self._identity.roles, self._room.document_id)

    @property
    def may_write(self) -> bool:
        return self._role is not None and self._role.may(Action.WRITE)

    def role_changed(self, standing: Standing) -> None:
        """Judges what is pushed from now on: what the log was given before has its place."""
        self._role_told = self._role_told and self._role == standing.role
        self._role = standing.role
        if self._role is None:
            self._lose_access()
        else:
            self._stay()
            self._tell_role()

    def _tell_role(self) -> None:
        """A client that does not read is told later, the latest only."""
        ended = isinstance(self._state, Ended)
        if self._role is not None and not self._role_told and self.writable and not ended:
            self._role_told = True
            self.write(Batch(messages.role(self._role)))

    def _lose_access(self) -> None:
        """End, but let a push in flight be answered first: nobody can ask for its fate later."""
        if self._answered:
            self._access_lost()
        elif self._leaving is None:
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(ANSWER_S, self._access_lost)

    def _access_lost(self) -> None:
        self.end(SessionEnd(CloseCode.ACCESS_LOST, _GONE))

    def _stay(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    @property
    def _answered(self) -> bool:
        match self._state:
            case InFlight():
                return False
            case Ordered(_, last):
                return self.position >= last
            case _:
                return True

    # -- What became of its push --------------------------------------------------------------

    def settled(self, seq: int) -> None:
        self._settled = max(self._settled, seq)

    def ordered(self, seq: int, last: int) -> None:
        if self._state == InFlight(seq):
            self._state = Ordered(seq, last)

    def refused(self, seq: int, refusal: Refusal) -> None:
        if self._state == InFlight(seq):
            self._state = Refused(seq, refusal)
            self._tell_refusal()

    def _tell_refusal(self) -> None:
        """One refusal at most waits for a client that does not read: it can push no more before."""
        if isinstance(self._state, Refused) and self.writable:
            seq, refusal = self._state.seq, self._state.refusal
            self._state = Idle(seq)
            self.write(Batch(messages.refused(seq, refusal)))

    # -- What goes out ------------------------------------------------------------------------

    @property
    def writable(self) -> bool:
        return self._transport.writable

    def write(self, batch: Batch) -> None:
        """A connection that fails costs this session alone, not the room that writes to all."""
        try:
            self._transport.write(batch)
        except Exception:
            log.exception("a connection cannot be written to")
            self.end(SessionEnd(CloseCode.RESTART, "the connection failed"))

    def drained(self) -> None:
        if isinstance(self._state, Ended):
            return
        self._moved_at = time.monotonic()
        self._told()
        self._tell_refusal()
        self._tell_role()
        self._room.fanout.catch_up(self)
        self._room.presenter.catch_up(self)

    # -- Its end ------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        self._watch(now)
        if now - self._moved_at > self._limits.stall_s:
            self.end(SessionEnd(CloseCode.FELL_BEHIND, "nothing was read for too long; come back"))
        elif now - self._heard_at > 2 * self._limits.heartbeat_s:
            self.end(SessionEnd(CloseCode.SILENT, "nothing was heard for two heartbeats"))
        else:
            self._check_token()

    def _check_token(self) -> None:
        over = self._tokens.over(self._identity)
        if over is not None:
            self.end(SessionEnd(CloseCode.TOKEN_EXPIRED, over))

    def _watch(self, now: float) -> None:
        """Note whether the client reads (U4). While it does, it lives, though no beat reaches it
        yet that it could answer (U5).
        """
        unsent = self._transport.unsent
        if self.writable:
            self._moved_at = now
        elif unsent < self._unsent:
            self._moved_at = self._heard_at = now
        self._unsent = unsent

    def fell_behind(self) -> None:
        self.end(SessionEnd(CloseCode.FELL_BEHIND, "too far behind what is kept; come back"))

    def say_goodbye(self) -> None:
        """H9."""
        if isinstance(self._state, Ended):
            return
        retry_after_ms = random.randint(GOODBYE_MIN_MS, GOODBYE_MAX_MS)  # noqa: S311 - spread only
        if self.writable:
            self.write(Batch(messages.goodbye(retry_after_ms)))
        self.end(SessionEnd(CloseCode.RESTART, "the server restarts"))

    def end(self, reason: SessionEnd) -> None:
        """Leave the room and close the connection. May be called twice."""
        if isinstance(self._state, Ended):
            return
        self.leave()
        self._transport.close(reason.close, reason.message)

    def leave(self) -> None:
        """The connection is gone, or going. May be called twice."""
        self._state = Ended()
        self._stay()
        self._transport.listener = None
        self._room.standings.leave(self)
        self._room.attendance.leave(self)
        self._told()
