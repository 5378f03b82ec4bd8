"""Accounts, revoked tokens, share links, tickets, and who changed who may do what.

Until now, whoever knew a document's id was an editor. So it stays for the documents that are there:
anyone is, and whoever has one on their list, but for its owner, is a visitor.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("username", ID, nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_accounts_user_id"),
        sa.PrimaryKeyConstraint("user_id", name="pk_accounts"),
    )
    op.create_index("ix_accounts_username", "accounts", ["username"], unique=True)
    op.create_table(
        "guesses",
        sa.Column("key", ID, nullable=False),
        sa.Column("remaining", sa.Float(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_guesses"),
    )
    op.create_index("ix_guesses_at", "guesses", ["at"])
    op.create_table(
        "revocations",
        sa.Column("id", ID, nullable=False),
        sa.Column("issued_before", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revocations"),
    )
    op.create_index("ix_revocations_at", "revocations", ["at"])
    op.create_index("ix_revocations_expires_at", "revocations", ["expires_at"])
    op.create_table(
        "links",
        sa.Column("id", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("secret", ID, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("created_by", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        _of_document("links"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_links_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_links"),
    )
    op.create_index("ix_links_document_id", "links", ["document_id"])
    op.create_index("ix_links_secret", "links", ["secret"], unique=True)
    op.create_table(
        "tickets",
        sa.Column("hash", ID, nullable=False),
        sa.Column("document_id", ID, nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        _of_document("tickets"),
        sa.PrimaryKeyConstraint("hash", name="pk_tickets"),
    )
    op.create_index("ix_tickets_expires_at", "tickets", ["expires_at"])
    op.create_table(
        "audit",
        sa.Column("document_id", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", ID, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject_id", ID),
        sa.Column("link_id", ID),
        sa.Column("role", sa.String(16)),
        sa.Column("role_before", sa.String(16)),
        _of_document("audit"),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name="fk_audit_actor_id"),
        sa.ForeignKeyConstraint(["subject_id"], ["users.id"], name="fk_audit_subject_id"),
        sa.PrimaryKeyConstraint("document_id", "number", name="pk_audit"),
    )
    op.add_column("documents", sa.Column("anyone", sa.String(16)))
    op.add_column(
        "documents",
        sa.Column("access_version", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.add_column("members", sa.Column("until", sa.BigInteger()))
    op.add_column("members", sa.Column("link_id", ID))
    op.create_index("ix_members_link_id", "members", ["link_id"])
    op.execute("UPDATE documents SET anyone = 'editor'")
    op.execute("UPDATE members SET role = 'visitor' WHERE role <> 'owner'")


def _of_document(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["document_id"], ["documents.id"], name=f"fk_{table}_document_id", ondelete="CASCADE"
    )


def downgrade() -> None:
    op.execute("UPDATE members SET role = 'editor' WHERE role = 'visitor'")
    op.execute("DELETE FROM members WHERE role = 'removed' OR link_id IS NOT NULL")
    op.drop_index("ix_members_link_id", "members")
    op.drop_column("members", "link_id")
    op.drop_column("members", "until")
    op.drop_column("documents", "access_version")
    op.drop_column("documents", "anyone")
    for table in ("audit", "tickets", "links", "revocations", "guesses", "accounts"):
        op.drop_table(table)
