"""The messages that a room sends to all its sessions: encoded once, framed once."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from collab.log.entry import encode_json

if TYPE_CHECKING:
    from collab.rooms.snapshot import Snapshot

DEFLATED_FROM_BYTES = 1024
"""A message that is shorter is not deflated, whoever may read it so."""

BATCH_LEVEL = 1

_EMPTY_BLOCK = b"\x00\x00\xff\xff"
"""What a deflated message leaves out at its end (RFC 7692, 7.2.1)."""


class Batch:
    """Messages that follow one another, shared by every session that is sent them.

    `payloads` are the messages, JSON in UTF-8; `wire` the same as unmasked WebSocket text frames,
    and `deflated` as frames for who reads deflated ones.
    """

    __slots__ = ("_deflated", "_wire", "payloads")

    def __init__(self, *payloads: bytes) -> None:
        self.payloads = payloads
        self._wire: bytes | None = None
        self._deflated: bytes | None = None

    @property
    def wire(self) -> bytes:
        if self._wire is None:
            self._wire = b"".join(map(frame, self.payloads))
        return self._wire

    @property
    def deflated(self) -> bytes:
        if self._deflated is None:
            if max(map(len, self.payloads)) < DEFLATED_FROM_BYTES:
                self._deflated = self.wire
            else:
                self._deflated = b"".join(map(_deflated_frame, self.payloads))
        return self._deflated


class Welcome:
    """The first message of a fresh start (H4): a session's own part, and a text that others get
    too. Its parts are never put together: they may be large, and many may come at once.
    """

    def __init__(self, own: bytes, snapshot: Snapshot) -> None:
        """`own` is a JSON object."""
        self._begin = own[:-1] + b',"text":'
        self._snapshot = snapshot

    @property
    def payload(self) -> bytes:
        return b"%s%s}" % (self._begin, self._snapshot.json)

    @property
    def wire(self) -> tuple[bytes, ...]:
        """The parts of one WebSocket text frame."""
        begin, text = self._begin, self._snapshot.json
        return _head(len(begin) + len(text) + 1) + begin, text, b"}"

    @property
    def deflated(self) -> tuple[bytes, ...]:
        """The same, deflated: two streams make one, as nothing refers back from the second."""
        text = self._snapshot.deflated
        if text is None:
            return self.wire
        begin = deflate(self._begin, BATCH_LEVEL)
        return _head(len(begin) + len(text), deflated=True) + begin, text


def deflate(data: bytes, level: int, *, last: bool = False) -> bytes:
    """A part of a deflated message, which ends at a byte; `last` is its last one."""
    compressor = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    deflated = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return deflated.removesuffix(_EMPTY_BLOCK) if last else deflated


def frame(payload: bytes) -> bytes:
    """A WebSocket text frame as a server sends it (RFC 6455, 5.2): final, not masked."""
    return _head(len(payload)) + payload


def _deflated_frame(payload: bytes) -> bytes:
    if len(payload) < DEFLATED_FROM_BYTES:
        return frame(payload)
    deflated = deflate(payload, BATCH_LEVEL, last=True)
    return _head(len(deflated), deflated=True) + deflated


def _head(size: int, *, deflated: bool = False) -> bytes:
    """How a frame of so many bytes begins. RSV1 says that it is deflated (RFC 7692, 6)."""
    first = 0xC1 if deflated else 0x81
    if size < 126:
        return bytes((first, size))
    if size < 65_536:
        return b"%c\x7e%s" % (first, size.to_bytes(2, "big"))
    return b"%c\x7f%s" % (first, size.to_bytes(8, "big"))


def updates(first: int, mark: str, items: bytes) -> bytes:
    """U1: `items` are ready JSON, joined by commas; the first makes revision `first`."""
    return b'{"type":"updates","revision":%d,"mark":"%s","updates":[%s]}' % (
        first,
        mark.encode(),
        items,
    )


def saved(revision: int) -> bytes:
    """S1."""
    return b'{"type":"saved","revision":%d}' % revision


def beat(revision: int, mark: str, saved_revision: int, crc: int | None) -> bytes:
    """U5, U6."""
    message: dict[str, object] = {
        "type": "beat",
        "revision": revision,
        "mark": mark,
        "saved": saved_revision,
    }
    if crc is not None:
        message["crc"] = crc
    return encode_json(message)
