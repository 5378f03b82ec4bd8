"""Standings as the database has them: the same rule in SQL as in `access.roles`."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from collab.access.roles import REMOVED, VISITOR, Membership, Role, Standing, claimed, standing
from collab.access.tokens import User
from collab.storage import access, documents, users
from collab.storage.history import first_segment
from collab.storage.tables import documents as document_rows
from collab.storage.tables import members

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

    from collab.storage.database import Database

ADA = User("ada", "Ada", guest=True)
NOW = 1_000


def made(connection: Connection, document_id: str, anyone: Role | None) -> None:
    first = first_segment(document_id, "", ADA.id, 1)
    documents.create(connection, document_id, "Notes", first, ADA, 1, anyone)


def one(connection: Connection, query: Select[Any]) -> Row[Any]:
    return connection.execute(query).one()


async def test_the_rule_in_sql_is_the_rule_in_python(database: Database) -> None:
    random = Random(7)
    kinds = [Role.EDITOR, Role.COMMENTER, Role.VIEWER, VISITOR, REMOVED]
    expected: dict[tuple[str, str], Standing] = {}

    def fill(connection: Connection) -> None:
        for document_id in (f"d{number}" for number in range(12)):
            anyone = random.choice([None, Role.EDITOR, Role.COMMENTER, Role.VIEWER])
            made(connection, document_id, anyone)
            expected[document_id, "ada"] = Standing(Role.OWNER)
            for user_id in (f"u{number}" for number in range(10)):
                row = Membership(random.choice(kinds), random.choice([None, NOW - 1, NOW, NOW + 1]))
                users.add(connection, User(user_id, user_id, guest=True), 1)
                connection.execute(
                    members.insert().values(
                        document_id=document_id,
                        user_id=user_id,
                        role=row.role,
                        until=row.until,
                        created_at=1,
                    )
                )
                expected[document_id, user_id] = standing(row, anyone, NOW)
            expected[document_id, "stranger"] = standing(None, anyone, NOW)

    await database.write(fill)
    for (document_id, user_id), stands in expected.items():
        claims = random.choice([{}, {"d3": Role.VIEWER}, {"d3": Role.VIEWER, "*": Role.EDITOR}])
        given = claimed(claims, document_id)
        query = (
            select(access.role_now(NOW, claims), access.until(NOW))
            .select_from(document_rows)
            .outerjoin(
                members,
                and_(
                    members.c.document_id == document_rows.c.id,
                    members.c.user_id == user_id,
                ),
            )
            .where(document_rows.c.id == document_id)
        )
        found = await database.look_up(partial(one, query=query))
        assert Standing(*found) == (given or stands.role, stands.until), (document_id, user_id)

    everyone = {user_id for _, user_id in expected}
    for document_id in {document_id for document_id, _ in expected}:
        read = await database.look_up(
            partial(access.standings, document_id=document_id, user_ids=everyone, now=NOW)
        )
        assert read == {user_id: expected[document_id, user_id] for user_id in everyone}


async def test_nobody_has_a_standing_in_a_document_that_is_gone(database: Database) -> None:
    read = await database.look_up(lambda reading: access.standings(reading, "no", ["ada"], NOW))
    assert read == {"ada": Standing(None)}


async def test_the_versions_of_documents_that_are_gone_are_not_there(database: Database) -> None:
    await database.write(lambda connection: made(connection, "d", None))
    read = await database.look_up(lambda reading: access.versions(reading, ["d", "no"]))
    assert read == {"d": 0}
