"""uvicorn's HTTP connection, with an end to every wait for its client.

uvicorn waits without end for a request and for its body, keeps however long a head in memory, and
never cuts a connection whose client does not read. Here each of these has a limit.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from collab.api.address import counted
from collab.api.problems import problem_response
from collab.errors import HeadTooLarge, NotReady, RequestTooSlow
from collab.live.transport import bound_unsent

if TYPE_CHECKING:
    from asyncio.transports import Transport
    from collections.abc import Callable

    from starlette.types import Scope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from collab.api.door import Door
    from collab.errors import Problem

EXTENSION = "collab.connection"

RETRY_AFTER_MS = 5_000


class Awaited(Enum):
    """What is to come in next."""

    REQUEST = auto()
    HEAD = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """`on_shutdown` is called when the server goes down. Found by `connection`."""

    on_shutdown: Callable[[], object] | None = None

    def __init__(self, *args: Any, door: Door, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._door = door
        self._limits = door.limits
        self._awaited = Awaited.REQUEST
        self._beside_bodies = 0  # bytes of this request that are not its body's
        self._body_by = self._read_by = 0.0  # more of it is due, by the loop's clock
        self._unsent = 0
        self.address = ""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        bound_unsent(transport)
        self.address = counted(self.client[0] if self.client else "")
        if self._door.admit(len(self.connections)):
            self._door.awaits(self)
        else:
            self._refuse(
                NotReady("too many connections are open here", retry_after_ms=RETRY_AFTER_MS)
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.gone(self)
        super().connection_lost(exc)

    # -- What comes in ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._door.is_resting(self):
            self._door.awaits(self)  # whatever it is: empty lines begin no request
        self._beside_bodies += len(data)
        super().data_received(data)
        is_over = self._beside_bodies > self._limits.max_head_bytes
        if is_over and self.transport.get_protocol() is self:  # and no WebSocket now
            self._refuse(HeadTooLarge(f"a head has at most {self._limits.max_head_bytes} bytes"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"protocol": self}}
        self._beside_bodies = 0
        self._goes_on(Awaited.HEAD)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._body_by = self.loop.time() + self._limits.slow_request_s
        self._goes_on(Awaited.BODY)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        # As much again may be between its chunks, and behind the last.
        self._beside_bodies -= 2 * len(body)
        if not self._answered:
            earned_s = len(body) / self._limits.min_bytes_per_second
            latest = self.loop.time() + self._limits.slow_request_s
            self._body_by = min(self._body_by + earned_s, latest)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._goes_on(Awaited.REQUEST)

    def handle_websocket_upgrade(self) -> None:
        self._door.gone(self)
        super().handle_websocket_upgrade()

    # -- Where it stands ----------------------------------------------------------------------

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # What is left of a body that nobody wants is passed over, for a while.
        self._body_by = self.loop.time() + self._limits.slow_request_s
        self._goes_on(self._awaited)

    def _goes_on(self, awaited: Awaited) -> None:
        self._awaited = awaited
        if awaited is Awaited.BODY or not self._answered or self.unsent:
            self._door.serves(self)
            return
        self._unsent = 0
        if awaited is Awaited.HEAD:
            self._door.awaits(self)
        else:
            self._door.rests(self)

    @property
    def _answered(self) -> bool:
        """Whether no answer is due, but to what is still coming in."""
        cycle = self._cycle
        return cycle is None or cycle.response_complete

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        """The answer to the latest request."""
        return self.cycle

    @property
    def _holds_up(self) -> bool:
        """Whether the client must not send more of a body, or need not yet."""
        waiting = not self._answered and self.cycle.waiting_for_100_continue
        return self.flow.read_paused or waiting

    def check(self, now: float) -> None:
        limits, unsent = self._limits, self.unsent
        if not unsent or unsent > self._unsent:  # all was read, or enough that more was written
            self._read_by = now + limits.stall_s
        else:
            earned_s = (self._unsent - unsent) / limits.min_bytes_per_second
            self._read_by = min(self._read_by + earned_s, now + limits.stall_s)
        self._unsent = unsent
        if self._holds_up:
            self._body_by = now + limits.slow_request_s
        body_is_late = self._awaited is Awaited.BODY and now > self._body_by
        if now > self._read_by or (body_is_late and self._answered):
            self.cut()
        elif body_is_late:
            self._refuse(RequestTooSlow("the body comes too slowly"))
        else:
            self._goes_on(self._awaited)

    # -- Its end ------------------------------------------------------------------------------

    def head_is_late(self) -> None:
        if self._awaited is Awaited.HEAD:
            self._refuse(RequestTooSlow("the head comes too slowly"))
        else:
            self.transport.close()  # nothing was asked

    def _refuse(self, problem: Problem) -> None:
        """Answer what cannot be heard to its end, unless another answer is under way; and end."""
        cycle = None if self._answered else self._cycle
        under_way = cycle is not None and (cycle.response_started or self.pipeline)
        if under_way or self.unsent or self.transport.is_closing():
            self.cut()
            return
        if cycle is not None:
            cycle.disconnected = True
        answer = problem_response(problem)
        headers = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        self.transport.write(
            STATUS_LINE[answer.status_code] + headers + b"connection: close\r\n\r\n" + answer.body
        )
        self.transport.close()

    def shutdown(self) -> None:
        super().shutdown()
        if self.on_shutdown is not None:
            self.on_shutdown()

    @property
    def unsent(self) -> int:
        """How much waits to be sent, in bytes."""
        return self.transport.get_write_buffer_size()

    def cut(self) -> None:
        """End the connection, whatever is not sent yet."""
        self.transport.abort()


def connection(scope: Scope) -> Connection | None:
    """The connection of a request; None under any server but ours."""
    offered = (scope.get("extensions") or {}).get(EXTENSION)
    return None if offered is None else offered["protocol"]
