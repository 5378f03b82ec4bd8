"""Inserting what may be there already, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


def insert_if_new(connection: Connection, table: Table, **values: object) -> bool:
    """Insert a row, unless there is one with its primary key: that one stays as it is.

    Returns whether it was inserted.
    """
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    return connection.execute(insert.values(values).on_conflict_do_nothing()).rowcount == 1
