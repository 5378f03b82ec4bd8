"""The upkeep: a background task that keeps documents quick to open, however long their history.

The writer adds a small segment with each commit. Of a document that has many, the loose ones are
merged. A snapshot of the text is due whenever the history has grown by more than it costs to read
again; of the snapshots that lie close together, all but the last are dropped in the end.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy import BigInteger, and_, bindparam, delete, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from collab.counts import Counts
from collab.errors import CollabError, Unavailable
from collab.log.entry import Past, Point
from collab.storage.history import encode_text
from collab.storage.segments import Segment, deflated, encode, holding
from collab.storage.tables import documents, segments, snapshots

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from collab.log.entry import Ordered
    from collab.storage.database import Database

log = structlog.get_logger(__name__)

MAX_LOOSE = 256
"""How many loose segments a document has before they are merged."""

MAX_AT_ONCE = 512
MAX_BYTES_AT_ONCE = 4 * 1024 * 1024
"""How many are merged at once, and how large they are together."""

MERGED_BYTES = 64 * 1024
"""From which size a merged segment is left as it is. Before it is deflated."""

SNAPSHOT_WEIGHT = 256 * 1024
"""What the history weighs at least from one snapshot to the next: about a thousand updates."""

SPACING = 8
"""How many times as far apart snapshots are kept that are not among the last two."""


SHARE = 1 / 4
"""The share of the time that the upkeep works at most: documents that were opened together are due
together, and commits wait for it.
"""

LONGEST_REST_S = 1.0


class Kept(NamedTuple):
    """A document as a commit left it: the last push, how many of its segments are loose, and what
    its history weighed at the last snapshot.
    """

    document_id: str
    last: Ordered
    loose_segments: int
    snapshot_weight: int

    @property
    def snapshot_is_due(self) -> bool:
        grown = self.last.weight - self.snapshot_weight
        return grown >= snapshot_distance(len(self.last.text))

    @property
    def merge_is_due(self) -> bool:
        return self.loose_segments >= MAX_LOOSE


def snapshot_distance(units: int) -> int:
    """What the history of a text of so many units weighs from one snapshot to the next: a long text
    is written less often, since that costs as much as reading many updates.
    """
    return max(SNAPSHOT_WEIGHT, units // 4)


class Upkeep:
    """Looks after documents for as long as `run` runs."""

    def __init__(self, database: Database, counts: Counts | None = None) -> None:
        self._database = database
        self._counts = Counts() if counts is None else counts
        self._waiting: dict[str, Kept] = {}
        self._wake = asyncio.Event()

    def look(self, documents_kept: Iterable[Kept]) -> None:
        """Take up those of which something is due: the last that is heard of a document counts."""
        for kept in documents_kept:
            if kept.snapshot_is_due or kept.merge_is_due:
                self._waiting[kept.document_id] = kept
                self._wake.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                began = loop.time()
                try:
                    await self._keep(self._waiting.pop(next(iter(self._waiting))))
                except (SQLAlchemyError, OSError, CollabError) as error:
                    # It is due again at the next commit.
                    self._counts.upkeep["failure"] += 1
                    log.warning("upkeep failed", error=type(error).__name__)
                rest_s = (loop.time() - began) * (1 / SHARE - 1)
                await asyncio.sleep(min(rest_s, LONGEST_REST_S))

    async def _keep(self, kept: Kept) -> None:
        if kept.snapshot_is_due:
            await take_snapshot(self._database, kept.document_id, kept.last)
            self._counts.upkeep["snapshot"] += 1
        if kept.merge_is_due:
            await merge(self._database, kept.document_id)
            self._counts.upkeep["merge"] += 1


# -- Snapshots -----------------------------------------------------------------------------------


async def take_snapshot(database: Database, document_id: str, last: Ordered) -> None:
    """Keep the text that a saved push made, if the database still has that push: a backup may have
    been put in its place.
    """
    text = await asyncio.to_thread(encode_text, last.text)

    def write(connection: Connection) -> None:
        moved = connection.execute(
            _MOVE_SNAPSHOT,
            {
                "document": document_id,
                "revision": last.last,
                "mark": last.mark,
                "weight": last.weight,
            },
        ).rowcount
        if moved:
            connection.execute(
                snapshots.insert(),
                {
                    "document_id": document_id,
                    "revision": last.last,
                    "mark": last.mark,
                    "weight": last.weight,
                    "text": text,
                },
            )
            _thin_out(connection, document_id, SPACING * snapshot_distance(len(last.text)))

    await database.write(write)


_MOVE_SNAPSHOT = (
    update(documents)
    .where(
        documents.c.id == bindparam("document"),
        documents.c.snapshot_weight < bindparam("weight"),
        or_(
            and_(
                documents.c.saved_revision == bindparam("revision"),
                documents.c.saved_mark == bindparam("mark"),
            ),
            select(segments.c.document_id)
            .where(
                segments.c.document_id == documents.c.id,
                segments.c.first_revision == bindparam("revision", type_=BigInteger) + 1,
                segments.c.mark_before == bindparam("mark"),
            )
            .exists(),
        ),
    )
    .values(snapshot_weight=bindparam("weight"))
)


def _thin_out(connection: Connection, document_id: str, spacing: int) -> None:
    """Drop the snapshots that follow another too closely, but for the last two."""
    found = connection.execute(_PLACES, {"document": document_id}).all()
    kept_weight = 0
    for revision, weight in found[:-2]:
        if weight - kept_weight < spacing:
            connection.execute(_DROP, {"document": document_id, "revision": revision})
        else:
            kept_weight = weight


_PLACES = (
    select(snapshots.c.revision, snapshots.c.weight)
    .where(snapshots.c.document_id == bindparam("document"))
    .order_by(snapshots.c.revision)
)
_DROP = delete(snapshots).where(
    snapshots.c.document_id == bindparam("document"),
    snapshots.c.revision == bindparam("revision"),
)


# -- Segments ------------------------------------------------------------------------------------


async def merge(database: Database, document_id: str) -> None:
    """Put a document's loose segments together: into deflated ones that are merged for good, as
    long as they are large enough, and one that stays loose. Raises `Damaged`.
    """
    loose = await database.look_up(lambda connection: _read_loose(connection, document_id))
    if not loose:
        return
    merged, rest = await asyncio.to_thread(_put_together, loose)
    if not merged and len(rest) == len(loose):
        return

    def write(connection: Connection) -> None:
        first, last = loose[0].begin.revision, loose[-1].last_revision
        merged_revision = merged[-1].last_revision if merged else first
        moved = connection.execute(
            _MOVE_MERGED,
            {
                "document": document_id,
                "before": first,
                "merged": merged_revision,
                "fewer": len(loose) - len(rest),
            },
        ).rowcount
        if not moved:  # the document is deleted
            return
        dropped = connection.execute(
            _DROP_LOOSE, {"document": document_id, "after": first, "upto": last}
        ).rowcount
        if dropped != len(loose):
            raise Unavailable("somebody else merged these segments")
        connection.execute(
            segments.insert(), [_row(document_id, segment) for segment in (*merged, *rest)]
        )

    await database.write(write)


def _read_loose(connection: Connection, document_id: str) -> list[Segment]:
    """The first loose segments, as many as are merged at once."""
    row = connection.execute(_MERGED, {"document": document_id}).one_or_none()
    loose: list[Segment] = []
    size = 0
    for segment in () if row is None else holding(connection, document_id, *row):
        loose.append(segment)
        size += len(segment.pushes)
        if len(loose) == MAX_AT_ONCE or size >= MAX_BYTES_AT_ONCE:
            break
    return loose


def _put_together(loose: list[Segment]) -> tuple[list[Segment], list[Segment]]:
    """What is merged for good, and what is not yet: one segment or none."""
    merged: list[Segment] = []
    begin, held, size = loose[0].begin, list[Past](), 0
    for segment in loose:
        if not held:
            begin = segment.begin
            if len(segment.pushes) >= MERGED_BYTES:
                merged.append(replace(segment, pushes=deflated(segment.pushes)))
                continue
        for push in segment.read():
            held.append(push)
            size += sum(map(len, push.changes)) + len(push.mark)
            if size >= MERGED_BYTES:
                merged.append(Segment(begin, push.last, deflated(encode(held))))
                begin, held, size = Point(push.last, push.mark, push.weight), [], 0
    return merged, [Segment(begin, held[-1].last, encode(held))] if held else []


def _row(document_id: str, segment: Segment) -> dict[str, object]:
    return {
        "document_id": document_id,
        "first_revision": segment.begin.revision + 1,
        "last_revision": segment.last_revision,
        "mark_before": segment.begin.mark,
        "weight_before": segment.begin.weight,
        "pushes": segment.pushes,
    }


_MERGED = select(documents.c.merged_revision, documents.c.saved_revision).where(
    documents.c.id == bindparam("document")
)
_MOVE_MERGED = (
    update(documents)
    .where(
        documents.c.id == bindparam("document"),
        documents.c.merged_revision == bindparam("before"),
    )
    .values(
        merged_revision=bindparam("merged"),
        loose_segments=documents.c.loose_segments - bindparam("fewer"),
    )
)
_DROP_LOOSE = delete(segments).where(
    segments.c.document_id == bindparam("document"),
    segments.c.first_revision > bindparam("after"),
    segments.c.last_revision <= bindparam("upto"),
)
