"""Every role against every call of the REST API, by one table; a call without a rule fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

from collab.access.roles import REMOVED, VISITOR, Action, Role
from collab.storage.tables import documents, links, members
from tests.api.client import NOW_S, Api, User, assert_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2
    from sqlalchemy import Connection

    from collab.access.tokens import Identity, Tokens

IT = "/v1/documents/{document_id}"

PUT_TEXT = {
    "content": "new",
    "headers": {"If-Match": "*", "Content-Type": "text/plain; charset=utf-8"},
}

# What a call does with the document, and the rest of a request that would succeed. In this order.
RULES: dict[tuple[str, str], tuple[Action, dict[str, Any]]] = {
    ("get", IT): (Action.READ, {}),
    ("get", f"{IT}/text"): (Action.READ, {}),
    ("get", f"{IT}/updates"): (Action.READ, {}),
    ("get", f"{IT}/versions"): (Action.READ, {}),
    ("get", f"{IT}/diff"): (Action.READ, {"params": {"from": 0}}),
    ("get", f"{IT}/blame"): (Action.READ, {}),
    ("get", f"{IT}/access"): (Action.READ, {}),
    ("post", f"{IT}/tickets"): (Action.READ, {}),
    ("patch", IT): (Action.RENAME, {"json": {"title": "Minutes"}}),
    ("put", f"{IT}/text"): (Action.WRITE, PUT_TEXT),
    ("patch", f"{IT}/text"): (Action.WRITE, {"json": {"find": "a", "replace": "b"}}),
    ("post", f"{IT}/versions"): (Action.NAME_VERSIONS, {"json": {"name": "Two"}}),
    ("post", f"{IT}/versions/{{version_id}}/restore"): (Action.WRITE, {}),
    ("get", f"{IT}/members"): (Action.SEE_MEMBERS, {}),
    ("put", f"{IT}/members/{{user}}"): (Action.SHARE, {"json": {"role": "viewer"}}),
    ("delete", f"{IT}/members/{{user}}"): (Action.SHARE, {}),
    ("put", f"{IT}/access"): (Action.SHARE, {"json": {"anyone": "viewer"}}),
    ("post", f"{IT}/links"): (Action.SHARE, {"json": {"role": "viewer"}}),
    ("get", f"{IT}/links"): (Action.SHARE, {}),
    ("delete", f"{IT}/links/{{link_id}}"): (Action.SHARE, {}),
    ("get", f"{IT}/audit"): (Action.AUDIT, {}),
    ("delete", IT): (Action.DELETE, {}),
}


class Case(NamedTuple):
    """How somebody stands: the role that comes of it, and what it comes of."""

    expected: Role | None
    row: tuple[str, int | None] | None = None
    anyone: Role | None = None
    claims: Mapping[str, Role] = {}


HERE = "here"
"""In a case's claims, this document's id."""

PAST, LATER = (NOW_S - 1) * 1000, (NOW_S + 1) * 1000

CASES = {
    "the owner": Case(Role.OWNER, ("owner", None)),
    "an editor": Case(Role.EDITOR, ("editor", None)),
    "a commenter": Case(Role.COMMENTER, ("commenter", None)),
    "a viewer": Case(Role.VIEWER, ("viewer", None)),
    "a viewer where anyone is an editor": Case(Role.VIEWER, ("viewer", None), Role.EDITOR),
    "an editor for a while": Case(Role.EDITOR, ("editor", LATER)),
    "an editor until just now": Case(None, ("editor", PAST)),
    "an editor until now where anyone is a viewer": Case(
        Role.VIEWER, ("editor", PAST), Role.VIEWER
    ),
    "a stranger": Case(None),
    "a stranger where anyone is an editor": Case(Role.EDITOR, None, Role.EDITOR),
    "a stranger where anyone is a commenter": Case(Role.COMMENTER, None, Role.COMMENTER),
    "a stranger where anyone is a viewer": Case(Role.VIEWER, None, Role.VIEWER),
    "a visitor": Case(None, (VISITOR, None)),
    "someone removed": Case(None, (REMOVED, None)),
    "someone removed where anyone is an editor": Case(None, (REMOVED, None), Role.EDITOR),
    "an owner by the token": Case(Role.OWNER, claims={HERE: Role.OWNER}),
    "an editor by the token": Case(Role.EDITOR, claims={"*": Role.EDITOR}),
    "a viewer by the token, an editor else": Case(
        Role.VIEWER, ("editor", None), Role.EDITOR, {"*": Role.OWNER, HERE: Role.VIEWER}
    ),
    "someone removed and a viewer by the token": Case(
        Role.VIEWER, (REMOVED, None), claims={"*": Role.VIEWER}
    ),
    "a stranger by a token for others": Case(None, claims={"another": Role.OWNER}),
}


class Claiming:
    """Tokens that give roles, as a host application's do."""

    def __init__(self, tokens: Tokens, user_id: str, claims: Mapping[str, Role]) -> None:
        self._tokens = tokens
        self._user_id = user_id
        self._claims = claims

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokens, name)

    async def verify(self, token: str) -> Identity:
        identity = await self._tokens.verify(token)
        return replace(identity, roles=self._claims if identity.user_id == self._user_id else {})


async def standing(api: Api, case: Case) -> tuple[User, User, str]:
    """The owner, somebody who stands in the owner's document as a case says, and its id."""
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it = (await ada.document(text="Hello", anyone=None))["id"]
    claims = {it if key == HERE else key: role for key, role in case.claims.items()}
    tokens = cast("Tokens", Claiming(api.services.tokens, bob.id, claims))
    api.app.state.services = replace(api.services, tokens=tokens)

    def write(connection: Connection) -> None:
        if case.row is not None:
            role, until = case.row
            row = {"document_id": it, "user_id": bob.id, "role": role, "until": until}
            connection.execute(members.insert().values(created_at=1, **row))
        if case.row == ("owner", None):
            connection.execute(
                members.update().where(members.c.user_id == ada.id).values(role="editor")
            )
            connection.execute(documents.update().values(owner_id=bob.id))
        if case.anyone is not None:
            of_it = documents.c.id == it
            connection.execute(documents.update().where(of_it).values(anyone=case.anyone))

    await api.services.database.write(write)
    return ada, bob, it


def test_every_call_that_names_a_document_has_a_rule(routes: set[tuple[str, str]]) -> None:
    assert routes == set(RULES)


@pytest.fixture
async def routes(api: Api) -> set[tuple[str, str]]:
    """The calls that name a document, as the API describes itself."""
    paths = (await api.http.get("/v1/openapi.json")).json()["paths"]
    return {
        (method, path)
        for path, methods in paths.items()
        for method in methods
        if "{document_id}" in path
    }


@pytest.mark.parametrize("name", CASES)
async def test_everyone_may_do_what_the_table_says_and_nothing_else(api: Api, name: str) -> None:
    case = CASES[name]
    ada, bob, it = await standing(api, case)
    carol = await api.user("Carol")
    await ada.post(f"/v1/documents/{it}/versions", {"name": "One"})
    link = "a" * 26
    await api.services.database.write(
        lambda connection: connection.execute(
            links.insert().values(
                id=link,
                document_id=it,
                secret=link,
                role="viewer",
                created_by=ada.id,
                created_at=1,
            )
        )
    )
    for (method, path), (action, rest) in RULES.items():
        named = path.format(document_id=it, version_id="1", user=carol.id, link_id=link)
        answer = await bob.call(method.upper(), named, **rest)
        if case.expected is None:
            assert_not_there(answer)
        elif not case.expected.may(action):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), named
        else:
            assert answer.is_success, (named, answer.text)


@pytest.mark.parametrize("name", CASES)
async def test_an_event_stream_and_the_list_are_for_who_may_read(api: Api, name: str) -> None:
    case = CASES[name]
    _, bob, it = await standing(api, case)
    shown = case.expected is not None
    on_list = shown and case.row is not None
    assert len((await bob.get("/v1/documents")).json()["items"]) == on_list
    if not shown:
        headers = {"Accept": "text/event-stream"}
        answer = await bob.call("GET", f"/v1/documents/{it}/updates", headers=headers)
        assert_not_there(answer)
    await bob.get(f"/v1/documents/{it}")
    roles = [each["role"] for each in (await bob.get("/v1/documents")).json()["items"]]
    assert roles == ([case.expected] if shown else [])


@pytest.mark.parametrize("name", CASES)
async def test_who_may_hand_a_document_over(api: Api, name: str) -> None:
    case = CASES[name]
    ada, bob, it = await standing(api, case)
    carol = await api.user("Carol")
    answer = await give(bob, it, carol.id, "owner")
    if case.expected is None:
        assert_not_there(answer)
    elif case.expected is not Role.OWNER:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    else:
        assert (answer.status_code, answer.json()["role"]) == (200, "owner")
        assert (await carol.get(f"/v1/documents/{it}")).json()["owner"]["id"] == carol.id
        assert (await ada.get(f"/v1/documents/{it}")).json()["role"] == "editor"


async def test_what_nobody_may_see_is_answered_like_what_is_not_there(api: Api) -> None:
    """Whatever is asked for, and however wrongly."""
    _, bob, it = await standing(api, CASES["a stranger"])
    for method, path in RULES:
        for rest in ({}, {"json": {"wrong": 1}}, {"params": {"wrong": 1}}):
            answers = [
                await bob.call(
                    method.upper(),
                    path.format(document_id=each, version_id="1", user="x", link_id="y"),
                    **rest,
                )
                for each in (it, "a" * 26)
            ]
            hidden, missing = ((answer.status_code, answer.content) for answer in answers)
            assert hidden == missing


async def give(user: User, it: str, to: str, role: str) -> httpx2.Response:
    return await user.call("PUT", f"/v1/documents/{it}/members/{to}", json={"role": role})


def assert_not_there(answer: httpx2.Response) -> None:
    assert_problem(answer, 404, "not_found", "Not found", "there is no such document")


async def test_who_loses_their_role_between_two_calls_is_answered_by_the_one_they_have(
    api: Api,
) -> None:
    ada, bob, it = await standing(api, CASES["an editor"])
    await asyncio.gather(give(ada, it, bob.id, "viewer"), bob.get(f"/v1/documents/{it}"))
    answer = await bob.put(it, "mine", "*")
    assert_problem(answer, 403, "forbidden", "Not allowed", "a viewer may not write")
    assert await ada.text(it) == "Hello"


async def test_who_hands_a_document_over_while_they_delete_it_does_not_delete_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob, it = await standing(api, CASES["an editor"])
    write = api.services.database.write

    async def handed_over_before(work: Any) -> Any:
        monkeypatch.undo()
        assert (await give(ada, it, bob.id, "owner")).status_code == 200
        return await write(work)

    monkeypatch.setattr(api.services.database, "write", handed_over_before)
    answer = await ada.call("DELETE", f"/v1/documents/{it}")
    assert_problem(answer, 403, "forbidden", "Not allowed", "an editor may not delete")
    assert (await bob.get(f"/v1/documents/{it}")).json()["role"] == "owner"
