"""The writer: one background task that saves what was ordered.

It gathers the pushes of all documents and commits them in groups: what comes in during a commit
goes into the next. Each document's pushes become one segment, and its saved revision and mark move
in the same transaction, under the condition that both stand where the segment begins. So a second
writer, or another history, cannot interleave; and a commit whose answer was lost is recognised when
it is tried again.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError

from collab.counts import Counts
from collab.errors import NotFound, Unavailable
from collab.storage.segments import encode
from collab.storage.tables import clients, documents, segments
from collab.storage.upkeep import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable, Row

    from collab.errors import CollabError
    from collab.log.entry import Ordered
    from collab.storage.database import Database
    from collab.storage.upkeep import Upkeep

log = structlog.get_logger(__name__)

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0


class Listener(Protocol):
    """Who hears what became of a document's pushes. Neither call waits or raises."""

    def saved(self, revision: int) -> None:
        """Every push up to `revision` is committed."""

    def not_saved(self, error: Exception) -> None:
        """What was put and not reported saved could not be saved, and will not be tried again."""


@dataclass(slots=True)
class _Batch:
    """One document's pushes that wait for a commit, without gap."""

    listener: Listener
    pushes: list[Ordered] = field(default_factory=list)


class Writer:
    """Saves pushes for as long as `run` runs."""

    def __init__(
        self,
        database: Database,
        upkeep: Upkeep,
        patience_s: float,
        counts: Counts | None = None,
    ) -> None:
        """`patience_s`: how long a commit that fails is tried again before it fails for good."""
        self._database = database
        self._upkeep = upkeep
        self._patience_s = patience_s
        self._counts = Counts() if counts is None else counts
        self._waiting: dict[str, _Batch] = {}
        self._committing: set[str] = set()
        self._in_doubt: set[str] = set()
        self._committed = asyncio.Event()
        self._wake = asyncio.Event()
        self._stopping = False

    def put(self, document_id: str, push: Ordered, listener: Listener) -> None:
        """Save `push`, the document's next; the listener hears of it."""
        batch = self._waiting.get(document_id)
        if batch is None:
            batch = self._waiting[document_id] = _Batch(listener)
        batch.pushes.append(push)
        self._wake.set()

    async def settle(self, document_id: str) -> None:
        """Return when the database tells the truth of a document: nothing of it is put or being
        committed, and what failed for good did not come to pass after all.

        A commit that had no answer may still be under way. Writes follow one another, so it is over
        when another one is. Raises `SQLAlchemyError` while that cannot be had.
        """
        while document_id in self._waiting or document_id in self._committing:
            self._committed.clear()
            await self._committed.wait()
        if document_id in self._in_doubt:
            before = set(self._in_doubt)
            await self._database.write(lambda connection: connection.scalar(select(1)))
            self._in_doubt -= before

    def stop(self) -> None:
        """`run` ends when all that was put is saved or has failed."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._waiting:
                deadline = asyncio.get_running_loop().time() + self._patience_s
                await self._commit(self._take(), deadline)
                self._committing.clear()
                self._committed.set()
            elif self._stopping:
                return
            if self._waiting or self._stopping:
                self._wake.set()

    def _take(self) -> dict[str, _Batch]:
        # `run` keeps no name for it: it would hold a closed room in memory until the next commit.
        group, self._waiting = self._waiting, {}
        self._committing = set(group)
        return group

    async def _commit(self, group: dict[str, _Batch], deadline: float) -> None:
        try:
            failed, kept = await self._try(group, deadline)
        except Exception as error:
            log.exception("commit failed", documents=len(group))
            if len(group) == 1 or isinstance(error, DisconnectionError):
                self._in_doubt.update(group)
                for document_id, batch in group.items():
                    self._fail(document_id, batch, error)
                return
            # It may be one document's fault: the others are not to suffer for it.
            for document_id, batch in group.items():
                await self._commit({document_id: batch}, deadline)
            return
        self._in_doubt.clear()
        for document_id, batch in group.items():
            if document_id in failed:
                self._fail(document_id, batch, failed[document_id])
            else:
                batch.listener.saved(batch.pushes[-1].last)
        self._upkeep.look(kept)

    def _fail(self, document_id: str, batch: _Batch, error: Exception) -> None:
        """Give a document's pushes up, and with them those that came in meanwhile: they follow."""
        self._waiting.pop(document_id, None)
        batch.listener.not_saved(error)

    async def _try(self, group: dict[str, _Batch], deadline: float) -> Outcome:
        """Commit, again and again until the deadline. Returns what `save` does."""
        loop = asyncio.get_running_loop()
        pause = FIRST_RETRY_S
        batches = {document_id: batch.pushes for document_id, batch in group.items()}
        while True:
            started = time.perf_counter()
            try:
                outcome = await self._database.write(lambda connection: save(connection, batches))
            except (SQLAlchemyError, OSError) as error:
                self._counts.failed_commits += 1
                if loop.time() + pause > deadline:
                    raise
                log.warning("commit failed, trying again", error=str(error), pause_s=pause)
            else:
                self._counts.commit_seconds.observe(time.perf_counter() - started)
                self._counts.commit_pushes.observe(sum(map(len, batches.values())))
                return outcome
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_RETRY_S)


class Outcome(NamedTuple):
    """What became of a group: the documents that failed, and what the upkeep has to look at."""

    failed: dict[str, CollabError]
    kept: list[Kept]


def save(connection: Connection, batches: Mapping[str, Sequence[Ordered]]) -> Outcome:
    """Save each document's pushes in the connection's transaction.

    Documents that are deleted (`NotFound`) or whose saved revision and mark are not where their
    pushes begin (`Unavailable`) fail: of these nothing is saved, of the others everything.
    """
    outcome = Outcome({}, [])
    new_segments, seqs = list[dict[str, object]](), list[dict[str, object]]()
    for document_id, pushes in sorted(batches.items()):  # rows are locked in one order
        moved = _move_saved(connection, document_id, pushes)
        if moved is not None:
            new_segments.append(_segment(document_id, pushes))
            seqs += _seqs(document_id, pushes)
            outcome.kept.append(
                Kept(document_id, pushes[-1], moved.loose_segments, moved.snapshot_weight)
            )
            continue
        saved = connection.execute(_SAVED, {"document": document_id}).one_or_none()
        if saved is None:
            outcome.failed[document_id] = NotFound("the document was deleted")
        elif tuple(saved) != (pushes[-1].last, pushes[-1].mark):
            outcome.failed[document_id] = Unavailable("another history of this document is saved")
        # Else an earlier try was committed although its answer was lost.
    # Many at once: PostgreSQL is not asked for each.
    if new_segments:
        connection.execute(_ADD_SEGMENT, new_segments)
    if seqs:
        connection.execute(_REMEMBER_SEQ[connection.dialect.name], seqs)
    return outcome


def _move_saved(
    connection: Connection, document_id: str, pushes: Sequence[Ordered]
) -> Row[tuple[int, int]] | None:
    """How many of its segments are loose then, and the weight of its last snapshot; None where the
    document is not where the pushes begin.
    """
    first, last = pushes[0], pushes[-1]
    return connection.execute(
        _MOVE_SAVED,
        {
            "document": document_id,
            "before_revision": first.before.revision,
            "before_mark": first.before.mark,
            "revision": last.last,
            "mark": last.mark,
            "weight": last.weight,
            "units": len(last.text),
            "at": last.at,
        },
    ).one_or_none()


def _segment(document_id: str, pushes: Sequence[Ordered]) -> dict[str, object]:
    first, last = pushes[0], pushes[-1]
    return {
        "document_id": document_id,
        "first_revision": first.first,
        "last_revision": last.last,
        "mark_before": first.before.mark,
        "weight_before": first.before.weight,
        "pushes": encode(pushes),
    }


def _seqs(document_id: str, pushes: Sequence[Ordered]) -> list[dict[str, object]]:
    """The last push of each client that took effect."""
    took_effect = {push.client: push for push in pushes if not push.void}
    return [
        {"document_id": document_id, "client": client, "seq": push.seq, "at": push.at}
        for client, push in sorted(took_effect.items())
    ]


# -- The statements, built once: to build them takes longer than to run them ----------------------

_MOVE_SAVED = (
    update(documents)
    .where(
        documents.c.id == bindparam("document"),
        documents.c.saved_revision == bindparam("before_revision"),
        documents.c.saved_mark == bindparam("before_mark"),
    )
    .values(
        saved_revision=bindparam("revision"),
        saved_mark=bindparam("mark"),
        saved_weight=bindparam("weight"),
        loose_segments=documents.c.loose_segments + 1,
        length=bindparam("units"),
        updated_at=bindparam("at"),
    )
    .returning(documents.c.loose_segments, documents.c.snapshot_weight)
)

_SAVED = select(documents.c.saved_revision, documents.c.saved_mark).where(
    documents.c.id == bindparam("document")
)

_ADD_SEGMENT = segments.insert()


def _remembering(insert: sqlite.Insert | postgresql.Insert) -> Executable:
    return insert.on_conflict_do_update(
        index_elements=[clients.c.document_id, clients.c.client],
        set_={"seq": insert.excluded.seq, "at": insert.excluded.at},
    )


_REMEMBER_SEQ = {
    "sqlite": _remembering(sqlite.insert(clients)),
    "postgresql": _remembering(postgresql.insert(clients)),
}
