"""The tables. Times are milliseconds since 1970 in UTC; lengths are UTF-16 code units."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("guest", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("title", Text, nullable=False),
    # The title in the form that a search compares: Unicode normalised and case folded.
    Column("title_key", Text, nullable=False),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # How far the segments reach. Moved only in the transaction that adds a segment.
    Column("saved_revision", BigInteger, nullable=False),
    Column("saved_mark", String(64), nullable=False),
    Column("length", BigInteger, nullable=False),
)

members = Table(
    "members",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id"), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "user_id"),
)

# The pushes of one document that one commit saved: revisions `first` to `last`, without gap to the
# row before. `pushes` is `storage.history`'s.
segments = Table(
    "segments",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("first_revision", BigInteger, primary_key=True, autoincrement=False),
    Column("last_revision", BigInteger, nullable=False),
    Column("pushes", LargeBinary, nullable=False),
)

# A whole text, so that opening a document replays a tail and not its history.
snapshots = Table(
    "snapshots",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("mark", String(64), nullable=False),
    Column("text", LargeBinary, nullable=False),
)

# The largest `seq` of each client that took effect: where a push's fate is found, however old.
clients = Table(
    "clients",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("client", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "at"),
)
