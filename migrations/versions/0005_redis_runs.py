"""Which run of Redis a document's log lies in."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "documents", sa.Column("redis_run", sa.String(64), nullable=False, server_default="")
    )


def downgrade() -> None:
    op.drop_column("documents", "redis_run")
