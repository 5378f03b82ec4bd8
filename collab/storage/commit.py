"""What one commit of the writer does: it saves some pushes of each of several documents.

Each document's pushes become one segment, and its saved revision and mark move in the same
transaction, under the condition that both stand where the segment begins, and that the row names
the run of Redis that the pushes were ordered in. So a second writer, another history, or a server
that knows nothing of Redis's loss, cannot interleave; and a commit whose answer was lost is
recognised when it is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, update
from sqlalchemy.dialects import postgresql, sqlite

from collab.errors import NotFound, Unavailable
from collab.storage.runs import look
from collab.storage.segments import encode
from collab.storage.tables import clients, documents, segments
from collab.storage.upkeep import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable
    from sqlalchemy import Row as Found

    from collab.errors import CollabError
    from collab.log.entry import Ordered
    from collab.storage.runs import Row


class Conflict(Unavailable):
    """A document is not where its pushes begin: `row` is what the database has instead.

    Perhaps another server saved the same pushes, or some of them; perhaps the row names another
    run; perhaps another history is saved.
    """

    def __init__(self, row: Row) -> None:
        super().__init__("the document was saved by another server, or has another history")
        self.row = row


@dataclass(slots=True, kw_only=True)
class Batch:
    """One document's pushes without gap, one at least; `run` is the one that its row must name,
    None where it need not name any.
    """

    pushes: list[Ordered]
    run: str | None


class Outcome(NamedTuple):
    """What became of a group: the documents that failed, and what the upkeep has to look at."""

    failed: dict[str, CollabError]
    kept: list[Kept]


def save(connection: Connection, batches: Mapping[str, Batch]) -> Outcome:
    """Save each document's pushes in the connection's transaction.

    Documents that are deleted (`NotFound`) or whose row is not as it must be (`Conflict`) fail: of
    these nothing is saved, of the others everything.
    """
    outcome = Outcome({}, [])
    new_segments, seqs = list[dict[str, object]](), list[dict[str, object]]()
    for document_id, batch in sorted(batches.items()):  # rows are locked in one order
        pushes = batch.pushes
        moved = _move_saved(connection, document_id, batch)
        if moved is not None:
            new_segments.append(_segment(document_id, pushes))
            seqs += _seqs(document_id, pushes)
            outcome.kept.append(
                Kept(document_id, pushes[-1], moved.loose_segments, moved.snapshot_weight)
            )
        elif failure := _failure(connection, document_id, pushes[-1]):
            outcome.failed[document_id] = failure
    # Many at once: PostgreSQL is not asked for each.
    if new_segments:
        connection.execute(_ADD_SEGMENT, new_segments)
    if seqs:
        connection.execute(_REMEMBER_SEQ[connection.dialect.name], seqs)
    return outcome


def _move_saved(
    connection: Connection, document_id: str, batch: Batch
) -> Found[tuple[int, int]] | None:
    """How many of its segments are loose then, and the weight of its last snapshot; None where the
    document is not where the pushes begin.
    """
    first, last = batch.pushes[0], batch.pushes[-1]
    move, of_run = _MOVE_SAVED, dict[str, object]()
    if batch.run is not None:
        move, of_run = _MOVE_SAVED_OF_RUN, {"run": batch.run}
    return connection.execute(
        move,
        {
            "document": document_id,
            "before_revision": first.before.revision,
            "before_mark": first.before.mark,
            "revision": last.last,
            "mark": last.mark,
            "weight": last.weight,
            "units": len(last.text),
            "at": last.at,
            **of_run,
        },
    ).one_or_none()


def _failure(connection: Connection, document_id: str, last: Ordered) -> CollabError | None:
    """Why pushes were not saved. None if they are: an earlier try was committed although its answer
    was lost, or another server was faster.
    """
    try:
        row = look(connection, document_id)
    except NotFound:
        return NotFound("the document was deleted")
    return None if (row.revision, row.mark) == (last.last, last.mark) else Conflict(row)


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
    """The push with the largest seq of each client that took effect: what was lost and is ordered
    again may come after later ones.
    """
    by_seq = sorted((push for push in pushes if not push.void), key=lambda push: push.seq)
    took_effect = {push.client: push for push in by_seq}
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

_MOVE_SAVED_OF_RUN = _MOVE_SAVED.where(documents.c.redis_run == bindparam("run"))

_ADD_SEGMENT = segments.insert()


def _remembering(insert: sqlite.Insert | postgresql.Insert) -> Executable:
    return insert.on_conflict_do_update(
        index_elements=[clients.c.document_id, clients.c.client],
        set_={"seq": insert.excluded.seq, "at": insert.excluded.at},
        where=insert.excluded.seq > clients.c.seq,
    )


_REMEMBER_SEQ = {
    "sqlite": _remembering(sqlite.insert(clients)),
    "postgresql": _remembering(postgresql.insert(clients)),
}
