"""Bringing a database to the newest version of the tables."""

from __future__ import annotations

import sqlite3
import time
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

SQLITE_TIMEOUT_S = 60.0
"""How long to wait for another process that migrates the same file."""

RETRY_S = 0.01


def migrate_sqlite(path: Path, migrations: Path = MIGRATIONS) -> None:
    """Upgrade the SQLite database at `path`, all of it or nothing.

    A migration may have to build a table anew and drop the old one. Where foreign keys are
    enforced, that deletes every row that refers to it; so on this connection they are not, and
    rows that refer to nothing are looked for at the end.
    """
    waiting = {"timeout": SQLITE_TIMEOUT_S}
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args=waiting)
    event.listen(engine, "connect", _set_up_sqlite)
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


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """SQLite does not wait for others by itself while a file is made one with a write-ahead log:
    where processes start at once on a new file, one of them is at it.
    """
    connection.isolation_level = None  # SQLAlchemy's "begin" event begins, not the driver
    deadline = time.monotonic() + SQLITE_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_S)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
