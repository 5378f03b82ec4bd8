"""What a document's log holds.

A log is a sequence of entries: pushes as they came in. An entry takes one revision for each of its
updates. What the entries make of the text follows from the log alone (`rooms.room`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collab.errors import Refusal
    from collab.text import Change, Text

FORMAT = 1
"""The version of the entries' form and of the constants that decide what they make (`rebase`)."""

encode_json = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True):
    """A push as it came in.

    `client` is the public name; `base` the revision that the first update applies to, `None` for a
    settling entry, which has no updates and never takes effect; `at` is milliseconds since 1970.
    """

    client: str
    seq: int
    base: int | None
    updates: tuple[Change, ...]
    author: str
    at: int

    @property
    def revisions(self) -> int:
        """How many revisions the entry takes."""
        return len(self.updates) or 1

    def encode(self) -> bytes:
        """The bytes of which the mark is made, the same on every server."""
        updates = [update.to_json() for update in self.updates]
        return encode_json(
            (FORMAT, self.client, self.seq, self.base, self.author, self.at, updates)
        )


class Point(NamedTuple):
    """The end of a push: its revision, its mark, and what the history weighs up to there."""

    revision: int
    mark: str
    weight: int


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What stays of an entry that was ordered: revisions `first` to `last`.

    `changes` are in JSON, as they took effect, those of a void entry empty. `mark` is the mark at
    `last`, and `weight` what the whole history weighs up to there.
    """

    client: str
    seq: int
    author: str
    at: int
    first: int
    mark: str
    weight: int
    changes: tuple[bytes, ...]
    void: bool = False

    @property
    def last(self) -> int:
        return self.first + len(self.changes) - 1


class Ordered(Past, frozen=True, kw_only=True):
    """An entry that was just ordered, and what it made.

    `updates` are `changes`; `before` is where it begins, `text` the text at `last`.
    `refusal` tells why a void entry took no effect.
    """

    before: Point
    updates: tuple[Change, ...]
    text: Text
    refusal: Refusal | None = None


def first_mark(document_id: str) -> str:
    """The mark of revision 0."""
    return hashlib.sha1(b"collab %d %s" % (FORMAT, document_id.encode())).hexdigest()  # noqa: S324


def next_mark(mark: str, entry: bytes) -> str:
    """The mark after an entry: a hash of the mark before it and of its bytes.

    SHA-1 because Redis offers it to scripts. Marks tell histories apart; they guard nothing.
    """
    return hashlib.sha1(mark.encode() + entry).hexdigest()  # noqa: S324


def public_name(client_id: str) -> str:
    """The name that everyone sees for a client, from the ID that only the client knows."""
    return hashlib.blake2b(client_id.encode(), digest_size=9, person=b"collab client").hexdigest()
