"""A document's history in the database: segments of pushes, and snapshots of the text.

A segment's `pushes` are a JSON array of `[client, seq, author, at, mark, void, [changes, …]]`, the
changes as they took effect. A snapshot's `text` is UTF-8, deflated.
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, select

from collab.errors import Damaged, NotFound, Refusal
from collab.log.entry import Entry, Ordered, encode_json, first_mark, next_mark
from collab.log.rebase import MAX_BASE_DISTANCE
from collab.storage.tables import clients, documents, segments, snapshots
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from collab.storage.database import Database

SNAPSHOT_EVERY = 5_000
"""Revisions between two snapshots: opening a document replays no more than these."""


class SavedPush(msgspec.Struct, array_like=True, frozen=True):
    """A push as a segment holds it."""

    client: str
    seq: int
    author: str
    at: int
    mark: str
    void: bool
    changes: list[msgspec.Raw]


_decode_pushes = msgspec.json.Decoder(list[SavedPush]).decode


def encode_pushes(pushes: Iterable[Ordered]) -> bytes:
    return encode_json(
        [
            SavedPush(
                push.client,
                push.seq,
                push.author,
                push.at,
                push.mark,
                push.void is not None,
                [msgspec.Raw(change) for change in push.changes],
            )
            for push in pushes
        ]
    )


def encode_text(text: Text) -> bytes:
    return zlib.compress(str(text).encode(), level=1)


def decode_text(stored: bytes) -> Text:
    return Text.of(zlib.decompress(stored).decode())


@dataclass(frozen=True, slots=True)
class Saved:
    """A document as the database has it: its text at the saved revision, and the pushes that made
    it since revision `start`, at least the rebase window.
    """

    text: Text
    revision: int
    mark: str
    start: int
    start_mark: str
    tail: list[Ordered]


async def load(database: Database, document_id: str) -> Saved:
    """Read a document. Raises `NotFound`, or `Damaged` if its history does not fit together.

    The text is replayed in a thread: the event loop is others' meanwhile.
    """
    begin, stored, end = await database.look_up(lambda connection: _read(connection, document_id))
    try:
        saved = await asyncio.to_thread(_replay, begin, stored)
    except (Refusal, msgspec.MsgspecError) as error:
        raise Damaged(f"the history cannot be replayed: {error}") from error
    if (saved.revision, saved.mark) != end:
        raise Damaged(f"the history ends at {saved.revision}, not at {end[0]} as it should")
    return saved


def _read(connection: Connection, document_id: str) -> tuple[_Begin, list[bytes], tuple[int, str]]:
    """Where the replay begins, the segments after it, and the revision and mark where it ends."""
    saved = connection.execute(
        select(documents.c.saved_revision, documents.c.saved_mark).where(
            documents.c.id == document_id
        )
    ).one_or_none()
    if saved is None:
        raise NotFound("there is no such document")
    saved_revision = saved.saved_revision
    # The newest snapshot that does not lie inside the rebase window, so that each push in the
    # window is made anew together with the text that it made.
    snapshot = connection.execute(
        select(snapshots.c.revision, snapshots.c.mark, snapshots.c.text)
        .where(
            snapshots.c.document_id == document_id,
            snapshots.c.revision <= saved_revision - MAX_BASE_DISTANCE,
        )
        .order_by(snapshots.c.revision.desc())
        .limit(1)
    ).one_or_none()
    if snapshot is None:
        begin = _Begin(0, first_mark(document_id), Text.empty())
    else:
        begin = _Begin(snapshot.revision, snapshot.mark, decode_text(snapshot.text))
    stored = connection.scalars(
        select(segments.c.pushes)
        .where(
            segments.c.document_id == document_id,
            segments.c.last_revision > begin.revision,
            segments.c.last_revision <= saved_revision,
        )
        .order_by(segments.c.first_revision)
    )
    return begin, list(stored), (saved_revision, saved.saved_mark)


class _Begin(NamedTuple):
    revision: int
    mark: str
    text: Text


def _replay(begin: _Begin, stored: Sequence[bytes]) -> Saved:
    revision, mark, text = begin
    tail = []
    for blob in stored:
        for push in _decode_pushes(blob):
            ordered = _restore(push, revision + 1, mark, text)
            tail.append(ordered)
            revision, mark, text = ordered.last, ordered.mark, ordered.text
    return Saved(text, revision, mark, begin.revision, begin.mark, tail)


def _restore(push: SavedPush, first: int, before: str, text: Text) -> Ordered:
    updates = tuple(Change.from_json(msgspec.json.decode(change)) for change in push.changes)
    if not push.void:
        for update in updates:
            text = update.apply(text)
    return Ordered(
        client=push.client,
        seq=push.seq,
        author=push.author,
        at=push.at,
        first=first,
        before=before,
        mark=push.mark,
        updates=updates,
        changes=tuple(bytes(change) for change in push.changes),
        text=text,
        void=Refusal("void") if push.void else None,
    )


async def last_seq(database: Database, document_id: str, client: str) -> int:
    """The largest seq of a client that took effect and is saved; -1 if none did."""
    wanted = {"document_id": document_id, "client": client}
    seq = await database.look_up(lambda connection: connection.scalar(_LAST_SEQ, wanted))
    return -1 if seq is None else seq


_LAST_SEQ = select(clients.c.seq).where(
    clients.c.document_id == bindparam("document_id"), clients.c.client == bindparam("client")
)


def forget_clients(connection: Connection, before: int) -> None:
    """Forget the seqs of clients that pushed nothing since a time, in ms since 1970."""
    connection.execute(delete(clients).where(clients.c.at < before))


class FirstSegment(NamedTuple):
    """How a new document begins: its revision, mark and length, and the segment if it has text."""

    revision: int
    mark: str
    length: int
    pushes: bytes | None


def first_segment(document_id: str, text: str, author: str, at: int) -> FirstSegment:
    """The beginning of a document that is made with `text` by `author` (a user's id) at a time."""
    mark = first_mark(document_id)
    if not text:
        return FirstSegment(0, mark, 0, None)
    change = Change.replace(0, 0, 0, text)
    entry = Entry(client="", seq=0, base=0, updates=(change,), author=author, at=at)
    ordered = Ordered(
        client=entry.client,
        seq=entry.seq,
        author=author,
        at=at,
        first=1,
        before=mark,
        mark=next_mark(mark, entry.encode()),
        updates=entry.updates,
        changes=(encode_json(change.to_json()),),
        text=change.apply(Text.empty()),
    )
    return FirstSegment(1, ordered.mark, len(ordered.text), encode_pushes([ordered]))
