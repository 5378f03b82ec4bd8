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

from collab.errors import NotFound, Unavailable
from collab.storage.runs import look
from collab.storage.segments import encode
from collab.storage.statements import Wanted, carry_out
from collab.storage.upkeep import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from collab.errors import CollabError
    from collab.log.entry import Ordered
    from collab.storage.runs import Row as Stored
    from collab.storage.statements import Row


class Conflict(Unavailable):
    """A document is not where its pushes begin: `row` is what the database has instead.

    Perhaps another server saved the same pushes, or some of them; perhaps the row names another
    run; perhaps another history is saved.
    """

    def __init__(self, row: Stored) -> None:
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
    group = sorted(batches.items())
    wanted = Wanted()
    for document_id, batch in group:
        wanted.moves.append(_move(document_id, batch))
        wanted.segments.append(_segment(document_id, batch.pushes))
        wanted.seqs += _seqs(document_id, batch.pushes)
    moved = carry_out(connection, wanted)
    outcome = Outcome({}, [])
    for document_id, batch in group:
        last = batch.pushes[-1]
        if document_id in moved:
            outcome.kept.append(Kept(document_id, last, *moved[document_id]))
        elif failure := _failure(connection, document_id, last):
            outcome.failed[document_id] = failure
    return outcome


def _failure(connection: Connection, document_id: str, last: Ordered) -> CollabError | None:
    """Why pushes were not saved. None if they are: an earlier try was committed although its answer
    was lost, or another server was faster.
    """
    try:
        row = look(connection, document_id)
    except NotFound:
        return NotFound("the document was deleted")
    return None if (row.revision, row.mark) == (last.last, last.mark) else Conflict(row)


def _move(document_id: str, batch: Batch) -> Row:
    first, last = batch.pushes[0], batch.pushes[-1]
    return {
        "document": document_id,
        "before_revision": first.before.revision,
        "before_mark": first.before.mark,
        "run": batch.run,
        "revision": last.last,
        "mark": last.mark,
        "weight": last.weight,
        "units": len(last.text),
        "at": last.at,
    }


def _segment(document_id: str, pushes: Sequence[Ordered]) -> Row:
    first, last = pushes[0], pushes[-1]
    return {
        "document_id": document_id,
        "first_revision": first.first,
        "last_revision": last.last,
        "mark_before": first.before.mark,
        "weight_before": first.before.weight,
        "pushes": encode(pushes),
    }


def _seqs(document_id: str, pushes: Sequence[Ordered]) -> list[Row]:
    """The push with the largest seq of each client that took effect: what was lost and is ordered
    again may come after later ones.
    """
    by_seq = sorted((push for push in pushes if not push.void), key=lambda push: push.seq)
    took_effect = {push.client: push for push in by_seq}
    return [
        {"document_id": document_id, "client": client, "seq": push.seq, "at": push.at}
        for client, push in sorted(took_effect.items())
    ]
