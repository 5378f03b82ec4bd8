"""Runs the migrations on a connection that is given, or on the database that the settings name."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from collab.settings import Settings
from collab.storage.tables import metadata


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    engine = create_engine(Settings().sqlalchemy_url)
    with engine.connect() as connection:
        migrate(connection)
    engine.dispose()


main()
