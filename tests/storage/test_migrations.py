"""The migrations make the tables that the code has, from whatever was there, and lose nothing."""

from __future__ import annotations

import shutil
import textwrap
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from alembic import command
from sqlalchemy import Connection, inspect, select, text

from collab.access.tokens import User
from collab.log.entry import Past
from collab.storage import documents as stored
from collab.storage.database import database_at
from collab.storage.history import encode_text, first_segment, load, text_at
from collab.storage.migrations import MIGRATIONS, config, found, upgrade
from collab.storage.segments import encode
from collab.storage.tables import documents, members, metadata, segments, users
from collab.storage.upkeep import merge
from tests.storage.saving import Document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from collab.log.entry import Ordered
    from collab.storage.database import Database

ADA = User("ada", "Ada", guest=True)


@pytest.fixture
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database without tables, whose foreign keys are enforced."""
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path}/test.db"
        else:
            postgres = request.getfixturevalue("postgres")
            url = await stack.enter_async_context(postgres.without_tables())
        database = database_at(url)
        stack.push_async_callback(database.close)
        await database.start()
        yield database


on_each = pytest.mark.parametrize("empty", ["sqlite", "postgresql"], indirect=True)


def add_document(connection: Connection) -> None:
    first = first_segment("d", "text", ADA.id, 1)
    stored.create(connection, "d", "Notes", first, ADA, 1)


@on_each
async def test_up_makes_the_tables_of_the_code(empty: Database) -> None:
    def work(connection: Connection) -> set[str]:
        upgrade(connection)
        command.check(config(connection))  # raises where they differ
        return set(inspect(connection).get_table_names())

    assert await empty.write(work) == {*metadata.tables, "alembic_version"}


@on_each
async def test_up_again_changes_nothing(empty: Database) -> None:
    def work(connection: Connection) -> str | None:
        upgrade(connection)
        add_document(connection)
        upgrade(connection)
        return connection.scalar(select(documents.c.title))

    assert await empty.write(work) == "Notes"


@on_each
async def test_down_and_up_again_work_with_data_in_the_tables(empty: Database) -> None:
    def work(connection: Connection) -> None:
        upgrade(connection)
        add_document(connection)
        command.downgrade(config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        upgrade(connection)
        command.check(config(connection))
        add_document(connection)

    await empty.write(work)


@on_each
async def test_one_step_down_and_up_for_each_migration(empty: Database) -> None:
    def work(connection: Connection) -> None:
        upgrade(connection)
        while connection.scalar(text("SELECT version_num FROM alembic_version")) is not None:
            command.downgrade(config(connection), "-1")
            command.upgrade(config(connection), "+1")
            command.downgrade(config(connection), "-1")
        upgrade(connection)

    await empty.write(work)


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


@on_each
async def test_a_table_built_anew_keeps_the_rows_that_refer_to_it(
    empty: Database, tmp_path: Path
) -> None:
    """SQLite cannot alter a column: Alembic copies the table and drops the old one. Where foreign
    keys are enforced, the drop takes every member and segment of every document with it.
    """
    await empty.migrate()
    await empty.write(add_document)
    rebuild = """
        with op.batch_alter_table("documents") as documents:
            documents.alter_column("title", type_=sa.String(500))
    """
    await empty.migrate(with_another(tmp_path, "rebuilding", rebuild))
    async with empty.read() as reading:
        columns = await reading.run_sync(lambda c: inspect(c).get_columns("documents"))
        titles = (await reading.execute(select(documents.c.title))).scalars().all()
        roles = (await reading.execute(select(members.c.role))).scalars().all()
        ends = (await reading.execute(select(segments.c.last_revision))).scalars().all()
    assert "VARCHAR(500)" in {str(column["type"]) for column in columns}
    assert (titles, roles, ends) == (["Notes"], ["owner"], [1])


FAILS_HALFWAY = "op.execute('CREATE TABLE half (id INTEGER)')\nraise ValueError('half')\n"


@pytest.mark.parametrize(
    ("empty", "script", "error"),
    [
        ("sqlite", FAILS_HALFWAY, "half"),
        ("postgresql", FAILS_HALFWAY, "half"),
        ("sqlite", "op.execute('DELETE FROM users')\n", "rows that refer to nothing"),
    ],
    indirect=["empty"],
    ids=["fails", "fails on PostgreSQL", "orphans rows"],
)
async def test_a_migration_that_goes_wrong_changes_nothing(
    empty: Database, tmp_path: Path, script: str, error: str
) -> None:
    await empty.migrate()
    await empty.write(add_document)
    with pytest.raises((ValueError, RuntimeError), match=error):
        await empty.migrate(with_another(tmp_path, "wrong", script))
    async with empty.read() as reading:
        names = await reading.run_sync(lambda c: inspect(c).get_table_names())
        assert "half" not in names
        assert await reading.scalar(select(users.c.id)) == ADA.id


def test_the_migrations_are_found_in_a_checkout_and_in_an_installed_package(
    tmp_path: Path,
) -> None:
    package = tmp_path / "collab"
    package.mkdir()
    assert found(package) == tmp_path / "migrations"
    (package / "migrations").mkdir()
    assert found(package) == package / "migrations"


@on_each
async def test_histories_of_the_first_version_are_weighed_and_read_as_they_were(
    empty: Database,
) -> None:
    """Up, and down again with segments that were merged and deflated meanwhile."""
    document = Document("d")
    pushes = [document.type(text) for text in ("c[", '"b\n', "😀 a")]
    await empty.write(lambda connection: move(connection, "0001"))
    await empty.write(lambda connection: add_as_at_first(connection, pushes))
    await empty.write(upgrade)
    await empty.write(lambda connection: command.check(config(connection)))
    assert (await load(empty, "d")).end == document.room.history.end
    assert await text_at(empty, "d", 2) == pushes[1].text
    assert (await load(empty, "d")).tail == [past(push) for push in pushes]
    await merge(empty, "d")
    await empty.write(lambda connection: move(connection, "0001"))
    async with empty.read() as reading:
        (row,) = await reading.execute(text("select * from segments"))
    assert row == ("d", 1, 3, encode(pushes))


def move(connection: Connection, revision: str) -> None:
    """Up or down."""
    here = connection.dialect.has_table(connection, "alembic_version")
    (command.downgrade if here else command.upgrade)(config(connection), revision)


def add_as_at_first(connection: Connection, pushes: list[Ordered]) -> None:
    """The rows of a document as version 0001 wrote them: a segment each, a snapshot at 2."""
    rows: list[tuple[str, dict[str, object]]] = [
        ("users", {"id": "ada", "name": "Ada", "guest": True, "created_at": 1}),
        (
            "documents",
            {
                "id": "d",
                "title": "Notes",
                "title_key": "notes",
                "owner_id": "ada",
                "created_at": 1,
                "updated_at": 1,
                "saved_revision": 3,
                "saved_mark": pushes[-1].mark,
                "length": len(pushes[-1].text),
            },
        ),
        *(
            (
                "segments",
                {
                    "document_id": "d",
                    "first_revision": push.first,
                    "last_revision": push.last,
                    "pushes": encode([push]),
                },
            )
            for push in pushes
        ),
        (
            "snapshots",
            {
                "document_id": "d",
                "revision": 2,
                "mark": pushes[1].mark,
                "text": encode_text(pushes[1].text),
            },
        ),
    ]
    for table, row in rows:
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"insert into {table} ({names}) values ({values})"), row)


def past(push: Ordered) -> Past:
    return Past(**{name: getattr(push, name) for name in Past.__struct_fields__})
