"""Documents as the people who open them see them."""

from __future__ import annotations

import asyncio
import unicodedata
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from collab.access.roles import REMOVED, VISITOR, Role
from collab.access.tokens import User
from collab.errors import DocumentsFull, NotFound
from collab.log.entry import Point
from collab.storage import audit, documents, history
from collab.storage.documents import fold
from collab.storage.tables import members, users

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from collab.storage.database import Database

ADA, BOB = User("ada", "Ada", guest=False), User("bob", "Bob", guest=True)


async def create(
    database: Database, document_id: str = "d", text: str = "", anyone: Role | None = Role.EDITOR
) -> documents.Document:
    first = history.first_segment(document_id, text, ADA.id, 1)
    return await database.write(
        lambda connection: documents.create(connection, document_id, "Notes", first, ADA, 1, anyone)
    )


async def test_what_is_created_is_what_its_owner_opens(database: Database) -> None:
    made = await create(database, text="a😀")
    assert made.role is Role.OWNER
    assert (made.saved_revision, made.length, made.created_at, made.updated_at) == (1, 3, 1, 1)
    assert await documents.opened(database, "d", ADA, 2) == made


async def test_a_text_is_the_first_push_of_the_history(database: Database) -> None:
    await create(database, text="a😀")
    saved = await history.load(database, "d")
    assert (str(saved.text), saved.end.revision) == ("a😀", 1)
    (push,) = saved.tail
    assert (push.first, push.last, push.author, push.at) == (1, 1, "ada", 1)
    assert Point(push.last, push.mark, push.weight) == saved.end


async def test_an_empty_document_is_at_revision_0(database: Database) -> None:
    await create(database)
    saved = await history.load(database, "d")
    assert (str(saved.text), saved.end.revision, saved.tail) == ("", 0, [])


async def test_a_user_owns_as_many_documents_as_they_may(database: Database) -> None:
    """However many are made at once."""

    def make(connection: Connection, document_id: str) -> None:
        documents.check_may_own_more(connection, ADA.id, 3)
        first = history.first_segment(document_id, "", ADA.id, 1)
        documents.create(connection, document_id, "Notes", first, ADA, 1)

    await create(database, "first")
    made = await asyncio.gather(
        *(database.write(partial(make, document_id=f"d{n}")) for n in range(5)),
        return_exceptions=True,
    )
    assert [type(each) for each in made if each is not None] == [DocumentsFull] * 3
    await database.write(lambda connection: documents.delete(connection, "first"))
    await database.write(partial(make, document_id="another"))
    await database.write(lambda c: documents.check_may_own_more(c, BOB.id, 3))


async def test_whoever_opens_a_document_that_anyone_may_is_a_visitor_of_it_from_then_on(
    database: Database,
) -> None:
    made = await create(database)
    seen = await documents.opened(database, "d", BOB, 2)
    assert (seen.role, seen.owner) == (Role.EDITOR, made.owner)
    await documents.opened(database, "d", BOB, 3)
    async with database.read() as connection:
        row = (await connection.execute(select(members).where(members.c.user_id == "bob"))).one()
    assert (row.role, row.created_at) == (VISITOR, 2)


async def test_opening_at_once_from_many_sides_is_opening_once(database: Database) -> None:
    await create(database)
    seen = await asyncio.gather(*(documents.opened(database, "d", BOB, n) for n in range(10)))
    assert {each.role for each in seen} == {Role.EDITOR}


async def test_a_role_is_never_changed_by_opening(database: Database) -> None:
    await create(database)
    await documents.opened(database, "d", BOB, 2)
    await set_row(database, BOB, role=Role.VIEWER)
    await database.write(lambda c: documents.put_on_list(c, "d", BOB, 3))
    assert (await documents.opened(database, "d", BOB, 3)).role is Role.VIEWER


async def set_row(database: Database, user: User, **values: object) -> None:
    await database.write(
        lambda c: c.execute(members.update().where(members.c.user_id == user.id).values(**values))
    )


async def test_who_has_no_standing_finds_nothing_and_leaves_no_trace(database: Database) -> None:
    await create(database, anyone=None)
    with pytest.raises(NotFound, match="there is no such document"):
        await documents.opened(database, "d", BOB, 2)
    async with database.read() as connection:
        assert (await connection.execute(select(members.c.user_id))).scalars().all() == ["ada"]


async def test_who_was_removed_finds_nothing_whatever_anyone_has(database: Database) -> None:
    await create(database)
    await documents.opened(database, "d", BOB, 2)
    await set_row(database, BOB, role=REMOVED)
    with pytest.raises(NotFound):
        await documents.opened(database, "d", BOB, 2)


async def test_a_role_until_a_time_is_what_anyone_has_after_it(database: Database) -> None:
    await create(database, anyone=Role.VIEWER)
    await documents.opened(database, "d", BOB, 2)
    await set_row(database, BOB, role=Role.EDITOR, until=10)
    before = await documents.opened(database, "d", BOB, 9)
    after = await documents.opened(database, "d", BOB, 10)
    assert (before.role, before.until) == (Role.EDITOR, 10)
    assert (after.role, after.until) == (Role.VIEWER, None)


@pytest.mark.parametrize("row", [None, VISITOR, REMOVED, Role.EDITOR])
async def test_a_role_that_the_token_gives_comes_before_all(
    database: Database, row: str | None
) -> None:
    await create(database)
    if row is not None:
        await documents.opened(database, "d", BOB, 2)
        await set_row(database, BOB, role=row, until=10)
    seen = await documents.opened(database, "d", BOB, 3, {"d": Role.VIEWER, "*": Role.OWNER})
    assert (seen.role, seen.until) == (Role.VIEWER, None)
    async with database.read() as connection:
        rows = (await connection.execute(select(members.c.role, members.c.user_id))).all()
    assert (row or VISITOR, "bob") in rows  # on their list from now on


async def test_with_a_role_from_the_token_a_document_that_is_not_there_stays_so(
    database: Database,
) -> None:
    with pytest.raises(NotFound):
        await documents.opened(database, "d", BOB, 3, {"*": Role.OWNER})


async def test_that_a_document_was_made_stands_in_its_audit_trail(database: Database) -> None:
    await create(database)
    page = await database.look_up(lambda c: audit.page(c, "d", None, 10))
    (entry,) = page.items
    assert (entry.number, entry.at, entry.actor) == (1, 1, ("ada", "Ada"))
    assert (entry.event, entry.role) == (audit.Event.DOCUMENT_CREATED, Role.EDITOR)


@pytest.mark.parametrize("unknown", ["other", "", "d\0", "d\n", "d" * 65, "\uff44"])
async def test_nobody_can_open_what_is_not_there(database: Database, unknown: str) -> None:
    await create(database)
    with pytest.raises(NotFound):
        await documents.opened(database, unknown, BOB, 2)
    async with database.read() as connection:
        assert (await connection.execute(select(users.c.id))).scalars().all() == ["ada"]


@pytest.mark.parametrize(
    "forms",
    [
        "NOTES notes Notes \uff4e\uff4f\uff54\uff45\uff53",
        "STRASSE straße Straße STRAẞE",
        "ΣΊΣΥΦΟΣ σίσυφος σίσυφοσ",
        "ЖУРНАЛ журнал",
        "Café cafe\u0301 CAFÉ",
        "ﬁle FILE ﬁLE",
        "ÅNGSTRÖM Ångström a\u030angstro\u0308m",
        "ⴀⴁⴂ ႠႡႢ",
        "가나 \u1100\u1161\u1102\u1161",
        "\u210c h H",
        "Ꮳ ꮳ",
    ],
)
def test_titles_that_differ_only_in_case_or_encoding_are_one(forms: str) -> None:
    assert len({fold(form) for form in forms.split()}) == 1


@given(st.text())
def test_folding_is_settled_after_once(title: str) -> None:
    assert fold(fold(title)) == fold(title)


@given(st.text())
def test_no_encoding_of_a_title_folds_to_another(title: str) -> None:
    forms = {unicodedata.normalize(form, title) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert {fold(form) for form in forms} == {fold(title)}
