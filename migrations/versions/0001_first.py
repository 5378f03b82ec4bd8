"""Users, documents, members, segments, snapshots, clients."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


ID = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
TITLE_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("guest", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_table(
        "documents",
        sa.Column("id", ID, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_key", TITLE_KEY, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("saved_revision", sa.BigInteger(), nullable=False),
        sa.Column("saved_mark", sa.String(64), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_documents_owner_id"),
    )
    op.create_table(
        "members",
        _document_id("members"),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "user_id", name="pk_members"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_members_user_id"),
    )
    op.create_index("ix_members_user_id", "members", ["user_id"])
    op.create_table(
        "segments",
        _document_id("segments"),
        sa.Column("first_revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_revision", sa.BigInteger(), nullable=False),
        sa.Column("pushes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "first_revision", name="pk_segments"),
    )
    op.create_table(
        "snapshots",
        _document_id("snapshots"),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.String(64), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "revision", name="pk_snapshots"),
    )
    op.create_table(
        "clients",
        _document_id("clients"),
        sa.Column("client", ID, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "client", name="pk_clients"),
    )
    op.create_index("ix_clients_at", "clients", ["at"])


def _document_id(table: str) -> sa.Column[str]:
    return sa.Column(
        "document_id",
        ID,
        sa.ForeignKey("documents.id", name=f"fk_{table}_document_id", ondelete="CASCADE"),
        nullable=False,
    )


def downgrade() -> None:
    for table in ("clients", "snapshots", "segments", "members", "documents", "users"):
        op.drop_table(table)
