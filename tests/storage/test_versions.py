"""Named versions in the database."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from collab.access.tokens import User
from collab.errors import NotFound, VersionsFull
from collab.storage import documents, versions
from collab.storage.history import first_segment

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from collab.storage.database import Database

ADA = User("ada", "Ada", guest=True)


def make(connection: Connection, document_id: str, names: str) -> list[int]:
    """A document with a version of each name, at revisions 0, 1, …"""
    first = first_segment(document_id, "text", ADA.id, 1)
    documents.create(connection, document_id, "Notes", first, ADA, 1)
    return [
        versions.add(connection, document_id, name, revision, ADA.id, 100 + revision)
        for revision, name in enumerate(names)
    ]


async def test_they_are_counted_from_one_in_each_document(database: Database) -> None:
    for document_id in ("d", "e"):
        made = await database.write(partial(make, document_id=document_id, names="abc"))
        assert made == [1, 2, 3]


async def test_they_are_found_newest_first(database: Database) -> None:
    await database.write(lambda connection: make(connection, "d", "abc"))
    await database.write(lambda connection: make(connection, "e", "x"))

    for before, limit, names, more in (
        (None, 3, "cba", False),
        (None, 2, "cb", True),
        (3, 2, "ba", False),
        (2, 2, "a", False),
        (1, 2, "", False),
    ):
        found = await database.look_up(
            partial(versions.page, document_id="d", before=before, limit=limit)
        )
        assert ("".join(version.name for version in found.items), found.more) == (names, more)


async def test_one_is_found_by_its_number(database: Database) -> None:
    await database.write(lambda connection: make(connection, "d", "ab"))
    found = await database.look_up(lambda connection: versions.find(connection, "d", 2))
    assert found == (2, "b", 1, "ada", "Ada", 101)
    for document_id, number in (("d", 3), ("d", 2**53), ("e", 1)):
        with pytest.raises(NotFound):
            await database.look_up(partial(versions.find, document_id=document_id, number=number))


async def test_a_document_that_is_not_there_has_none(database: Database) -> None:
    with pytest.raises(NotFound):
        await database.write(lambda connection: versions.add(connection, "d", "a", 0, ADA.id, 1))


async def test_there_are_so_many_and_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "MAX_VERSIONS", 2)
    await database.write(lambda connection: make(connection, "d", "ab"))
    with pytest.raises(VersionsFull):
        await database.write(lambda connection: versions.add(connection, "d", "c", 0, ADA.id, 1))


async def test_they_go_with_their_document(database: Database) -> None:
    await database.write(lambda connection: make(connection, "d", "ab"))
    await database.write(lambda connection: documents.delete(connection, "d"))
    found = await database.look_up(lambda connection: versions.page(connection, "d", None, 10))
    assert found.items == []
