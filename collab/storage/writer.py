"""The writer: one background task that saves what was ordered.

It gathers the pushes of all documents and commits them in groups: what comes in during a commit
goes into the next. Each document's pushes become one segment, and its saved revision and mark move
in the same transaction, under the condition that both stand where the segment begins. So a second
writer, or another history, cannot interleave; and a commit whose answer was lost is recognised when
it is tried again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from collab.errors import NotFound, Unavailable
from collab.storage.history import SNAPSHOT_EVERY, encode_pushes, encode_text
from collab.storage.tables import clients, documents, segments, snapshots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable

    from collab.errors import CollabError
    from collab.log.entry import Ordered
    from collab.storage.database import Database

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

    def __init__(self, database: Database, patience_s: float) -> None:
        """`patience_s`: how long a commit that fails is tried again before it fails for good."""
        self._database = database
        self._patience_s = patience_s
        self._waiting: dict[str, _Batch] = {}
        self._wake = asyncio.Event()
        self._stopping = False

    def put(self, document_id: str, push: Ordered, listener: Listener) -> None:
        """Save `push`, the document's next; the listener hears of it."""
        batch = self._waiting.get(document_id)
        if batch is None:
            batch = self._waiting[document_id] = _Batch(listener)
        batch.pushes.append(push)
        self._wake.set()

    def stop(self) -> None:
        """`run` ends when all that was put is saved or has failed."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._waiting:
                group, self._waiting = self._waiting, {}
                await self._commit(group)
            elif self._stopping:
                return
            if self._waiting or self._stopping:
                self._wake.set()

    async def _commit(self, group: dict[str, _Batch]) -> None:
        try:
            failed = await self._try(group)
        except Exception as error:
            log.exception("commit failed", documents=len(group))
            if len(group) == 1:
                for document_id, batch in group.items():
                    self._fail(document_id, batch, error)
                return
            # It may be one document's fault: the others are not to suffer for it.
            for document_id, batch in group.items():
                await self._commit({document_id: batch})
            return
        for document_id, batch in group.items():
            if document_id in failed:
                self._fail(document_id, batch, failed[document_id])
            else:
                batch.listener.saved(batch.pushes[-1].last)

    def _fail(self, document_id: str, batch: _Batch, error: Exception) -> None:
        """Give a document's pushes up, and with them those that came in meanwhile: they follow."""
        self._waiting.pop(document_id, None)
        batch.listener.not_saved(error)

    async def _try(self, group: dict[str, _Batch]) -> dict[str, CollabError]:
        """Commit, again and again within the patience. Returns what `save` does."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_s
        pause = FIRST_RETRY_S
        batches = {document_id: batch.pushes for document_id, batch in group.items()}
        while True:
            try:
                return await self._database.write(lambda connection: save(connection, batches))
            except SQLAlchemyError as error:
                if loop.time() + pause > deadline:
                    raise
                log.warning("commit failed, trying again", error=str(error), pause_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_RETRY_S)


def save(
    connection: Connection, batches: Mapping[str, Sequence[Ordered]]
) -> dict[str, CollabError]:
    """Save each document's pushes in the connection's transaction.

    Returns the documents that are deleted (`NotFound`) or whose saved revision and mark are not
    where their pushes begin (`Unavailable`): of these nothing is saved, of the others everything.
    """
    failed: dict[str, CollabError] = {}
    for document_id, pushes in batches.items():
        if _move_saved(connection, document_id, pushes):
            _insert(connection, document_id, pushes)
            continue
        saved = connection.execute(_SAVED, {"document": document_id}).one_or_none()
        if saved is None:
            failed[document_id] = NotFound("the document was deleted")
        elif tuple(saved) != (pushes[-1].last, pushes[-1].mark):
            failed[document_id] = Unavailable("another history of this document is saved")
        # Else an earlier try was committed although its answer was lost.
    return failed


def _move_saved(connection: Connection, document_id: str, pushes: Sequence[Ordered]) -> bool:
    first, last = pushes[0], pushes[-1]
    moved = connection.execute(
        _MOVE_SAVED,
        {
            "document": document_id,
            "before_revision": first.first - 1,
            "before_mark": first.before,
            "revision": last.last,
            "mark": last.mark,
            "units": len(last.text),
            "at": last.at,
        },
    )
    return moved.rowcount == 1


def _insert(connection: Connection, document_id: str, pushes: Sequence[Ordered]) -> None:
    first, last = pushes[0], pushes[-1]
    connection.execute(
        _ADD_SEGMENT,
        {
            "document_id": document_id,
            "first_revision": first.first,
            "last_revision": last.last,
            "pushes": encode_pushes(pushes),
        },
    )
    took_effect = {push.client: push for push in pushes if push.void is None}
    if took_effect:
        remember = _REMEMBER_SEQ[connection.dialect.name]
        for client, push in took_effect.items():
            row = {"document_id": document_id, "client": client, "seq": push.seq, "at": push.at}
            connection.execute(remember, row)
    # At the end of a segment, so that what a snapshot leaves to be replayed is whole segments.
    if last.last // SNAPSHOT_EVERY > (first.first - 1) // SNAPSHOT_EVERY:
        connection.execute(
            _ADD_SNAPSHOT,
            {
                "document_id": document_id,
                "revision": last.last,
                "mark": last.mark,
                "text": encode_text(last.text),
            },
        )


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
        length=bindparam("units"),
        updated_at=bindparam("at"),
    )
)

_SAVED = select(documents.c.saved_revision, documents.c.saved_mark).where(
    documents.c.id == bindparam("document")
)

_ADD_SEGMENT = segments.insert()
_ADD_SNAPSHOT = snapshots.insert()


def _remembering(insert: sqlite.Insert | postgresql.Insert) -> Executable:
    return insert.on_conflict_do_update(
        index_elements=[clients.c.document_id, clients.c.client],
        set_={"seq": insert.excluded.seq, "at": insert.excluded.at},
    )


_REMEMBER_SEQ = {
    "sqlite": _remembering(sqlite.insert(clients)),
    "postgresql": _remembering(postgresql.insert(clients)),
}
