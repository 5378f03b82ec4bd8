"""A client below the WebSocket: it sends bytes as they are, and reads when it is told to."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import socket
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_S = 20
SMALL_BUFFER_BYTES = 4_096

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0, masked: bool = True
) -> bytes:
    """A WebSocket frame as a client sends it (RFC 6455, 5.2), or as it must not."""
    size = len(payload)
    head = bytes([final << 7 | reserved << 4 | opcode])
    if size < 126:
        head += bytes([masked << 7 | size])
    elif size < 65_536:
        head += bytes([masked << 7 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([masked << 7 | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    key = os.urandom(4)
    pad = (key * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return head + key + mixed.to_bytes(size, "big")


def upgrade(
    path: str, port: int, headers: Mapping[str, str | None] | None = None, *, method: str = "GET"
) -> bytes:
    """A handshake's request. A header that is None is left out."""
    given: dict[str, str | None] = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


class Raw:
    """One TCP connection, with buffers of its own as small as can be."""

    made: ClassVar[list[Raw]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made.append(self)
        self.reader = reader
        self.writer = writer
        self._read = b""

    @classmethod
    async def open(cls, port: int, address: str = "") -> Raw:
        """`address` is where it comes from, some address of this machine."""
        connection = socket.socket()
        connection.setblocking(False)
        if address:
            connection.bind((address, 0))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        return cls(*await asyncio.open_connection(sock=connection, limit=SMALL_BUFFER_BYTES))

    @classmethod
    async def join(
        cls, port: int, document_id: str, token: str, *, address: str = "", **query: Any
    ) -> Raw:
        """A session that was accepted, and has read nothing of its welcome yet."""
        raw = await cls.open(port, address)
        asked = urlencode({"token": token, "client": secrets.token_urlsafe(16), **query})
        raw.send(upgrade(f"/v1/documents/{document_id}/live?{asked}", port))
        status, _ = await raw.answer_head()
        assert status == 101
        return raw

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def send_message(self, message: Any) -> None:
        self.send(frame(TEXT, json.dumps(message).encode()))

    async def answer_head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers of an HTTP answer."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")[:-2]
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(first.split()[1]), headers

    async def refusal(self) -> tuple[int, str] | tuple[int, str, str]:
        """How a handshake is answered: the status, with the code and the detail of a problem, or
        else the body up to its first colon.
        """
        status, headers = await self.answer_head()
        if status == 101:
            return status, ""
        async with asyncio.timeout(PATIENCE_S):
            body = (await self.reader.read()).decode()
        if headers.get("content-type") != "application/problem+json":
            return status, body.partition(":")[0].strip()
        problem = json.loads(body)
        return status, problem["code"], problem["detail"]

    async def read(self, size: int) -> None:
        """Read so much more of what waits for it; it is heard later."""
        async with asyncio.timeout(PATIENCE_S):
            self._read += await self.reader.readexactly(size)

    async def _take(self, size: int) -> bytes:
        if len(self._read) < size:
            await self.read(size - len(self._read))
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    async def next(self) -> tuple[int, bytes]:
        """The opcode and the payload of the next frame."""
        first, payload = await self.next_whole()
        return first & 0x0F, payload

    async def next_whole(self) -> tuple[int, bytes]:
        """The first byte and the payload of the next frame."""
        first, size = await self._take(2)
        if size >= 126:
            size = int.from_bytes(await self._take(2 if size == 126 else 8), "big")
        return first, await self._take(size)

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next message of a type; all others are passed over, and pings answered."""
        while True:
            opcode, payload = await self.next()
            if opcode == PING:
                self.send(frame(PONG, payload))
                continue
            assert opcode == TEXT, f"{opcode}: {payload!r}"
            message: dict[str, Any] = json.loads(payload)
            if message["type"] == kind:
                return message

    async def closed(self) -> tuple[int, str]:
        """Read up to the close frame. Returns its code and reason; 1006 if there is none."""
        try:
            while True:
                opcode, payload = await self.next()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big"), payload[2:].decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return 1006, ""

    async def cut(self) -> None:
        if not self.writer.is_closing():
            self.writer.transport.abort()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return

    @classmethod
    async def close_all(cls) -> None:
        while cls.made:
            await cls.made.pop().cut()
