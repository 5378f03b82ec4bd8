"""What each role may do with a document.

Until documents have members of their own choosing, whoever made a document is its owner, and any
valid token that knows its id is an editor.
"""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    READ = "read"
    WRITE = "write"
    MANAGE = "manage"


class Role(StrEnum):
    OWNER = "owner"
    EDITOR = "editor"
    COMMENTER = "commenter"
    VIEWER = "viewer"

    def may(self, right: Right) -> bool:
        return right in _RIGHTS[self]


_RIGHTS = {
    Role.OWNER: {Right.READ, Right.WRITE, Right.MANAGE},
    Role.EDITOR: {Right.READ, Right.WRITE},
    Role.COMMENTER: {Right.READ},
    Role.VIEWER: {Right.READ},
}
