"""The migrations make the tables that the code has, from whatever was there, and lose nothing."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, event, inspect, select, text

from collab.access.tokens import User
from collab.storage import documents as stored
from collab.storage.database import Database
from collab.storage.history import first_segment
from collab.storage.migrations import MIGRATIONS, config, found, migrate, upgrade
from collab.storage.tables import documents, members, metadata, segments, users

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADA = User("ada", "Ada", guest=True)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A transaction on an empty database whose foreign keys are enforced, as the server's are."""
    engine = create_engine(f"sqlite:///{tmp_path}/test.db")
    event.listen(engine, "connect", lambda dbapi, _: dbapi.execute("PRAGMA foreign_keys=ON"))
    with engine.begin() as begun:
        yield begun
    engine.dispose()


def add_document(connection: Connection) -> None:
    first = first_segment("d", "text", ADA.id, 1)
    stored.create(connection, "d", "Notes", first, ADA, 1)


def test_up_makes_the_tables_of_the_code(connection: Connection) -> None:
    upgrade(connection)
    command.check(config(connection))  # raises where they differ
    assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_up_again_changes_nothing(connection: Connection) -> None:
    upgrade(connection)
    add_document(connection)
    upgrade(connection)
    assert connection.scalar(select(documents.c.title)) == "Notes"


def test_down_and_up_again_work_with_data_in_the_tables(connection: Connection) -> None:
    upgrade(connection)
    add_document(connection)
    command.downgrade(config(connection), "base")
    assert inspect(connection).get_table_names() == ["alembic_version"]
    upgrade(connection)
    command.check(config(connection))
    add_document(connection)


def test_one_step_down_and_up_for_each_migration(connection: Connection) -> None:
    upgrade(connection)
    while connection.scalar(text("SELECT version_num FROM alembic_version")) is not None:
        command.downgrade(config(connection), "-1")
        command.upgrade(config(connection), "+1")
        command.downgrade(config(connection), "-1")
    upgrade(connection)


def with_another(folder: Path, name: str, script: str) -> Path:
    """A copy of the migrations, and one more after them."""
    migrations = folder / name
    shutil.copytree(MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    last = max(path.stem.partition("_")[0] for path in (migrations / "versions").iterdir())
    (migrations / "versions" / "next.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        f"revision, down_revision = 'next', '{last}'\n"
        f"def upgrade():\n{textwrap.indent(textwrap.dedent(script), '    ')}"
    )
    return migrations


async def test_a_table_built_anew_keeps_the_rows_that_refer_to_it(tmp_path: Path) -> None:
    """SQLite cannot alter a column: Alembic copies the table and drops the old one. Where foreign
    keys are enforced, the drop takes every member and segment of every document with it.
    """
    database = Database(f"sqlite:///{tmp_path}/test.db")
    await database.start()
    try:
        migrate(database.path)
        await database.write(add_document)
        rebuild = """
            with op.batch_alter_table("documents") as documents:
                documents.alter_column("title", type_=sa.String(500))
        """
        migrate(database.path, with_another(tmp_path, "rebuilding", rebuild))
        async with database.read() as reading:
            columns = await reading.run_sync(lambda c: inspect(c).get_columns("documents"))
            titles = (await reading.execute(select(documents.c.title))).scalars().all()
            roles = (await reading.execute(select(members.c.role))).scalars().all()
            ends = (await reading.execute(select(segments.c.last_revision))).scalars().all()
    finally:
        await database.close()
    assert "VARCHAR(500)" in {str(column["type"]) for column in columns}
    assert (titles, roles, ends) == (["Notes"], ["owner"], [1])


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("op.execute('CREATE TABLE half (id INTEGER)')\nraise ValueError('half')\n", "half"),
        ("op.execute('DELETE FROM users')\n", "rows that refer to nothing"),
    ],
    ids=["fails", "orphans rows"],
)
async def test_a_migration_that_goes_wrong_changes_nothing(
    tmp_path: Path, script: str, error: str
) -> None:
    database = Database(f"sqlite:///{tmp_path}/test.db")
    await database.start()
    try:
        migrate(database.path)
        await database.write(add_document)
        with pytest.raises((ValueError, RuntimeError), match=error):
            migrate(database.path, with_another(tmp_path, "wrong", script))
        async with database.read() as reading:
            names = await reading.run_sync(lambda c: inspect(c).get_table_names())
            assert "half" not in names
            assert await reading.scalar(select(users.c.id)) == ADA.id
    finally:
        await database.close()


def test_the_migrations_are_found_in_a_checkout_and_in_an_installed_package(
    tmp_path: Path,
) -> None:
    package = tmp_path / "collab"
    package.mkdir()
    assert found(package) == tmp_path / "migrations"
    (package / "migrations").mkdir()
    assert found(package) == package / "migrations"
