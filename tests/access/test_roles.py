"""What each role may do, as one table."""

from __future__ import annotations

import pytest

from collab.access.roles import Right, Role


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (Role.OWNER, "read write manage"),
        (Role.EDITOR, "read write"),
        (Role.COMMENTER, "read"),
        (Role.VIEWER, "read"),
    ],
)
def test_a_role_may_do_exactly_this(role: Role, rights: str) -> None:
    assert [right for right in Right if role.may(right)] == rights.split()
