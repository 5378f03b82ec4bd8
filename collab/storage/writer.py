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

from collab.errors import Unavailable
from collab.storage.history import SNAPSHOT_EVERY, encode_pushes, encode_text
from collab.storage.tables import clients, documents, segments, snapshots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable

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
            for document_id, batch in group.items():
                self._fail(document_id, batch, error)
            return
        for document_id, batch in group.items():
            if document_id in failed:
                log.error("another history is saved", document=document_id)
                conflict = Unavailable("another history of this document is saved")
                self._fail(document_id, batch, conflict)
            else:
                batch.listener.saved(batch.pushes[-1].last)

    def _fail(self, document_id: str, batch: _Batch, error: Exception) -> None:
        """Give a document's pushes up, and with them those that came in meanwhile: they follow."""
        self._waiting.pop(document_id, None)
        batch.listener.not_saved(error)

    async def _try(self, group: dict[str, _Batch]) -> set[str]:
        """Commit, again and again within the patience. Returns the documents that did not fit."""
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


def save(connection: Connection, batches: Mapping[str, Sequence[Ordered]]) -> set[str]:
    """Save each document's pushes in the connection's transaction.

    Returns the documents whose saved revision and mark are not where their pushes begin: of these
    nothing is saved, and of the others everything.
    """
    failed = set()
    for document_id, pushes in batches.items():
        if _move_saved(connection, document_id, pushes):
            _insert(connection, document_id, pushes)
        elif not _is_saved(connection, document_id, pushes[-1]):
            failed.add(document_id)
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


def _is_saved(connection: Connection, document_id: str, last: Ordered) -> bool:
    """Whether an earlier try was committed although its answer was lost."""
    saved = connection.execute(_SAVED, {"document": document_id}).one_or_none()
    return saved is not None and tuple(saved) == (last.last, last.mark)


def _insert(connection: Connection, document_id: str, pushes: Sequence[Ordered]) -> None:
    connection.execute(
        _ADD_SEGMENT,
        {
            "document_id": document_id,
            "first_revision": pushes[0].first,
            "last_revision": pushes[-1].last,
            "pushes": encode_pushes(pushes),
        },
    )
    took_effect = {push.client: push for push in pushes if push.void is None}
    if took_effect:
        remember = _REMEMBER_SEQ[connection.dialect.name]
        for client, push in took_effect.items():
            row = {"document_id": document_id, "client": client, "seq": push.seq, "at": push.at}
            connection.execute(remember, row)
    for push in pushes:
        if push.last // SNAPSHOT_EVERY > (push.first - 1) // SNAPSHOT_EVERY:
            connection.execute(
                _ADD_SNAPSHOT,
                {
                    "document_id": document_id,
                    "revision": push.last,
                    "mark": push.mark,
                    "text": encode_text(push.text),
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
