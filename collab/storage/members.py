"""The members of a document, and what anyone else may. Times are milliseconds since 1970."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from sqlalchemy import and_, bindparam, case, or_, select, tuple_, update

from collab.access.roles import REMOVED, Action, Membership, Role, require, standing
from collab.errors import Conflict, NoSuchUser
from collab.storage import cursors
from collab.storage.access import changed, hold
from collab.storage.audit import Event, record
from collab.storage.documents import check_may_own_more
from collab.storage.tables import accounts, documents, members, users
from collab.storage.upsert import insert_if_new

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

    from collab.storage.access import Caller, Held


class Member(NamedTuple):
    """Who has a role of their own, since when, and until when if not for good. `link_id` is the
    link that they have it by; null where it was given to them by name.
    """

    user_id: str
    name: str
    username: str | None
    role: Role
    since: int
    until: int | None
    link_id: str | None


class Page(NamedTuple):
    """`next` is the cursor of the page after this one, `None` on the last."""

    items: list[Member]
    next: str | None


# -- Looking -------------------------------------------------------------------------------------


def page(
    connection: Connection, document_id: str, cursor: str | None, limit: int, now: int
) -> Page:
    """The owner, and then the others in the order in which they came.

    Raises `BadRequest` for a cursor that is not one of this list's.
    """
    query = _HAVE_ROLES.order_by(*_PLACE).limit(limit + 1)
    if cursor is not None:
        after = cursors.decode(cursor, _Place)
        query = query.where(tuple_(*_PLACE) > (after.rank, after.since, after.user_id))
    found = [
        _member(row) for row in connection.execute(query, {"document": document_id, "now": now})
    ]
    if len(found) <= limit:
        return Page(found, None)
    last = found[limit - 1]
    place = _Place(0 if last.role is Role.OWNER else 1, last.since, last.user_id)
    return Page(found[:limit], cursors.encode(place))


def find_user(connection: Connection, name: str) -> str:
    """The id of a user who is named by it, or by `@` and their username. Raises `NoSuchUser`."""
    found: str | None = None
    if name.startswith("@"):
        if name.isascii() and name.isprintable():
            query = select(accounts.c.user_id).where(accounts.c.username == name[1:].lower())
            found = connection.scalar(query)
    elif _USER_ID.fullmatch(name):
        found = connection.scalar(select(users.c.id).where(users.c.id == name))
    if found is None:
        raise NoSuchUser("there is no such user")
    return found


_USER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


# -- Changing ------------------------------------------------------------------------------------


def give(
    connection: Connection,
    document_id: str,
    caller: Caller,
    name: str,
    role: Role,
    now: int,
    max_owned: int,
) -> Member:
    """Give a user a role by name, for good. To make another the owner is to hand it over: they own
    `max_owned` documents at most.

    Raises `NotFound`, `Denied`, `NoSuchUser`, `Conflict`, `DocumentsFull`.
    """
    held = hold(connection, document_id, caller, now)
    require(held.role, Action.HAND_OVER if role is Role.OWNER else Action.SHARE)
    user_id = find_user(connection, name)
    before = find(connection, document_id, user_id)
    if user_id == held.owner_id:
        if role is not Role.OWNER:
            raise Conflict("whoever owns a document does so until it is handed over")
    elif role is Role.OWNER:
        check_may_own_more(connection, user_id, max_owned)
        _hand_over(connection, held, caller, user_id, now)
    elif before is None or before.role != role or before.link_id is not None:
        had = own_role(before, now)
        put(connection, document_id, user_id, Membership(role), had, now)
        record(
            connection,
            document_id,
            now,
            caller.user.id,
            Event.MEMBER_CHANGED if had else Event.MEMBER_ADDED,
            subject_id=user_id,
            role=role,
            role_before=had,
        )
        changed(connection, document_id)
    row = connection.execute(
        _HAVE_ROLES.where(members.c.user_id == user_id), {"document": document_id, "now": now}
    )
    return _member(row.one())


def _hand_over(connection: Connection, held: Held, caller: Caller, user_id: str, now: int) -> None:
    """Make a user the owner; the one who was becomes an editor."""
    had = own_role(find(connection, held.id, user_id), now)
    put(connection, held.id, held.owner_id, Membership(Role.EDITOR), Role.OWNER, now)
    put(connection, held.id, user_id, Membership(Role.OWNER), had, now)
    connection.execute(update(documents).where(documents.c.id == held.id).values(owner_id=user_id))
    record(
        connection,
        held.id,
        now,
        caller.user.id,
        Event.OWNER_CHANGED,
        subject_id=user_id,
        role=Role.OWNER,
        role_before=had,
    )
    changed(connection, held.id)


def remove(connection: Connection, document_id: str, caller: Caller, name: str, now: int) -> None:
    """Take a user's access away, whatever anyone has; or leave, which everyone may but the owner.

    Raises `NotFound`, `Denied`, `NoSuchUser`, `Conflict`.
    """
    held = hold(connection, document_id, caller, now)
    try:
        user_id = find_user(connection, name)
    except NoSuchUser:
        require(held.role, Action.SHARE)  # nobody else learns who there is
        raise
    leaving = user_id == caller.user.id
    if not leaving:
        require(held.role, Action.SHARE)
    if user_id == held.owner_id:
        raise Conflict("whoever owns a document hands it over before they go")
    before = find(connection, document_id, user_id)
    if before is not None and before.role == REMOVED:
        return
    had = own_role(before, now)
    if not leaving:
        put(connection, document_id, user_id, Membership(REMOVED), had, now)
    else:
        connection.execute(members.delete().where(_one(document_id, user_id)))
        if had is None:
            return  # they only had it on their list
    record(
        connection,
        document_id,
        now,
        caller.user.id,
        Event.MEMBER_LEFT if leaving else Event.MEMBER_REMOVED,
        subject_id=user_id,
        role_before=had,
    )
    changed(connection, document_id)


def let_anyone(
    connection: Connection, document_id: str, caller: Caller, role: Role | None, now: int
) -> None:
    """Say what role everyone has who knows the id and is no member. Raises `NotFound`, `Denied`."""
    held = hold(connection, document_id, caller, now)
    require(held.role, Action.SHARE)
    if held.anyone == role:
        return
    connection.execute(update(documents).where(documents.c.id == document_id).values(anyone=role))
    record(
        connection,
        document_id,
        now,
        caller.user.id,
        Event.ANYONE_CHANGED,
        role=role,
        role_before=held.anyone,
    )
    changed(connection, document_id)


# -- Rows ----------------------------------------------------------------------------------------


def find(connection: Connection, document_id: str, user_id: str) -> Row[Any] | None:
    """What the list of members says of a user."""
    query: Select[Any] = select(members.c.role, members.c.until, members.c.link_id)
    return connection.execute(query.where(_one(document_id, user_id))).one_or_none()


def own_role(row: Row[Any] | None, now: int) -> Role | None:
    """The role that the list gives them by itself."""
    member = None if row is None else Membership(row.role, row.until)
    return standing(member, None, now).role


def put(
    connection: Connection,
    document_id: str,
    user_id: str,
    member: Membership,
    had: Role | None,
    now: int,
    link_id: str | None = None,
) -> None:
    """Write what the list of members says of a user who is known. A member stays one since when
    they were.
    """
    values: dict[str, Any] = {"role": member.role, "until": member.until, "link_id": link_id}
    row = {"document_id": document_id, "user_id": user_id, "created_at": now}
    if insert_if_new(connection, members, **row, **values):
        return
    if had is None:
        values["created_at"] = now
    connection.execute(update(members).where(_one(document_id, user_id)).values(values))


def _one(document_id: str, user_id: str) -> Any:
    return and_(members.c.document_id == document_id, members.c.user_id == user_id)


def _member(row: Row[Any]) -> Member:
    return Member(
        row.user_id,
        row.name,
        row.username,
        Role(row.role),
        row.created_at,
        row.until,
        row.link_id,
    )


class _Place(msgspec.Struct, array_like=True, frozen=True):
    rank: Literal[0, 1]
    since: cursors.Count
    user_id: cursors.RowId


_PLACE = (
    case((members.c.role == Role.OWNER, 0), else_=1),
    members.c.created_at,
    members.c.user_id,
)

_HAVE_ROLES = (
    select(members, users.c.name, accounts.c.username)
    .join(users, users.c.id == members.c.user_id)
    .outerjoin(accounts, accounts.c.user_id == members.c.user_id)
    .where(
        members.c.document_id == bindparam("document"),
        members.c.role.in_(list(Role)),
        or_(members.c.until.is_(None), members.c.until > bindparam("now")),
    )
)
