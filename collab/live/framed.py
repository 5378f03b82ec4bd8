"""A WebSocket that is served without an application: frames come from the socket and go to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode

from collab.errors import CloseCode
from collab.live.transport import CLOSE_TIMEOUT_S, close_timeout_s
from collab.rooms.frames import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.protocol import Event, Protocol
    from websockets.typing import BytesLike

    from collab.live.conversation import Conversation
    from collab.live.transport import Listener
    from collab.rooms.frames import Welcome

PARSED_AT_ONCE_BYTES = 16 * 1024
"""How much of what came in is parsed before others have their turn: 256 KiB may come in at once,
and be 40,000 tiny frames.
"""

PING = b"\x89\x00"
"""A WebSocket ping that carries nothing (RFC 6455, 5.5.2)."""

LOST = 1005
"""What a connection is counted as that ended without a close frame."""

_NOTHING: Iterator[Event] = iter(())


class FramedTransport(asyncio.Protocol):
    """A `Serving` over a socket: what comes in goes straight to the conversation, and frames that
    were made once are written as they are.

    There are as many of these as there are editors: it keeps no more than it needs.
    """

    __slots__ = (
        "_begun",
        "_close_code",
        "_conn",
        "_connections",
        "_conversation",
        "_cutting",
        "_events",
        "_full",
        "_gone",
        "_is_closing",
        "_is_paused",
        "_tasks",
        "_unparsed",
        "_waits",
        "deflates",
        "listener",
        "transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        conn: Protocol,
        deflates: bool,
        connections: set[Any],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        """`connections` and `tasks` are uvicorn's, which ends them when it goes down."""
        self.listener: Listener | None = None
        self.deflates = deflates
        self.transport = transport
        self._conn = conn
        self._connections = connections
        self._tasks = tasks
        self._conversation: Conversation | None = None
        self._unparsed = b""
        self._events = _NOTHING
        self._begun: list[bytes] | None = None  # the parts of a text message
        self._waits = False  # what came in is dealt with later
        self._is_paused = True
        self._full = False
        self._is_closing = False  # a close frame was sent
        self._close_code: int | None = None  # nothing more is heard
        self._gone = False
        self._cutting: asyncio.TimerHandle | None = None
        connections.add(self)
        transport.set_protocol(self)
        transport.pause_reading()

    def serve(self, conversation: Conversation) -> None:
        self._conversation = conversation
        if self._close_code is not None:
            conversation.over(self._close_code)
        if self._gone:
            conversation.gone()
        else:
            self._read_on()

    # -- What comes in ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unparsed += data
        if not self._waits:
            self._parse()

    def _parse(self) -> None:
        """Parse a slice of what came in, and deal with it."""
        if self.transport.is_closing():
            self._unparsed = b""
            return
        data = self._unparsed
        self._unparsed = data[PARSED_AT_ONCE_BYTES:]
        self._conn.receive_data(data[:PARSED_AT_ONCE_BYTES])
        events = self._conn.events_received()
        if self._conn.parser_exc is None:
            self._events = iter(events)
        else:
            self._refuse_rest()
        self._deal()

    def _deal(self) -> None:
        """With what was parsed, and then with the rest. Nothing more is read before."""
        self._waits = False
        for event in self._events:
            assert isinstance(event, Frame), "the handshake is over"
            self._happened(event)
            if self._waits:
                return
        self._events = _NOTHING
        if self._unparsed:
            self._wait()
            asyncio.get_running_loop().call_soon(self._parse)
        else:
            self._read_on()

    def _wait(self) -> None:
        self._waits = True
        if not self._is_paused and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def _read_on(self) -> None:
        if self._is_paused and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    def _happened(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT if frame.fin:
                self._text(frame.data)
            case Opcode.TEXT:
                self._begun = [bytes(frame.data)]
            case Opcode.BINARY:
                self._take(None)
            case Opcode.CONT:
                self._continue(frame)
                self._noise()
            case Opcode.PING:
                pong = self._conn.data_to_send()
                if not self._full:  # a client that does not read gets no pong either
                    self.transport.write(b"".join(pong))
                self._noise()
            case Opcode.PONG:
                self._noise()
            case Opcode.CLOSE:
                self._closed_by_client()

    def _continue(self, frame: Frame) -> None:
        parts = self._begun
        if parts is None:
            return  # of a binary message
        parts.append(bytes(frame.data))
        if frame.fin:
            self._begun = None
            self._text(b"".join(parts))

    def _text(self, data: BytesLike) -> None:
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.close(1007, "text messages are UTF-8")
        else:
            self._take(text)

    def _take(self, text: str | None) -> None:
        conversation = self._conversation
        if conversation is None or self._is_closing:
            return
        token = conversation.take(text)
        if token is not None:
            self._wait()
            loop = asyncio.get_running_loop()
            renewing = loop.create_task(self._renew(conversation, token), name="renewing")
            self._tasks.add(renewing)
            renewing.add_done_callback(self._tasks.discard)

    async def _renew(self, conversation: Conversation, token: str) -> None:
        await conversation.renew(token)
        if not self._gone:
            self._deal()

    def _noise(self) -> None:
        if self.listener is not None:
            self.listener.heard_noise()

    # -- What goes out ------------------------------------------------------------------------

    @property
    def writable(self) -> bool:
        return not self._full and self._is_open

    @property
    def _is_open(self) -> bool:
        return not (self._is_closing or self._gone or self.transport.is_closing())

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def welcome(self, welcome: Batch | Welcome) -> None:
        if self._gone:
            return  # while it was made
        if isinstance(welcome, Batch):
            self.write(welcome)
        else:
            self.transport.writelines(welcome.deflated if self.deflates else welcome.wire)

    def write(self, batch: Batch) -> None:
        self.transport.write(batch.deflated if self.deflates else batch.wire)

    def ping(self) -> bool:
        if not self._gone:
            self.transport.write(PING)
        return True

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self.listener is not None:
            self.listener.drained()

    # -- Its end ------------------------------------------------------------------------------

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, whatever is still unsent before it, and wait for the answer."""
        if not self._is_open:
            return
        self._over(code)
        try:
            self._conn.send_close(code, reason)
        except InvalidState:
            self.transport.abort()
            return
        self._send_close(close_timeout_s(code))

    def abort(self) -> None:
        self.transport.abort()

    def shutdown(self) -> None:
        """The server goes down, and waits for nobody who does not read. uvicorn calls it."""
        if self._is_closing and self.unsent:
            self.transport.abort()
            return
        if self.listener is not None:
            self.listener.say_goodbye()
        self.close(CloseCode.RESTART, "")
        self.transport.close()

    def _closed_by_client(self) -> None:
        if not self._is_closing:
            assert self._conn.close_rcvd is not None
            self._over(self._conn.close_rcvd.code)
            # It may have closed and yet not read what is unsent.
            self._send_close(CLOSE_TIMEOUT_S)
        self.transport.close()

    def _refuse_rest(self) -> None:
        """What came in is no WebSocket, or too big (L2).

        The rest of it may still be coming. To close at once would reset the connection, and the
        client never learn why: it is passed over until the client has closed.
        """
        if self._is_closing:
            return
        assert self._conn.close_sent is not None
        self._over(self._conn.close_sent.code)
        self._send_close(CLOSE_TIMEOUT_S)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _send_close(self, timeout_s: float) -> None:
        """Write the close frame, and give the connection so long to end."""
        self._is_closing = True
        self.transport.write(b"".join(self._conn.data_to_send()))
        loop = asyncio.get_running_loop()
        self._cutting = loop.call_later(timeout_s, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._unparsed = b""
        self._connections.discard(self)
        self._conn.parser.close()  # it refers to itself
        if self._cutting is not None:
            self._cutting.cancel()
        self._over(LOST)
        if self._conversation is not None:
            self._conversation.gone()
            self._conversation = None

    def _over(self, code: int) -> None:
        """Nothing that comes in is heard any more."""
        if self._close_code is None:
            self._close_code = code
            if self._conversation is not None:
                self._conversation.over(code)
