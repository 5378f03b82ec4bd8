"""What histories weigh, where segments begin, and what is due to be merged."""

import hashlib
import itertools
import json
import re
import zlib
from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# `collab.log.rebase`, when this was written.
REPLACEMENT_WEIGHT = 128
STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')

NEW = {
    "documents": ("saved_weight", "merged_revision", "loose_segments", "snapshot_weight"),
    "segments": ("weight_before",),
    "snapshots": ("weight",),
}

documents = sa.table(
    "documents",
    sa.column("id"),
    sa.column("saved_weight"),
    sa.column("loose_segments"),
    sa.column("snapshot_weight"),
)
segments = sa.table(
    "segments",
    sa.column("document_id"),
    sa.column("first_revision"),
    sa.column("last_revision"),
    sa.column("mark_before"),
    sa.column("weight_before"),
    sa.column("pushes", sa.LargeBinary()),
)
snapshots = sa.table(
    "snapshots", sa.column("document_id"), sa.column("revision"), sa.column("weight")
)


def upgrade() -> None:
    for table, columns in NEW.items():
        for column in columns:
            op.add_column(
                table, sa.Column(column, sa.BigInteger(), nullable=False, server_default="0")
            )
    op.add_column(
        "segments", sa.Column("mark_before", sa.String(64), nullable=False, server_default="")
    )
    for document_id in op.get_bind().scalars(sa.select(documents.c.id)).all():
        _weigh(document_id)


def _weigh(document_id: str) -> None:
    connection = op.get_bind()
    mark, weight, last_weight = _first_mark(document_id), 0, 0
    taken = set(
        connection.scalars(
            sa.select(snapshots.c.revision).where(snapshots.c.document_id == document_id)
        )
    )
    ends = connection.execute(
        sa.select(segments.c.first_revision, segments.c.last_revision)
        .where(segments.c.document_id == document_id)
        .order_by(segments.c.first_revision)
    ).all()
    for first, last in ends:
        this = (segments.c.document_id == document_id, segments.c.first_revision == first)
        pushes = json.loads(_pushes(this))
        connection.execute(
            segments.update().where(*this).values(mark_before=mark, weight_before=weight)
        )
        mark = pushes[-1][4]
        weight += sum(map(_weight, itertools.chain.from_iterable(push[6] for push in pushes)))
        if last in taken:
            last_weight = weight
            connection.execute(
                snapshots.update()
                .where(snapshots.c.document_id == document_id, snapshots.c.revision == last)
                .values(weight=weight)
            )
    connection.execute(
        documents.update()
        .where(documents.c.id == document_id)
        .values(saved_weight=weight, loose_segments=len(ends), snapshot_weight=last_weight)
    )


def _pushes(this: Iterable[sa.ColumnElement[bool]]) -> bytes:
    stored = op.get_bind().scalar(sa.select(segments.c.pushes).where(*this))
    assert isinstance(stored, bytes)
    return stored


def _weight(change: object) -> int:
    written = json.dumps(change, ensure_ascii=False, separators=(",", ":"))
    brackets = STRING.sub("", written).count("[")
    return len(written.encode()) + REPLACEMENT_WEIGHT * brackets


def _first_mark(document_id: str) -> str:
    return hashlib.sha1(b"collab 1 " + document_id.encode()).hexdigest()  # noqa: S324


def downgrade() -> None:
    connection = op.get_bind()
    places = connection.execute(sa.select(segments.c.document_id, segments.c.first_revision)).all()
    for document_id, first in places:
        this = (segments.c.document_id == document_id, segments.c.first_revision == first)
        pushes = _pushes(this)
        if not pushes.startswith(b"["):  # merged
            inflated = zlib.decompress(pushes)
            connection.execute(segments.update().where(*this).values(pushes=inflated))
    op.drop_column("segments", "mark_before")
    for table, columns in NEW.items():
        for column in columns:
            op.drop_column(table, column)
