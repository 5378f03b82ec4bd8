"""Lists of documents, page by page, beside the obvious way: sort everything, and look."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, get_args

import pytest

from collab.access.roles import Role
from collab.access.tokens import User
from collab.errors import BadRequest
from collab.storage import documents, listing
from collab.storage.documents import Document, fold
from collab.storage.history import first_segment
from collab.storage.listing import Listing, Page, Sort
from collab.storage.tables import documents as documents_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from collab.storage.database import Database

ADA, BOB = User("ada", "Ada", guest=False), User("bob", "Bob", guest=True)
SORTS: tuple[Sort, ...] = get_args(Sort)
WORDS = ["Notes", "NOTES", "100%", "1_0", "a/b", "Ж", "ж", "😀", "é", "e\u0301", "\\", "'"]


@dataclass
class World:
    """Ada's documents, in the database and in a list."""

    database: Database
    random: Random
    at: int = 0
    documents: dict[str, Document] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    async def create(self) -> None:
        owner = self.random.choice([ADA, ADA, BOB])
        document_id = f"d{self.random.randrange(10**6)}-{len(self.documents)}"
        title = " ".join(self.random.choices(WORDS, k=self.random.randint(1, 3)))
        at = self._now()

        def create(connection: Connection) -> None:
            first = first_segment(document_id, "", owner.id, at)
            documents.create(connection, document_id, title, first, owner, at, Role.EDITOR)
            documents.put_on_list(connection, document_id, ADA, at)

        await self.database.write(create)
        self.documents[document_id] = await documents.opened(self.database, document_id, ADA, at)
        self.touched.add(document_id)

    async def change(self) -> None:
        """Somebody edits or renames a document while Ada reads her list."""
        document_id = self.random.choice([*self.documents])
        title = self.random.choice(WORDS)
        values: dict[str, Any] = self.random.choice(
            [{"updated_at": self._now()}, {"title": title, "title_key": fold(title)}]
        )
        await self.database.write(
            lambda c: c.execute(
                documents_table.update().where(documents_table.c.id == document_id).values(values)
            )
        )
        self.touched.add(document_id)

    async def delete(self) -> None:
        document_id = self.random.choice([*self.documents])
        await self.database.write(
            lambda c: c.execute(documents_table.delete().where(documents_table.c.id == document_id))
        )
        del self.documents[document_id]
        self.touched.add(document_id)

    async def something(self) -> None:
        await self.random.choice([self.create, self.change, self.change, self.delete])()

    def untouched(self, listing: Listing) -> list[Document]:
        """What the list shows of the documents that nobody touched, in its order."""
        shown = [
            document
            for document in self.documents.values()
            if document.id not in self.touched
            and (not listing.q or fold(listing.q) in fold(document.title))
            and listing.role in (None, document.role)
        ]
        sort = listing.sort.removeprefix("-")

        def key(document: Document) -> tuple[Any, str]:
            place = fold(document.title) if sort == "title" else getattr(document, sort)
            return place, document.id

        return sorted(shown, key=key, reverse=listing.sort.startswith("-"))

    def _now(self) -> int:
        self.at += self.random.randint(0, 2)  # many at the same time
        return self.at


@pytest.mark.parametrize("seed", range(60))
async def test_what_nobody_touches_is_listed_once_and_in_order_whatever_happens_to_the_rest(
    database: Database, seed: int
) -> None:
    random = Random(seed)
    world = World(database, random)
    for _ in range(random.randint(3, 25)):
        await world.create()
    world.touched.clear()
    cursor = None
    shown: list[Document] = []
    wanted = Listing(
        limit=random.randint(1, 6),
        sort=random.choice(SORTS),
        q=random.choice(["", "", *WORDS]),
        role=random.choice([None, None, Role.OWNER, Role.EDITOR]),
    )
    while True:
        asked = Listing(wanted.limit, wanted.sort, wanted.q, wanted.role, cursor)
        page = await read_page(database, ADA.id, asked)
        assert len(page.items) <= wanted.limit
        shown += page.items
        if page.next is None:
            break
        assert len(page.items) == wanted.limit
        cursor = page.next
        for _ in range(random.randint(0, 2) if len(shown) < 200 else 0):
            await world.something()
    assert [each for each in shown if each.id not in world.touched] == world.untouched(wanted)


async def test_nobody_sees_the_documents_of_others(database: Database) -> None:
    world = World(database, Random(0))
    for _ in range(5):
        await world.create()
    page = await read_page(database, "somebody", Listing(50, "title"))
    assert page == ([], None)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "!",
        "x",
        "ä",
        "AAAA",
        ["title", "x"],
        ["title", 7, "d"],
        ["title", "x", "d", "more"],
        ["title", "x", "no id"],
        ["title", "x", "d\n"],
        ["title", "x\0", "d"],
        ["-title", "x", "d"],
        ["updated_at", 7, "d"],
        ["nothing", "x", "d"],
        ["title", None, "d"],
        {"title": "x"},
        [],
        7,
    ],
    ids=str,
)
async def test_a_cursor_that_was_not_given_out_is_refused(database: Database, wrong: Any) -> None:
    cursor = wrong if isinstance(wrong, str) else cursor_of(wrong)
    with pytest.raises(BadRequest, match="the cursor is not one that this list gave out"):
        await read_page(database, ADA.id, Listing(50, "title", cursor=cursor))


@pytest.mark.parametrize("key", [-1, 2**63, 10**100, 1.5, True, "x"])
async def test_a_cursor_that_the_database_could_not_read_is_refused(
    database: Database, key: Any
) -> None:
    asked = Listing(50, "updated_at", cursor=cursor_of(["updated_at", key, "d"]))
    with pytest.raises(BadRequest):
        await read_page(database, ADA.id, asked)


async def test_a_cursor_goes_on_where_its_document_was(database: Database) -> None:
    asked = Listing(50, "title", cursor=cursor_of(["title", "x", "d"]))
    assert await read_page(database, ADA.id, asked) == ([], None)


def cursor_of(place: Any) -> str:
    written = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")


async def read_page(database: Database, user_id: str, asked: Listing) -> Page:
    return await database.look_up(lambda connection: listing.page(connection, user_id, asked, 1))
