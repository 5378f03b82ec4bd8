"""Bringing a database to the newest version of the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, create_engine, event

import collab

if TYPE_CHECKING:
    from sqlalchemy import Connection


def found(package: Path) -> Path:
    """The migrations: inside an installed package, else beside it in a checkout."""
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


MIGRATIONS = found(Path(collab.__file__).parent)


def migrate_sqlite(path: Path, migrations: Path = MIGRATIONS) -> None:
    """Upgrade the SQLite database at `path`, all of it or nothing.

    A migration may have to build a table anew and drop the old one. Where foreign keys are
    enforced, that deletes every row that refers to it; so on this connection they are not, and
    rows that refer to nothing are looked for at the end.
    """
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _leave_transactions_to_sqlalchemy)
    event.listen(engine, "begin", _begin_immediate)
    try:
        with engine.begin() as connection:
            upgrade(connection, migrations)
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                raise RuntimeError("a migration left rows that refer to nothing; it was undone")
    finally:
        engine.dispose()


def upgrade(connection: Connection, migrations: Path = MIGRATIONS) -> None:
    """Upgrade to head in the connection's transaction."""
    command.upgrade(config(connection, migrations), "head")


def config(connection: Connection, migrations: Path = MIGRATIONS) -> Config:
    """Alembic's, for commands on this connection."""
    made = Config()
    made.set_main_option("path_separator", "os")
    made.set_main_option("script_location", str(migrations))
    made.attributes["connection"] = connection
    return made


def _leave_transactions_to_sqlalchemy(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
