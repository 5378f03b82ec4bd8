"""The members of a document, what anyone may, and the audit trail of both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from collab.storage.tables import accounts
from tests.api.client import Api, User, assert_problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    import httpx2

    Serve = Callable[..., AbstractAsyncContextManager[Api]]

NOW = "2027-01-15T08:00:00Z"


async def document(user: User, anyone: str | None = None) -> str:
    return str((await user.document(anyone=anyone))["id"])


async def give(user: User, it: str, to: str, role: str) -> httpx2.Response:
    return await user.call("PUT", f"/v1/documents/{it}/members/{to}", json={"role": role})


async def remove(user: User, it: str, whom: str) -> httpx2.Response:
    return await user.call("DELETE", f"/v1/documents/{it}/members/{whom}")


async def let_anyone(user: User, it: str, role: str | None) -> httpx2.Response:
    return await user.call("PUT", f"/v1/documents/{it}/access", json={"anyone": role})


async def members(user: User, it: str, **query: Any) -> list[tuple[str, str]]:
    """Names and roles."""
    answer = await user.get(f"/v1/documents/{it}/members", **query)
    assert answer.status_code == 200, answer.text
    return [(each["user"]["name"], each["role"]) for each in answer.json()["items"]]


async def role(user: User, it: str) -> str | None:
    answer = await user.get(f"/v1/documents/{it}")
    return answer.json()["role"] if answer.is_success else None


async def trail(user: User, it: str, **query: Any) -> list[tuple[Any, ...]]:
    """Who did what to whom, and the roles after and before, newest first."""
    answer = await user.get(f"/v1/documents/{it}/audit", **query)
    assert answer.status_code == 200, answer.text
    return [
        (
            each["actor"]["name"],
            each["action"],
            (each["subject"] or {}).get("name"),
            each["role"],
            each["role_before"],
        )
        for each in answer.json()["items"]
    ]


CREATED = ("Ada", "document_created", None, None, None)


class TestGiving:
    async def test_a_role_is_had_from_then_on(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada)
        assert await role(bob, it) is None
        answer = await give(ada, it, bob.id, "commenter")
        assert answer.status_code == 200
        assert answer.json() == {
            "user": {"id": bob.id, "name": "Bob", "username": None},
            "role": "commenter",
            "since": NOW,
            "until": None,
            "link": None,
        }
        assert await role(bob, it) == "commenter"
        assert [each["id"] for each in (await bob.get("/v1/documents")).json()["items"]] == [it]
        await give(ada, it, bob.id, "viewer")
        assert await trail(ada, it) == [
            ("Ada", "member_changed", "Bob", "viewer", "commenter"),
            ("Ada", "member_added", "Bob", "commenter", None),
            CREATED,
        ]

    async def test_to_give_the_same_again_changes_nothing(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada)
        first = await give(ada, it, bob.id, "editor")
        again = await give(ada, it, bob.id, "editor")
        assert (again.status_code, again.json()) == (200, first.json())
        assert len(await trail(ada, it)) == 2

    async def test_somebody_is_named_by_their_username(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        row = {"user_id": bob.id, "username": "bob@b.example", "password_hash": "x"}
        await api.services.database.write(
            lambda connection: connection.execute(
                accounts.insert().values(created_at=1, changed_at=1, **row)
            )
        )
        it = await document(ada)
        answer = await give(ada, it, "@Bob@B.example", "editor")
        user = {"id": bob.id, "name": "Bob", "username": "bob@b.example"}
        assert (answer.status_code, answer.json()["user"]) == (200, user)
        assert (await remove(ada, it, "@bob@b.example")).status_code == 204
        assert await role(bob, it) is None

    @pytest.mark.parametrize(
        "name", ["nobody", "@nobody", "@", "a b", "%00", "@%00", "é", "a" * 99]
    )
    async def test_somebody_who_is_not_known_is_an_answer_of_its_own(
        self, api: Api, name: str
    ) -> None:
        ada = await api.user("Ada")
        it = await document(ada)
        for answer in (await give(ada, it, name, "editor"), await remove(ada, it, name)):
            assert_problem(answer, 404, "no_such_user", "No such user", "there is no such user")

    @pytest.mark.parametrize("name", ["nobody", "@nobody", "@carl"])
    async def test_who_may_not_share_does_not_learn_who_there_is(self, api: Api, name: str) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        account = {"username": "carl", "password": "a good password"}
        await api.http.post("/v1/auth/register", json=account)
        it = await document(ada)
        await give(ada, it, bob.id, "editor")
        for answer in (await give(bob, it, name, "editor"), await remove(bob, it, name)):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")

    async def test_the_owners_role_changes_only_by_handing_over(self, api: Api) -> None:
        ada = await api.user("Ada")
        it = await document(ada)
        answer = await give(ada, it, ada.id, "editor")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert (await give(ada, it, ada.id, "owner")).json()["role"] == "owner"
        answer = await remove(ada, it, ada.id)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert await trail(ada, it) == [CREATED]


class TestHandingOver:
    async def test_the_former_owner_is_an_editor_then(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada)
        assert (await give(ada, it, bob.id, "owner")).json()["role"] == "owner"
        assert await members(ada, it) == [("Bob", "owner"), ("Ada", "editor")]
        seen = (await ada.get(f"/v1/documents/{it}")).json()
        assert (seen["role"], seen["owner"]) == ("editor", {"id": bob.id, "name": "Bob"})
        assert await trail(bob, it) == [("Ada", "owner_changed", "Bob", "owner", None), CREATED]
        assert (await give(ada, it, ada.id, "owner")).status_code == 403

    async def test_handed_to_many_at_once_it_has_one_owner(self, api: Api) -> None:
        ada = await api.user("Ada")
        others = [await api.user(f"User {n}") for n in range(4)]
        it = await document(ada)
        answers = await asyncio.gather(*(give(ada, it, each.id, "owner") for each in others))
        assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]
        assert [role for _, role in await members(ada, it)] == ["owner", "editor"]

    async def test_who_owns_as_many_as_they_may_is_given_no_more(self, serve: Serve) -> None:
        async with serve(max_user_documents=1) as api:
            ada, bob = await api.user("Ada"), await api.user("Bob")
            it = await document(ada)
            await document(bob)
            answer = await give(ada, it, bob.id, "owner")
            assert (answer.status_code, answer.json()["code"]) == (409, "documents_full")
            assert await members(ada, it) == [("Ada", "owner")]


class TestRemoving:
    async def test_who_is_removed_stays_out_until_they_are_given_a_role(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada, anyone="editor")
        assert await role(bob, it) == "editor"
        assert (await remove(ada, it, bob.id)).status_code == 204
        assert (await remove(ada, it, bob.id)).status_code == 204
        assert await role(bob, it) is None
        assert (await bob.get("/v1/documents")).json()["items"] == []
        assert (await remove(bob, it, bob.id)).status_code == 404  # nor can they undo it
        assert await role(bob, it) is None
        await give(ada, it, bob.id, "viewer")
        assert await role(bob, it) == "viewer"
        assert (await trail(ada, it))[:2] == [
            ("Ada", "member_added", "Bob", "viewer", None),
            ("Ada", "member_removed", "Bob", None, None),
        ]

    async def test_somebody_who_never_came_can_be_kept_out(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada, anyone="editor")
        await remove(ada, it, bob.id)
        assert await role(bob, it) is None

    @pytest.mark.parametrize("anyone", [None, "viewer"])
    async def test_everyone_may_leave(self, api: Api, anyone: str | None) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada, anyone)
        await give(ada, it, bob.id, "editor")
        assert (await remove(bob, it, bob.id)).status_code == 204
        assert (await bob.get("/v1/documents")).json()["items"] == []
        assert await members(ada, it) == [("Ada", "owner")]
        assert (await trail(ada, it))[0] == ("Bob", "member_left", "Bob", None, "editor")
        assert await role(bob, it) == anyone

    async def test_to_take_it_off_ones_list_is_no_entry_of_the_trail(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada, "viewer")
        await bob.get(f"/v1/documents/{it}")
        assert (await remove(bob, it, bob.id)).status_code == 204
        assert (await bob.get("/v1/documents")).json()["items"] == []
        assert (await trail(ada, it))[0][1] == "document_created"

    async def test_an_editor_removes_nobody_but_themselves(self, api: Api) -> None:
        ada, bob, eve = await api.user("Ada"), await api.user("Bob"), await api.user("Eve")
        it = await document(ada)
        await give(ada, it, bob.id, "editor")
        await give(ada, it, eve.id, "viewer")
        detail = "an editor may not share"
        assert_problem(await remove(bob, it, eve.id), 403, "forbidden", "Not allowed", detail)
        assert await role(eve, it) == "viewer"

    async def test_removed_and_given_a_role_at_once_they_are_one_or_the_other(
        self, api: Api
    ) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada)
        await asyncio.gather(give(ada, it, bob.id, "viewer"), remove(ada, it, bob.id))
        after, before, _ = await trail(ada, it)
        assert {after[1], before[1]} == {"member_added", "member_removed"}
        assert await role(bob, it) == after[3]


class TestAnyone:
    async def test_the_owner_says_what_anyone_may(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada)
        for anyone in ("editor", "editor", "viewer", None):
            answer = await let_anyone(ada, it, anyone)
            assert (answer.status_code, answer.json()) == (200, {"anyone": anyone})
            assert (await ada.get(f"/v1/documents/{it}/access")).json() == {"anyone": anyone}
            assert (await ada.get(f"/v1/documents/{it}")).json()["anyone"] == anyone
            assert await role(bob, it) == anyone
        assert await trail(ada, it) == [
            ("Ada", "anyone_changed", None, None, "viewer"),
            ("Ada", "anyone_changed", None, "viewer", "editor"),
            ("Ada", "anyone_changed", None, "editor", None),
            CREATED,
        ]

    @pytest.mark.parametrize("body", [{}, {"anyone": "owner"}, {"anyone": 1}, {"anyone": "x"}])
    async def test_nobody_can_make_everybody_the_owner(self, api: Api, body: Any) -> None:
        ada = await api.user("Ada")
        it = await document(ada)
        answer = await ada.call("PUT", f"/v1/documents/{it}/access", json=body)
        assert answer.status_code == 422


async def test_the_owner_comes_first_and_nobody_twice_page_by_page(api: Api) -> None:
    ada = await api.user("Ada")
    it = await document(ada, "viewer")
    for n in range(4):
        other = await api.user(f"{n}")
        await give(ada, it, other.id, "editor" if n % 2 else "viewer")
        api.clock.now_s += n % 2  # two at the same time
    visitor = await api.user("Visitor")
    await visitor.get(f"/v1/documents/{it}")
    await remove(ada, it, (await api.user("Removed")).id)
    shown: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await ada.get(f"/v1/documents/{it}/members", limit=2, **cursor)).json()
        shown += [each["user"]["name"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert shown[0] == "Ada"
    assert sorted(shown[1:3]) == ["0", "1"]
    assert sorted(shown[3:]) == ["2", "3"]


@pytest.mark.parametrize("of", ["members", "links", "audit"])
@pytest.mark.parametrize("cursor", ["", "x", "0", "-1", "W10", "WzAsMSwiYSJd", "99999999999999999"])
async def test_a_cursor_that_was_not_given_out_is_refused(api: Api, of: str, cursor: str) -> None:
    ada = await api.user("Ada")
    it = await document(ada)
    if (of, cursor) == ("members", "WzAsMSwiYSJd"):  # [0,1,"a"], which is one
        return
    answer = await ada.get(f"/v1/documents/{it}/{of}", cursor=cursor)
    detail = "the cursor is not one that this list gave out"
    assert_problem(answer, 400, "bad_request", "Bad request", detail)


async def test_the_audit_trail_is_read_page_by_page_from_the_newest(api: Api) -> None:
    ada = await api.user("Ada")
    it = await document(ada)
    for anyone in ("editor", "viewer", "commenter"):
        await let_anyone(ada, it, anyone)
    first = (await ada.get(f"/v1/documents/{it}/audit", limit=3)).json()
    assert [each["number"] for each in first["items"]] == [4, 3, 2]
    assert first["items"][0] == {
        "number": 4,
        "at": NOW,
        "actor": {"id": ada.id, "name": "Ada"},
        "action": "anyone_changed",
        "subject": None,
        "link": None,
        "role": "commenter",
        "role_before": "viewer",
    }
    rest = (await ada.get(f"/v1/documents/{it}/audit", cursor=first["next"])).json()
    assert ([each["number"] for each in rest["items"]], rest["next"]) == ([1], None)
