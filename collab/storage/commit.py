"""What one commit of the writer does: it saves some pushes of each of several documents.

Each document's pushes become one segment, and its saved revision and mark move in the same
transaction, under the condition that both stand where the segment begins. So a second writer, or
another history, cannot interleave; and a commit whose answer was lost is recognised when it is
tried again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from collab.errors import NotFound, Unavailable
from collab.storage.segments import encode
from collab.storage.tables import clients, documents, segments
from collab.storage.upkeep import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable, Row

    from collab.errors import CollabError
    from collab.log.entry import Ordered


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
