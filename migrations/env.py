"""Runs the migrations on a connection that is given, or on the database that the settings name."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from collab.settings import Settings
from collab.storage.tables import metadata

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_migrate() -> None:
    url = make_url(Settings().sqlalchemy_url)
    engine = create_async_engine(url.set(drivername=DRIVERS[url.get_backend_name()]))
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
    else:
        asyncio.run(connect_and_migrate())


main()
