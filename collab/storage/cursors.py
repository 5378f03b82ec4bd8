"""Cursors: a place in a list, opaque to whoever carries it. It is base64url of JSON."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from collab.errors import BadRequest

if TYPE_CHECKING:
    from msgspec import Struct

PlaceT = TypeVar("PlaceT", bound="Struct")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A whole number that every database can hold."""

RowId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]


def encode(place: Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decode(cursor: str, kind: type[PlaceT]) -> PlaceT:
    """Raises `BadRequest` for what no list gave out."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=kind)
    except (ValueError, msgspec.MsgspecError):
        raise bad_cursor() from None
    # What we gave out encodes to itself again; nothing else is let through to the database.
    if encode(place) != cursor:
        raise bad_cursor()
    return place


def bad_cursor() -> BadRequest:
    return BadRequest("the cursor is not one that this list gave out")
