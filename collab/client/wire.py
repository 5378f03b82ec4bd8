"""The messages of the live protocol, as a client reads and writes them.

Decoding checks types; a change is left as JSON for `Change.from_json` to check. What the server may
add in a later version of the same protocol, unknown fields, is ignored.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from collab.client.errors import Astray

PROTOCOL = 1

UNIT_BYTES = 6
"""A unit of text takes no more in JSON: a control character is written as `\\u0001`."""

ChangeJson: TypeAlias = list[Any]
"""A change's sections (T3)."""


class Limits(msgspec.Struct, frozen=True):
    """What holds for every client (L1)."""

    max_message_bytes: int
    max_document_units: int
    max_updates_per_push: int
    max_sections_per_push: int
    pushes_per_second: int
    heartbeat_s: float


# -- From the server ----------------------------------------------------------------------------


class Welcome(msgspec.Struct, tag="welcome", frozen=True):
    """The first message of a session: with `text` a fresh start (H4), without it a resume (H5).

    `inflight` is the fate of the push that the client named (H7).
    """

    protocol: int
    client: str
    session: str
    revision: int
    mark: str
    head: int
    saved: int
    role: str
    limits: Limits
    text: str | None = None
    reset: bool = False
    inflight: Literal["ordered", "void"] | None = None


class Updates(msgspec.Struct, tag="updates", frozen=True):
    """Ordered updates, each `(client, seq, changes)`; the first makes `revision` (U1)."""

    revision: int
    mark: str
    updates: list[tuple[str, int, ChangeJson]]


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """The push `seq` is not and will not be in the history (P5)."""

    seq: int
    code: str
    message: str = ""
    retry_after_ms: int | None = None


class Saved(msgspec.Struct, tag="saved", frozen=True):
    """The database has every update up to `revision` (S1)."""

    revision: int


class Beat(msgspec.Struct, tag="beat", frozen=True):
    """Where the server believes this session to be (U5), at times with the text's CRC-32 (U6)."""

    revision: int
    mark: str
    saved: int
    crc: int | None = None


class Role(msgspec.Struct, tag="role", frozen=True):
    """The user's role on the document changed (X2)."""

    role: str


class Goodbye(msgspec.Struct, tag="goodbye", frozen=True):
    """The server is about to restart; come back after `retry_after_ms` (H9)."""

    retry_after_ms: int


class Presence(msgspec.Struct, tag="presence", frozen=True):
    """Where the others' cursors are (A2), which this client does not show."""


Incoming: TypeAlias = Welcome | Updates | Refused | Saved | Beat | Role | Goodbye | Presence

_decoder: msgspec.json.Decoder[Incoming] = msgspec.json.Decoder(Incoming)


def decode(message: bytes) -> Incoming:
    """Raises Astray for what is no message of this protocol."""
    try:
        return _decoder.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Astray(f"not a message of this protocol: {error}") from error


# -- To the server ------------------------------------------------------------------------------


class Push(msgspec.Struct, tag="push", frozen=True):
    """A request that these changes be ordered together, on top of `revision` (P1)."""

    revision: int
    seq: int
    updates: list[msgspec.Raw]


encode = msgspec.json.encode

BEAT = b'{"type":"beat"}'
