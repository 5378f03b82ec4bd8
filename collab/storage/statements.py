"""The statements of a commit: each document's row moves, and a segment and seqs are added.

SQLite, which is in this process, is asked for one document after the other. PostgreSQL is given the
whole group in one statement: where processors are busy, a round trip waits for its turn there and
back, and that is longer than all that it is for.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    String,
    bindparam,
    column,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from collab.storage.tables import clients, documents, segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ClauseElement, ColumnElement, Connection, TableValuedAlias, Update
    from sqlalchemy.types import TypeEngine

Row: TypeAlias = "dict[str, object]"


@dataclass(slots=True)
class Wanted:
    """What a commit is to do to documents, in the order of their ids, in which rows are locked."""

    moves: list[Row] = field(default_factory=list)
    """How each document's row moves, as the parameters of `_move`."""
    segments: list[Row] = field(default_factory=list)
    seqs: list[Row] = field(default_factory=list)
    """Rows of these tables, of these documents."""


Moved: TypeAlias = dict[str, tuple[int, int]]
"""By document, how many segments are loose then, and the weight of the last snapshot."""


def carry_out(connection: Connection, wanted: Wanted) -> Moved:
    """A document whose row is not where it is to move from stays as it is, and is not returned."""
    if connection.dialect.name == "postgresql":
        return _at_once(connection, wanted)
    return _one_by_one(connection, wanted)


_FROM_AND_TO: Mapping[str, TypeEngine[Any]] = {
    "document": String(),
    "before_revision": BigInteger(),
    "before_mark": String(),
    "run": String(),  # null: any
    "revision": BigInteger(),
    "mark": String(),
    "weight": BigInteger(),
    "units": BigInteger(),
    "at": BigInteger(),
}


def _move(wanted: Mapping[str, ColumnElement[Any]]) -> Update:
    return (
        update(documents)
        .where(
            documents.c.id == wanted["document"],
            documents.c.saved_revision == wanted["before_revision"],
            documents.c.saved_mark == wanted["before_mark"],
            or_(wanted["run"].is_(None), documents.c.redis_run == wanted["run"]),
        )
        .values(
            saved_revision=wanted["revision"],
            saved_mark=wanted["mark"],
            saved_weight=wanted["weight"],
            loose_segments=documents.c.loose_segments + literal_column("1"),
            length=wanted["units"],
            updated_at=wanted["at"],
        )
    )


_MOVED = documents.c.id, documents.c.loose_segments, documents.c.snapshot_weight


def _larger(inserted: Any) -> dict[str, Any]:
    """What makes an insert of seqs replace those that are smaller."""
    return {
        "index_elements": [clients.c.document_id, clients.c.client],
        "set_": {"seq": inserted.seq, "at": inserted.at},
        "where": inserted.seq > clients.c.seq,
    }


# -- SQLite: one by one ---------------------------------------------------------------------------


def _in_sql(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))


_ADDING_SEQ = sqlite.insert(clients)

_MOVE = _in_sql(
    _move({name: bindparam(name, type_=kind) for name, kind in _FROM_AND_TO.items()}).returning(
        *_MOVED
    )
)
_ADD_SEGMENT = _in_sql(segments.insert())
_ADD_SEQ = _in_sql(_ADDING_SEQ.on_conflict_do_update(**_larger(_ADDING_SEQ.excluded)))


def _one_by_one(connection: Connection, wanted: Wanted) -> Moved:
    """Written out once, and given to the driver as they are: on SQLAlchemy's way each of so many
    small statements takes several times as long as in the database.
    """
    cursor = connection.connection.cursor()
    try:
        moved = _moved(row for move in wanted.moves for row in cursor.execute(_MOVE, move))
        for statement, rows in ((_ADD_SEGMENT, wanted.segments), (_ADD_SEQ, wanted.seqs)):
            cursor.executemany(statement, [row for row in rows if row["document_id"] in moved])
    except sqlite3.Error as error:
        raise DBAPIError.instance(None, None, error, sqlite3.Error) from error
    finally:
        cursor.close()
    return moved


def _moved(rows: Iterable[Any]) -> Moved:
    return {document_id: (loose, weight) for document_id, loose, weight in rows}


# -- PostgreSQL: at once --------------------------------------------------------------------------

_GIVEN: Mapping[str, Mapping[str, TypeEngine[Any]]] = {
    "moves": _FROM_AND_TO,
    "segments": {each.name: each.type for each in segments.c},
    "seqs": {each.name: each.type for each in clients.c},
}


def _given(name: str) -> TableValuedAlias:
    """Rows that are given as an array for each column."""
    columns = _GIVEN[name]
    arrays = [bindparam(f"{name}_{c}", type_=postgresql.ARRAY(columns[c])) for c in columns]
    rows = func.unnest(*arrays).table_valued(*(column(c, columns[c]) for c in columns))
    return rows.render_derived(name=f"given_{name}")


def _all_at_once() -> Any:
    moves, new_segments, seqs = _given("moves"), _given("segments"), _given("seqs")
    # Two servers that save the same documents lock them in one order, or both might wait for ever.
    locked = (
        select(documents.c.id)
        .where(documents.c.id == moves.c.document)
        .order_by(documents.c.id)
        .with_for_update(key_share=True, of=documents)
        .cte("locked")
    )
    moving = _move(dict(moves.c)).where(documents.c.id == locked.c.id)
    moved = moving.returning(*_MOVED).cte("moved")
    adding = segments.insert().from_select(
        list(_GIVEN["segments"]),
        select(new_segments).join(moved, moved.c.id == new_segments.c.document_id),
    )
    remembering = postgresql.insert(clients).from_select(
        list(_GIVEN["seqs"]), select(seqs).join(moved, moved.c.id == seqs.c.document_id)
    )
    remembering = remembering.on_conflict_do_update(**_larger(remembering.excluded))
    return select(moved).add_cte(adding.cte("added"), remembering.cte("remembered"))


_AT_ONCE = _all_at_once()


def _at_once(connection: Connection, wanted: Wanted) -> Moved:
    given = {"moves": wanted.moves, "segments": wanted.segments, "seqs": wanted.seqs}
    arrays = {
        f"{name}_{column}": [row[column] for row in rows]
        for name, rows in given.items()
        for column in _GIVEN[name]
    }
    return _moved(connection.execute(_AT_ONCE, arrays))
