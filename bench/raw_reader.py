"""A client that reads only when it is told to, as one behind a network that has stalled.

Its socket has little room and takes segments of an Ethernet's size: over the loopback address the
kernel would else hold megabytes for it, and the server would never notice.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from collab.client import wire
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOM_BYTES = 4_096
SEGMENT_BYTES = 1_400
CHUNK_BYTES = 65_536
PATIENCE_S = 60.0


class RawReader:
    """`updates` and `messages` count what came after the welcome.

    `close_code` is what it was closed with, None while it is open; 1006 if it was cut off.
    """

    def __init__(self, connection: socket.socket, protocol: ClientProtocol, client_id: str) -> None:
        self.client_id = client_id
        self.text = Text.empty()
        self.revision = 0
        self.updates = self.messages = 0
        self._connection = connection
        self._protocol = protocol
        self._heartbeat_s = 0.0

    @property
    def close_code(self) -> int | None:
        return self._protocol.close_code

    async def join(self, token: str) -> None:
        """Shake hands, and hear the welcome."""
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {token}"
        self._protocol.send_request(request)
        await self._send()
        async with asyncio.timeout(PATIENCE_S):
            while not self._heartbeat_s:
                await self._read()

    async def beat(self) -> None:
        """Answer beats that it does not read (U5), until it is cancelled or cut off."""
        await asyncio.sleep(self._heartbeat_s)
        while self._protocol.state is State.OPEN:
            self._protocol.send_text(wire.BEAT)
            await self._send()
            await asyncio.sleep(self._heartbeat_s)

    async def read_to(self, revision: int) -> None:
        """Read until it has every update up to `revision`, or the connection ends."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK_BYTES)
        async with asyncio.timeout(PATIENCE_S):
            while self.revision < revision and self.close_code is None:
                await self._read()

    async def _read(self) -> None:
        try:
            received = await asyncio.get_running_loop().sock_recv(self._connection, CHUNK_BYTES)
        except ConnectionError:
            received = b""
        if received:
            self._protocol.receive_data(received)
        else:
            self._protocol.receive_eof()
        await self._send()  # the answer to a close frame, if one came
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._take(wire.decode(bytes(event.data)))
        if self._protocol.handshake_exc is not None:
            raise self._protocol.handshake_exc

    def _take(self, message: wire.Incoming) -> None:
        match message:
            case wire.Welcome(text=str(text)):
                self._heartbeat_s = message.limits.heartbeat_s
                self.revision, self.text = message.revision, Text.of(text)
            case wire.Updates():
                assert message.revision == self.revision + 1, "updates have a gap (U2)"
                for _, _, change in message.updates:
                    self.text = Change.from_json(change).apply(self.text)
                self.revision += len(message.updates)
                self.updates += len(message.updates)
                self.messages += 1
            case _:
                pass

    async def _send(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        with suppress(ConnectionError):  # reading tells of it
            await asyncio.get_running_loop().sock_sendall(self._connection, data)


@asynccontextmanager
async def joined(url: str, document_id: str, token: str) -> AsyncIterator[RawReader]:
    """A reader that was welcomed. From here on it beats, and reads nothing of its own accord."""
    client_id = secrets.token_urlsafe(16)
    address = urlsplit(url)
    path = f"/v1/documents/{document_id}/live?{urlencode({'client': client_id})}"
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, (address.hostname, address.port))
        protocol = ClientProtocol(parse_uri(f"ws://{address.netloc}{path}"), max_size=None)
        reader = RawReader(connection, protocol, client_id)
        await reader.join(token)
        beating = asyncio.create_task(reader.beat(), name="slow reader's beats")
        try:
            yield reader
        finally:
            beating.cancel()
            await asyncio.wait([beating])
