"""The messages that a room sends to all its sessions: encoded once, framed once."""

from __future__ import annotations

from collab.log.entry import encode_json


class Batch:
    """Messages that follow one another, shared by every session that is sent them.

    `payloads` are the messages, JSON in UTF-8; `wire` the same as unmasked WebSocket text frames.
    """

    __slots__ = ("_wire", "payloads")

    def __init__(self, *payloads: bytes) -> None:
        self.payloads = payloads
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        if self._wire is None:
            self._wire = b"".join(map(frame, self.payloads))
        return self._wire


def frame(payload: bytes) -> bytes:
    """A WebSocket text frame as a server sends it (RFC 6455, 5.2): final, not masked."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%s" % (size, payload)
    if size < 65_536:
        return b"\x81\x7e%s%s" % (size.to_bytes(2, "big"), payload)
    return b"\x81\x7f%s%s" % (size.to_bytes(8, "big"), payload)


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
