"""How pushes lie in the database: the segments of a document, one after the other.

A segment's `pushes` are a JSON array of `[client, seq, author, at, mark, void, [change, …]]`, the
changes as they took effect; in segments that were merged it is deflated.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import BigInteger, bindparam, func, select

from collab.errors import Damaged
from collab.log.entry import Past, Point, encode_json
from collab.log.rebase import weigh_written
from collab.storage.tables import segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection


class SavedPush(msgspec.Struct, array_like=True, frozen=True):
    """A push as a segment holds it."""

    client: str
    seq: int
    author: str
    at: int
    mark: str
    void: bool
    changes: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Segment:
    """Some pushes of a document, and where they begin."""

    begin: Point
    last_revision: int
    pushes: bytes

    def read(self) -> Iterator[Past]:
        """The pushes. Raises `Damaged`."""
        revision, _, weight = self.begin
        for push in _decode(self.pushes):
            changes = tuple(map(bytes, push.changes))
            weight += sum(map(weigh_written, changes))
            past = Past(
                client=push.client,
                seq=push.seq,
                author=push.author,
                at=push.at,
                first=revision + 1,
                mark=push.mark,
                weight=weight,
                changes=changes,
                void=push.void,
            )
            revision = past.last
            yield past
        if revision != self.last_revision:
            raise Damaged(f"a segment ends at {revision} and not at {self.last_revision}")


_decoder = msgspec.json.Decoder(list[SavedPush])


def _decode(pushes: bytes) -> list[SavedPush]:
    try:
        return _decoder.decode(pushes if pushes.startswith(b"[") else zlib.decompress(pushes))
    except (msgspec.MsgspecError, UnicodeError, zlib.error) as error:
        raise Damaged(f"a segment cannot be read: {error}") from error


def encode(pushes: Iterable[Past]) -> bytes:
    return encode_json(
        [
            SavedPush(
                push.client,
                push.seq,
                push.author,
                push.at,
                push.mark,
                push.void,
                [msgspec.Raw(change) for change in push.changes],
            )
            for push in pushes
        ]
    )


def deflated(pushes: bytes) -> bytes:
    """As they lie in a merged segment."""
    return zlib.compress(pushes) if pushes.startswith(b"[") else pushes


def holding(connection: Connection, document_id: str, after: int, upto: int) -> Iterator[Segment]:
    """The segments that hold the revisions after `after`, up to `upto`, in order.

    The first may begin earlier, the last end later.
    """
    rows = connection.execute(_HOLDING, {"document": document_id, "after": after, "upto": upto})
    for row in rows:
        begin = Point(row.first_revision - 1, row.mark_before, row.weight_before)
        yield Segment(begin, row.last_revision, row.pushes)


_HOLDING = (
    select(segments)
    .where(
        segments.c.document_id == bindparam("document"),
        segments.c.first_revision
        >= select(func.coalesce(func.max(segments.c.first_revision), 1))
        .where(
            segments.c.document_id == bindparam("document"),
            segments.c.first_revision <= bindparam("after", type_=BigInteger) + 1,
        )
        .scalar_subquery(),
        segments.c.first_revision <= bindparam("upto"),
    )
    .order_by(segments.c.first_revision)
)
