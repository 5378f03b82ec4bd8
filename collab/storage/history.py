"""A document's history in the database: its pushes in segments, its text in snapshots now and then.

A text is read from the last snapshot before it and the pushes that follow, never from the whole
history. A snapshot's `text` is UTF-8, deflated.
"""

from __future__ import annotations

import asyncio
import itertools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import BigInteger, bindparam, delete, func, select, tuple_

from collab.errors import Damaged, NotFound, Refusal
from collab.log.entry import Entry, Past, Point, encode_json, first_mark, next_mark
from collab.log.rebase import MAX_BASE_DISTANCE, MAX_BASE_WEIGHT, weigh
from collab.storage.segments import Segment, encode, holding
from collab.storage.tables import clients, documents, segments, snapshots
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

    from collab.storage.database import Database


@dataclass(frozen=True, slots=True)
class Saved:
    """A document as the database has it: its text at the saved revision, and the pushes since
    `start`, at least those of the rebase window.
    """

    text: Text
    end: Point
    start: Point
    tail: list[Past]


class SavedUpdate(NamedTuple):
    """An update as it took effect: its change in JSON, empty if the push was void."""

    revision: int
    client: str
    seq: int
    author: str
    at: int
    void: bool
    change: bytes


def encode_text(text: Text) -> bytes:
    return zlib.compress(str(text).encode(), level=1)


def decode_text(stored: bytes) -> Text:
    return Text.of(zlib.decompress(stored).decode())


# -- The document as it was saved last -----------------------------------------------------------


async def load(database: Database, document_id: str) -> Saved:
    """Read a document. Raises `NotFound`, or `Damaged` if its history does not fit together.

    The text is replayed in a thread: the event loop is others' meanwhile.
    """
    end, snapshot, stored = await database.look_up(
        lambda connection: _read_end(connection, document_id)
    )
    return await asyncio.to_thread(_restore, end, snapshot, stored)


class _Snapshot(NamedTuple):
    revision: int
    text: bytes


def _read_end(connection: Connection, document_id: str) -> tuple[Point, _Snapshot, list[Segment]]:
    """Where the document ends, its last snapshot, and the segments since it and of the window."""
    end = _end(connection, document_id)
    snapshot = _snapshot(connection, document_id, end.revision)
    after = min(snapshot.revision, _window(connection, document_id, end))
    return end, snapshot, list(holding(connection, document_id, after, end.revision))


def _window(connection: Connection, document_id: str, end: Point) -> int:
    """Where the last segment begins that begins as far back, or as much, as a base may lie."""
    by_revision = {"document": document_id, "revision": end.revision - MAX_BASE_DISTANCE}
    begin = connection.scalar(_AT_OR_BEFORE, by_revision) or 0
    by_weight = {
        "document": document_id,
        "after": begin,
        "weight": end.weight - MAX_BASE_WEIGHT,
    }
    return connection.scalar(_AS_LIGHT, by_weight) or begin


_BEGIN = select(func.max(segments.c.first_revision) - 1).where(
    segments.c.document_id == bindparam("document")
)
_AT_OR_BEFORE = _BEGIN.where(
    segments.c.first_revision <= bindparam("revision", type_=BigInteger) + 1
)
_AS_LIGHT = _BEGIN.where(
    segments.c.first_revision > bindparam("after", type_=BigInteger) + 1,
    segments.c.weight_before <= bindparam("weight"),
)


def _restore(end: Point, snapshot: _Snapshot, stored: list[Segment]) -> Saved:
    tail = list(_pushes(stored))
    start = stored[0].begin if stored else end
    last = tail[-1] if tail else None
    found = Point(0, end.mark, 0) if last is None else Point(last.last, last.mark, last.weight)
    if found != end:
        raise Damaged(f"the history does not lead to revision {end.revision} as it should")
    return Saved(_text(snapshot, tail, end.revision), end, start, tail)


def _pushes(stored: Iterable[Segment]) -> Iterator[Past]:
    """What segments hold that follow one another. Raises `Damaged`."""
    end = None
    for segment in stored:
        if end not in (None, segment.begin):
            raise Damaged(f"the history has a gap before revision {segment.begin.revision}")
        for push in segment.read():
            yield push
            end = Point(push.last, push.mark, push.weight)


def _text(snapshot: _Snapshot, pushes: Iterable[Past], revision: int) -> Text:
    """The text at a revision, from a snapshot and the pushes of which some follow it."""
    at = snapshot.revision
    try:
        text = decode_text(snapshot.text) if snapshot.text else Text.empty()
        for push in pushes:
            if at + 1 == push.first <= revision:
                at = push.last
                for change in () if push.void else push.changes[: revision - push.first + 1]:
                    text = Change.from_json(msgspec.json.decode(change)).apply(text)
    except (Refusal, msgspec.MsgspecError, UnicodeError, zlib.error) as error:
        raise Damaged(f"the history cannot be replayed: {error}") from error
    if at < revision:
        raise Damaged(f"the history does not reach revision {revision}")
    return text


def _end(connection: Connection, document_id: str) -> Point:
    """Raises `NotFound`."""
    row = connection.execute(_END, {"document": document_id}).one_or_none()
    if row is None:
        raise NotFound("there is no such document")
    return Point(*row)


_END = select(documents.c.saved_revision, documents.c.saved_mark, documents.c.saved_weight).where(
    documents.c.id == bindparam("document")
)


def _snapshot(connection: Connection, document_id: str, revision: int) -> _Snapshot:
    """The last snapshot at or before a revision; the empty text if there is none."""
    wanted = {"document": document_id, "revision": revision}
    row = connection.execute(_SNAPSHOT, wanted).one_or_none()
    return _Snapshot(0, b"") if row is None else _Snapshot(*row)


_SNAPSHOT = (
    select(snapshots.c.revision, snapshots.c.text)
    .where(
        snapshots.c.document_id == bindparam("document"),
        snapshots.c.revision <= bindparam("revision"),
    )
    .order_by(snapshots.c.revision.desc())
    .limit(1)
)


# -- The document as it was, and how it came to be -----------------------------------------------


async def text_at(database: Database, document_id: str, revision: int) -> Text:
    """The text at a saved revision. Raises `NotFound`, also for one that is not saved yet."""
    snapshot, stored = await database.look_up(
        lambda connection: _read_at(connection, document_id, revision)
    )
    return await asyncio.to_thread(_text, snapshot, _pushes(stored), revision)


def _read_at(
    connection: Connection, document_id: str, revision: int
) -> tuple[_Snapshot, list[Segment]]:
    if not 0 <= revision <= _end(connection, document_id).revision:
        raise NotFound(f"there is no revision {revision}")
    snapshot = _snapshot(connection, document_id, revision)
    return snapshot, list(holding(connection, document_id, snapshot.revision, revision))


async def updates(
    database: Database, document_id: str, after: int, limit: int, max_bytes: int = 2**63
) -> list[SavedUpdate]:
    """The updates after a revision, as far as they are saved: `limit` at most, and, after the
    first, no more than fit `max_bytes`.

    Raises `NotFound` for a document that is not there.
    """
    stored = await database.look_up(
        lambda connection: _read_updates(connection, document_id, after, limit, max_bytes)
    )
    return await asyncio.to_thread(_take, stored, after, limit, max_bytes)


SEGMENTS_AT_ONCE = 16


def _read_updates(
    connection: Connection, document_id: str, after: int, limit: int, max_bytes: int
) -> list[Segment]:
    """The segments that hold the updates, and not many more."""
    upto = min(_end(connection, document_id).revision, after + limit)
    stored: list[Segment] = []
    few = connection.execution_options(yield_per=SEGMENTS_AT_ONCE)
    for segment in holding(few, document_id, after, upto):
        stored.append(segment)
        max_bytes -= len(segment.pushes)
        if max_bytes < 0:
            break
    return stored


def _take(stored: list[Segment], after: int, limit: int, max_bytes: int) -> list[SavedUpdate]:
    found = (
        update for push in _pushes(stored) for update in updates_of(push) if update.revision > after
    )
    taken: list[SavedUpdate] = []
    for update in itertools.islice(found, limit):
        max_bytes -= len(update.change)
        if taken and max_bytes < 0:
            break
        taken.append(update)
    return taken


def updates_of(push: Past) -> Iterator[SavedUpdate]:
    for revision, change in enumerate(push.changes, push.first):
        yield SavedUpdate(revision, push.client, push.seq, push.author, push.at, push.void, change)


# -- The fate of pushes --------------------------------------------------------------------------


async def last_seq(database: Database, document_id: str, client: str) -> int:
    """The largest seq of a client that took effect and is saved; -1 if none did."""
    wanted = {"document_id": document_id, "client": client}
    seq = await database.look_up(lambda connection: connection.scalar(_LAST_SEQ, wanted))
    return -1 if seq is None else seq


_LAST_SEQ = select(clients.c.seq).where(
    clients.c.document_id == bindparam("document_id"), clients.c.client == bindparam("client")
)


def forget_clients(connection: Connection, before: int, limit: int) -> int:
    """Forget the seqs of clients that pushed nothing since a time, in ms since 1970.

    Returns how many: those above the limit wait for another transaction.
    """
    key = (clients.c.document_id, clients.c.client)
    # Those that another server forgets, or that push there meanwhile, are left to it: who would
    # wait for some while it holds others might wait for ever.
    old = select(*key).where(clients.c.at < before).limit(limit).with_for_update(skip_locked=True)
    return connection.execute(delete(clients).where(tuple_(*key).in_(old))).rowcount


# -- The beginning -------------------------------------------------------------------------------


class FirstSegment(NamedTuple):
    """How a new document begins: where its first push ends, if it has one, the length of its text,
    and that push as a segment holds it.
    """

    end: Point
    length: int
    pushes: bytes | None


def first_segment(document_id: str, text: str, author: str, at: int) -> FirstSegment:
    """The beginning of a document that is made with `text` by `author` (a user's id) at a time."""
    mark = first_mark(document_id)
    if not text:
        return FirstSegment(Point(0, mark, 0), 0, None)
    change = Change.replace(0, 0, 0, text)
    entry = Entry(client="", seq=0, base=0, updates=(change,), author=author, at=at)
    written = encode_json(change.to_json())
    push = Past(
        client=entry.client,
        seq=entry.seq,
        author=author,
        at=at,
        first=1,
        mark=next_mark(mark, entry.encode()),
        weight=weigh(change, written),
        changes=(written,),
    )
    return FirstSegment(Point(1, push.mark, push.weight), change.new_length, encode([push]))
