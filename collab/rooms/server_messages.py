"""What the servers that have a document open tell one another, on the document's channel.

Each message bears its sender: the name of one room on one server, from its opening to its closing.
Servers of several versions may meet: types and fields that are not known are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - the decoder looks at the types

import msgspec
from msgspec import Struct


class Peer(Struct, frozen=True):
    """A session of the sender; `arrival` is when its handshake came, by the servers' clocks."""

    client: str
    name: str
    color: str
    arrival: int
    revision: int
    ranges: Sequence[tuple[int, int]]


class News(Struct, tag="news", frozen=True):
    """What changed at the sender since its news of the number before. `all`: everybody there."""

    sender: str
    number: int
    all: bool
    peers: list[Peer]
    left: list[str]


class Alive(Struct, tag="alive", frozen=True):
    """Every heartbeat: the number of the sender's last news, and its clock."""

    sender: str
    number: int
    at: int


class Ask(Struct, tag="ask", frozen=True):
    """Tell all again, you or everybody (None)."""

    sender: str
    of: str | None


class Bye(Struct, tag="bye", frozen=True):
    """The sender has closed the document."""

    sender: str


class Arrived(Struct, tag="arrived", frozen=True):
    """A handshake has begun at the sender, and may become a session; or it did."""

    sender: str
    client: str
    arrival: int
    joined: bool


Message = News | Alive | Ask | Bye | Arrived

encode = msgspec.json.Encoder().encode

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def decode(data: bytes) -> Message | None:
    """None for what this version does not know."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError):
        return None
