"""Who may do what with a document: what each role may, and whose word on a role comes first."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from collab.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Mapping


class Action(StrEnum):
    READ = "read"
    WRITE = "write"
    RENAME = "rename"
    NAME_VERSIONS = "name versions"
    SEE_MEMBERS = "see members"
    SHARE = "share"  # members, links, and what anyone may
    AUDIT = "audit"
    HAND_OVER = "hand over"
    DELETE = "delete"


class Role(StrEnum):
    """From the one who may most to the one who may least."""

    OWNER = "owner"
    EDITOR = "editor"
    COMMENTER = "commenter"
    VIEWER = "viewer"

    def may(self, action: Action) -> bool:
        return action in ALLOWED[self]

    def above(self, other: Role) -> bool:
        order = list(Role)
        return order.index(self) < order.index(other)


ALLOWED: Final[Mapping[Role, frozenset[Action]]] = {
    Role.OWNER: frozenset(Action),
    Role.EDITOR: frozenset(
        {Action.READ, Action.WRITE, Action.RENAME, Action.NAME_VERSIONS, Action.SEE_MEMBERS}
    ),
    Role.COMMENTER: frozenset({Action.READ}),
    Role.VIEWER: frozenset({Action.READ}),
}

VISITOR: Final = "visitor"
"""In the place of a member's role: the document is on their list, and they have what anyone has."""

REMOVED: Final = "removed"
"""In the place of a member's role: they have none, whatever anyone has."""


def require(role: Role, action: Action) -> None:
    """Raises `Denied`."""
    if not role.may(action):
        article = "an" if role in {Role.OWNER, Role.EDITOR} else "a"
        raise Denied(f"{article} {role.value} may not {action.value}")


class Standing(NamedTuple):
    """A user's role in a document, if any, and until when it holds: ms since 1970, or for good."""

    role: Role | None
    until: int | None = None


NONE: Final = Standing(None)


class Membership(NamedTuple):
    """What a document's list of members says of a user: a role, `VISITOR` or `REMOVED`."""

    role: str
    until: int | None = None


def standing(member: Membership | None, anyone: Role | None, now: int) -> Standing:
    """What the database says of a user: the list of members first, then what anyone may.

    `storage.access` says the same in SQL.
    """
    if member is None or member.role == VISITOR:
        return Standing(anyone)
    if member.role == REMOVED:
        return NONE
    if member.until is not None and member.until <= now:
        return Standing(anyone)
    return Standing(Role(member.role), member.until)


NO_CLAIMS: Final[Mapping[str, Role]] = MappingProxyType({})


def claimed(claims: Mapping[str, Role], document_id: str) -> Role | None:
    """The role that a host application's token gives: this comes before what the database says."""
    return claims.get(document_id, claims.get("*"))
