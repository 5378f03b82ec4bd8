"""What is known of somebody who comes to a document, read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collab.access.roles import NO_CLAIMS, REMOVED, Role, Standing
from collab.access.tokens import User
from collab.errors import NotFound
from collab.storage import access, documents, history, listing, newcomers
from collab.storage.access import Caller
from collab.storage.tables import clients
from tests.standing import role_given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collab.storage.database import Database

ADA, BOB = User("ada", "Ada", guest=False), User("bob", "Bob", guest=True)
NOW = 10
ALL = listing.Listing(limit=10, sort="title")


@pytest.fixture
async def document(database: Database) -> Database:
    """One that anyone may view, and whose client "c" has pushed."""
    first = history.first_segment("d", "text", ADA.id, 1)
    await database.write(
        lambda each: documents.create(each, "d", "Notes", first, ADA, 1, Role.VIEWER)
    )
    used = {"document_id": "d", "client": "c", "seq": 7, "at": 1}
    await database.write(lambda connection: connection.execute(clients.insert().values(used)))
    return database


async def known(
    database: Database, user: User, claims: Mapping[str, Role] = NO_CLAIMS, client: str = "c"
) -> newcomers.Known:
    return await newcomers.known(database, "d", Caller(user, claims), client, NOW)


@pytest.mark.parametrize("until", [None, NOW, NOW + 1])
@pytest.mark.parametrize("role", [None, Role.EDITOR])
async def test_a_newcomers_standing_is_what_the_database_says_of_them(
    document: Database, role: Role | None, until: int | None
) -> None:
    await known(document, BOB)
    if role is not None:
        await document.write(lambda each: role_given(each, "d", "bob", role, until))
    standings = await document.look_up(lambda each: access.standings(each, "d", ["bob"], NOW))
    versions = await document.look_up(lambda each: access.versions(each, ["d"]))
    assert await known(document, BOB) == (standings["bob"], versions["d"], 7)


async def test_a_newcomer_has_the_document_on_their_list_from_then_on(document: Database) -> None:
    await known(document, BOB)
    page = await document.look_up(lambda each: listing.page(each, "bob", ALL, NOW))
    assert [item.id for item in page.items] == ["d"]


async def test_of_a_client_that_has_saved_nothing_no_seq_is_known(document: Database) -> None:
    assert (await known(document, ADA, client="other")).last_seq == -1


async def test_a_newcomers_token_has_the_first_word(document: Database) -> None:
    claims = {"d": Role.COMMENTER}
    assert await known(document, BOB, claims) == (Standing(Role.COMMENTER), None, 7)


async def test_who_was_removed_is_not_known(document: Database) -> None:
    await known(document, BOB)
    await document.write(lambda each: role_given(each, "d", "bob", REMOVED))
    with pytest.raises(NotFound):
        await known(document, BOB)
