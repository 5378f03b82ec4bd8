"""Documents as the people who open them see them. Times are milliseconds since 1970."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, func, select, update

from collab.access.roles import NO_CLAIMS, VISITOR, Role, claimed
from collab.errors import DocumentsFull
from collab.log.entry import first_mark
from collab.storage import access, audit
from collab.storage import users as known_users
from collab.storage.tables import documents, members, segments, users
from collab.storage.upsert import insert_if_new

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select

    from collab.access.tokens import User
    from collab.storage.database import Database
    from collab.storage.history import FirstSegment

DOCUMENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class Owner(NamedTuple):
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document's row, and the standing in it of whoever asked: `role`, and until when it holds.

    `anyone` is the role of whoever is no member. `length` is in UTF-16 code units.
    """

    id: str
    title: str
    role: Role
    until: int | None
    anyone: Role | None
    owner: Owner
    saved_revision: int
    length: int
    created_at: int
    updated_at: int


def create(
    connection: Connection,
    document_id: str,
    title: str,
    first: FirstSegment,
    owner: User,
    at: int,
    anyone: Role | None = None,
) -> Document:
    """Add a document that begins with `first`; it is on its owner's list."""
    known_users.add(connection, owner, at)
    connection.execute(
        documents.insert().values(
            id=document_id,
            title=title,
            title_key=fold(title),
            owner_id=owner.id,
            created_at=at,
            updated_at=at,
            saved_revision=first.end.revision,
            saved_mark=first.end.mark,
            saved_weight=first.end.weight,
            merged_revision=0,
            loose_segments=first.end.revision,
            snapshot_weight=0,
            length=first.length,
            anyone=anyone,
        )
    )
    connection.execute(
        members.insert().values(
            document_id=document_id, user_id=owner.id, role=Role.OWNER, created_at=at
        )
    )
    if first.pushes is not None:
        connection.execute(
            segments.insert().values(
                document_id=document_id,
                first_revision=1,
                last_revision=1,
                mark_before=first_mark(document_id),
                weight_before=0,
                pushes=first.pushes,
            )
        )
    audit.record(connection, document_id, at, owner.id, audit.Event.DOCUMENT_CREATED, role=anyone)
    return Document(
        id=document_id,
        title=title,
        role=Role.OWNER,
        until=None,
        anyone=anyone,
        owner=Owner(owner.id, owner.name),
        saved_revision=first.end.revision,
        length=first.length,
        created_at=at,
        updated_at=at,
    )


def check_may_own_more(connection: Connection, user_id: str, most: int) -> None:
    """Raises `DocumentsFull` where a user owns `most` documents. To be called before they become
    the owner of another, in the same transaction; nobody else makes them one meanwhile.
    """
    locked = select(users.c.id).where(users.c.id == user_id)
    connection.execute(locked.with_for_update(key_share=True))
    owned = select(members).where(members.c.user_id == user_id, members.c.role == Role.OWNER)
    count = select(func.count()).select_from(owned.limit(most).subquery())
    if connection.scalar(count) == most:
        raise DocumentsFull(f"a user owns at most {most} documents")


async def opened(
    database: Database,
    document_id: str,
    user: User,
    at: int,
    claims: Mapping[str, Role] = NO_CLAIMS,
) -> Document:
    """The document as `user` opens it: from now on it is on their list.

    Raises `NotFound`, for one that they have no standing in as for one that is not there.
    """
    found = await listed(database, _SEEN, document_id, user, at, claims)
    return from_row(found, claimed(claims, document_id))


async def listed(
    database: Database,
    seen: Select[Any],
    document_id: str,
    user: User,
    at: int,
    claims: Mapping[str, Role],
    **more: object,
) -> Row[Any]:
    """What is `seen` of a document by `user`, who has a standing in it, and has it on their list
    from now on: in one reading, if they had it there already.

    The statement is given their ids as `document_id` and `user_id`, the time as `now`, and `more`;
    it selects `role` and `listed`. Raises `NotFound`.
    """
    if not DOCUMENT_ID.fullmatch(document_id):
        raise access.not_found()
    wanted = {"document_id": document_id, "user_id": user.id, "now": at, **more}

    def find(connection: Connection) -> Row[Any] | None:
        return connection.execute(seen, wanted).one_or_none()

    found = await database.look_up(find)
    role = claimed(claims, document_id)
    if found is not None and not found.listed and (role or found.role) is not None:
        await database.write(lambda connection: put_on_list(connection, document_id, user, at))
        found = await database.look_up(find)
    if found is None or (role or found.role) is None:
        raise access.not_found()
    return found


def put_on_list(connection: Connection, document_id: str, user: User, at: int) -> None:
    """Make `user` a visitor, unless they are anything already. Raises `NotFound`."""
    # Locked on PostgreSQL, where another server may delete it meanwhile.
    found = select(documents.c.id).where(documents.c.id == document_id)
    if connection.scalar(found.with_for_update(read=True, key_share=True)) is None:
        raise access.not_found()
    known_users.add(connection, user, at)
    insert_if_new(
        connection,
        members,
        document_id=document_id,
        user_id=user.id,
        role=VISITOR,
        created_at=at,
    )


def rename(connection: Connection, document_id: str, title: str, at: int) -> None:
    """Raises `NotFound`."""
    renamed = connection.execute(
        update(documents)
        .where(documents.c.id == document_id)
        .values(title=title, title_key=fold(title), updated_at=at)
    )
    if renamed.rowcount != 1:
        raise access.not_found()


def delete(connection: Connection, document_id: str) -> None:
    """Remove a document, and with it all that refers to it. Raises `NotFound`.

    A writer that still holds pushes of it finds no row to move, and tells their authors.
    """
    deleted = connection.execute(documents.delete().where(documents.c.id == document_id))
    if deleted.rowcount != 1:
        raise access.not_found()


def seen_by(
    user_id: str | BindParameter[str], role: ColumnElement[Any], now: int | BindParameter[int]
) -> Select[Any]:
    """Documents, with a user's role in each; `from_row` makes a `Document` of each row."""
    return (
        select(
            documents,
            role.label("role"),
            access.until(now).label("until"),
            members.c.user_id.is_not(None).label("listed"),
            users.c.name.label("owner_name"),
        )
        .outerjoin(
            members,
            and_(members.c.document_id == documents.c.id, members.c.user_id == user_id),
        )
        .join(users, users.c.id == documents.c.owner_id)
    )


_NOW = bindparam("now", type_=BigInteger)
_SEEN = seen_by(bindparam("user_id"), access.role_now(_NOW), _NOW).where(
    documents.c.id == bindparam("document_id")
)


def from_row(row: Row[Any], claimed: Role | None = None) -> Document:
    """`claimed` is the role that the user's token gives, which comes first."""
    return Document(
        id=row.id,
        title=row.title,
        role=claimed or Role(row.role),
        until=None if claimed else row.until,
        anyone=None if row.anyone is None else Role(row.anyone),
        owner=Owner(row.owner_id, row.owner_name),
        saved_revision=row.saved_revision,
        length=row.length,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def fold(title: str) -> str:
    """The form in which titles are compared: neither case nor a character's encoding counts.

    Case is folded between two normalisations, as either may undo the other (Unicode 3.13, D146).
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", title).casefold())
    return unicodedata.normalize("NFKC", folded.casefold())
