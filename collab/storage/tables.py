"""The tables. Times are milliseconds since 1970 in UTC; lengths are UTF-16 code units."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
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


def _by_code_point(kind: String) -> String:
    """Text that is compared by code point on PostgreSQL too, as SQLite and Python do, whatever the
    database's own collation.
    """
    compared = type(kind)(kind.length, collation="C")
    return kind.with_variant(compared, "postgresql")


ID = _by_code_point(String(64))

users = Table(
    "users",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("guest", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# The users who sign in here with a password. `username` is in lower case.
accounts = Table(
    "accounts",
    metadata,
    Column("user_id", ForeignKey("users.id"), primary_key=True),
    Column("username", ID, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_accounts_username", "username", unique=True),
)

# How much is left of what may be guessed: of a username, an address, a link. `key` is a hash.
guesses = Table(
    "guesses",
    metadata,
    Column("key", ID, primary_key=True),
    Column("remaining", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "at"),
)

# What no token says any more, though it is not expired: the tokens of one sign-in, or all those of
# a user that were issued before a time. Kept until the last of them has expired.
revocations = Table(
    "revocations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("issued_before", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "at"),
    Index(None, "expires_at"),
)

documents = Table(
    "documents",
    metadata,
    Column("id", ID, primary_key=True),
    Column("title", Text, nullable=False),
    # The title in the form that a search compares: Unicode normalised and case folded.
    Column("title_key", _by_code_point(Text()), nullable=False),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # How far the segments reach. Moved only in the transaction that adds a segment.
    Column("saved_revision", BigInteger, nullable=False),
    Column("saved_mark", String(64), nullable=False),
    Column("saved_weight", BigInteger, nullable=False, server_default="0"),
    # What the upkeep goes by: how far segments are merged for good, how many lie behind that, and
    # what the history weighed at the last snapshot.
    Column("merged_revision", BigInteger, nullable=False, server_default="0"),
    Column("loose_segments", BigInteger, nullable=False, server_default="0"),
    Column("snapshot_weight", BigInteger, nullable=False, server_default="0"),
    Column("length", BigInteger, nullable=False),
    # The run of Redis that the log was last found or made whole in: who saves names it.
    Column("redis_run", String(64), nullable=False, server_default=""),
    # The role of whoever knows the id and is no member; null: they have none.
    Column("anyone", String(16)),
    # Grows with every change of who may do what.
    Column("access_version", BigInteger, nullable=False, server_default="0"),
)

# Who has a document on their list. `role` is theirs until `until`; "visitor": what `anyone` has;
# "removed": none, whatever anyone has. Who came by a link is a visitor when it is revoked.
members = Table(
    "members",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id"), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("link_id", ID),
    Column("until", BigInteger),
    Index(None, "user_id"),
    Index(None, "link_id"),
)

# Share links: whoever has the secret may take the role, until the link expires.
links = Table(
    "links",
    metadata,
    Column("id", ID, primary_key=True),
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("secret", ID, nullable=False),
    Column("role", String(16), nullable=False),
    Column("password_hash", Text),
    Column("expires_at", BigInteger),
    Column("created_by", ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "document_id"),
    Index("ix_links_secret", "secret", unique=True),
)

# One-time tickets for the WebSocket, by the hash of each; `identity` is the holder's, in JSON.
tickets = Table(
    "tickets",
    metadata,
    Column("hash", ID, primary_key=True),
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("identity", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index(None, "expires_at"),
)

# Who changed who may do what, counted from 1 in each document.
audit = Table(
    "audit",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor_id", ForeignKey("users.id"), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject_id", ForeignKey("users.id")),
    Column("link_id", ID),
    Column("role", String(16)),
    Column("role_before", String(16)),
)

# Some of a document's pushes, one commit's or more: revisions `first` to `last`, without gap to the
# row before. `mark_before` and `weight_before` are the mark and the weight of the history at the
# revision before `first`. `pushes` is `storage.segments`'.
segments = Table(
    "segments",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("first_revision", BigInteger, primary_key=True, autoincrement=False),
    Column("last_revision", BigInteger, nullable=False),
    Column("pushes", LargeBinary, nullable=False),
    Column("weight_before", BigInteger, nullable=False, server_default="0"),
    Column("mark_before", String(64), nullable=False, server_default=""),
)

# A whole text, so that opening a document replays a tail and not its history.
snapshots = Table(
    "snapshots",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("mark", String(64), nullable=False),
    Column("text", LargeBinary, nullable=False),
    Column("weight", BigInteger, nullable=False, server_default="0"),
)

# The largest `seq` of each client that took effect: where a push's fate is found, however old.
clients = Table(
    "clients",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("client", ID, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "at"),
)

# Revisions that somebody gave a name, counted from 1 in each document.
versions = Table(
    "versions",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("author_id", ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# The requests that bear an idempotency key, each user's by their key. `answer` is what was
# answered, null while that is not known; `api.idempotency` reads it.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", ID, primary_key=True),
    Column("key", _by_code_point(String(255)), primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("answer", LargeBinary),
    Column("at", BigInteger, nullable=False),
    Index(None, "at"),
)
