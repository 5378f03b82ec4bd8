"""What each role may do, as one table, and whose word on a role comes first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collab.access.roles import (
    NONE,
    REMOVED,
    VISITOR,
    Action,
    Membership,
    Role,
    Standing,
    claimed,
    standing,
)

NOW = 1_000


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (
            Role.OWNER,
            "read, write, rename, name versions, see members, share, audit, hand over, delete",
        ),
        (Role.EDITOR, "read, write, rename, name versions, see members"),
        (Role.COMMENTER, "read"),
        (Role.VIEWER, "read"),
    ],
)
def test_a_role_may_do_exactly_this(role: Role, may: str) -> None:
    assert [action for action in Action if role.may(action)] == may.split(", ")


def test_the_page_on_security_shows_the_same_table() -> None:
    page = (Path(__file__).parents[2] / "docs/security.md").read_text()
    (table,) = re.findall(r"^\| action \|.*\n(?:\|.*\n)+", page, re.MULTILINE)
    head, _, *rows = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.split("\n")[:-1]
    )
    assert head == ["action", *Role]
    shown = {
        action: [role for role, cell in zip(Role, cells, strict=True) if cell == "yes"]
        for action, *cells in rows
    }
    assert shown == {action: [role for role in Role if role.may(action)] for action in Action}


def test_a_role_stands_above_those_that_may_less() -> None:
    owner, editor, commenter, viewer = Role
    roles = [viewer, owner, commenter, editor]
    above = {role: [each for each in roles if role.above(each)] for role in Role}
    assert above == {
        owner: [viewer, commenter, editor],
        editor: [viewer, commenter],
        commenter: [viewer],
        viewer: [],
    }


@pytest.mark.parametrize(
    ("member", "anyone", "expected"),
    [
        (None, None, NONE),
        (None, Role.EDITOR, Standing(Role.EDITOR)),
        (Membership(VISITOR), None, NONE),
        (Membership(VISITOR), Role.VIEWER, Standing(Role.VIEWER)),
        (Membership(REMOVED), Role.EDITOR, NONE),
        (Membership("owner"), Role.VIEWER, Standing(Role.OWNER)),
        (Membership("viewer"), Role.EDITOR, Standing(Role.VIEWER)),
        (Membership("editor", NOW + 1), None, Standing(Role.EDITOR, NOW + 1)),
        (Membership("editor", NOW), None, NONE),
        (Membership("editor", NOW), Role.VIEWER, Standing(Role.VIEWER)),
    ],
)
def test_the_list_of_members_comes_before_what_anyone_may(
    member: Membership | None, anyone: Role | None, expected: Standing
) -> None:
    assert standing(member, anyone, NOW) == expected


def test_a_token_names_a_role_for_one_document_or_for_all() -> None:
    claims = {"d": Role.VIEWER, "*": Role.EDITOR}
    assert (claimed(claims, "d"), claimed(claims, "e")) == (Role.VIEWER, Role.EDITOR)
    assert claimed({"d": Role.VIEWER}, "e") is None
