"""The live protocol's messages, one type each; decoding checks them (P6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from collab.errors import CloseCode, InvalidChange, SessionEnd, TooLarge
from collab.log.entry import encode_json
from collab.text import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collab.access.roles import Role
    from collab.errors import Refusal
    from collab.settings import Limits

Integer = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Position = Annotated[int, Meta(ge=-(2**53) + 1, le=2**53 - 1)]


class Push(Struct, tag="push", frozen=True):
    """P1.

    The updates are left undecoded: a bad change refuses the push, a bad message ends the session.
    """

    revision: Integer
    seq: Integer
    updates: list[Raw]


class Presence(Struct, tag="presence", frozen=True):
    """A1."""

    revision: Integer
    ranges: list[tuple[Position, Position]]


class Beat(Struct, tag="beat", frozen=True):
    """U5, a client's answer."""


class Token(Struct, tag="token", frozen=True):
    """X1."""

    token: str


Message = Push | Presence | Beat | Token

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)

_NOT_JSON = (msgspec.MsgspecError, UnicodeError, RecursionError)


def decode(data: str) -> Message:
    """Raises `SessionEnd` with 4400 for what is no message of the protocol."""
    try:
        return _decoder.decode(data)
    except _NOT_JSON:
        # What is wrong with it would quote the message, and with it somebody's text.
        raise SessionEnd(CloseCode.PROTOCOL, "not a message of this protocol") from None


def parse_updates(updates: Sequence[Raw], limits: Limits) -> tuple[Change, ...]:
    """The changes of a push. Raises `TooLarge` or `InvalidChange` (T5)."""
    if len(updates) > limits.max_updates_per_push:
        raise TooLarge(f"a push has at most {limits.max_updates_per_push} updates")
    sections, changes = 0, []
    for update in updates:
        try:
            value = msgspec.json.decode(update)
        except _NOT_JSON:
            raise InvalidChange("a change is an array of sections") from None
        sections += len(value) if isinstance(value, list) else 1
        if sections > limits.max_sections_per_push:
            raise TooLarge(f"a push has at most {limits.max_sections_per_push} sections")
        changes.append(Change.from_json(value))
    return tuple(changes)


def refused(seq: int, refusal: Refusal) -> bytes:
    """P5."""
    message: dict[str, object] = {
        "type": "refused",
        "seq": seq,
        "code": refusal.code,
        "message": refusal.message,
    }
    if refusal.retry_after_ms is not None:
        message["retry_after_ms"] = refusal.retry_after_ms
    return encode_json(message)


def role(role: Role) -> bytes:
    """X2."""
    return encode_json({"type": "role", "role": role.value})


def goodbye(retry_after_ms: int) -> bytes:
    """H9."""
    return encode_json({"type": "goodbye", "retry_after_ms": retry_after_ms})


def limits_json(limits: Limits) -> dict[str, float]:
    """L1."""
    return {
        "max_message_bytes": limits.max_message_bytes,
        "max_document_units": limits.max_document_units,
        "max_updates_per_push": limits.max_updates_per_push,
        "max_sections_per_push": limits.max_sections_per_push,
        "max_ranges": limits.max_ranges,
        "pushes_per_second": limits.pushes_per_second,
        "presence_hz": limits.presence_hz,
        "heartbeat_s": limits.heartbeat_s,
    }
