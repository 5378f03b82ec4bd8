"""Share links: making, coming by one, and taking one back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.client import Api, User, assert_problem
from tests.api.test_members import document, give, let_anyone, members, remove, role, trail

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    import httpx2

SOON = "2027-01-15T09:00:00+01:00"  # now
LATER = "2027-01-15T09:00:10+01:00"


async def link(user: User, it: str, role: str = "viewer", **rest: Any) -> Any:
    answer = await user.post(f"/v1/documents/{it}/links", {"role": role, **rest})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def come(user: User, link: Any, **rest: Any) -> httpx2.Response:
    return await user.post("/v1/links", {"secret": link["secret"], **rest})


async def revoke(user: User, it: str, link: Any) -> httpx2.Response:
    return await user.call("DELETE", f"/v1/documents/{it}/links/{link['id']}")


def assert_no_such_link(answer: httpx2.Response) -> None:
    assert_problem(answer, 404, "not_found", "Not found", "there is no such link")


async def test_whoever_comes_by_a_link_has_its_role(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it = await document(ada)
    made = await link(ada, it, "commenter")
    assert made == {
        "id": made["id"],
        "role": "commenter",
        "secret": made["secret"],
        "has_password": False,
        "expires_at": None,
        "created_at": "2027-01-15T08:00:00Z",
        "uses": 0,
    }
    answer = await come(bob, made)
    assert (answer.status_code, answer.json()["id"], answer.json()["role"]) == (
        *(200, it),
        "commenter",
    )
    assert await role(bob, it) == "commenter"
    (_, member) = (await ada.get(f"/v1/documents/{it}/members")).json()["items"]
    assert (member["user"]["name"], member["link"]) == ("Bob", made["id"])
    await come(bob, made)  # once more makes no difference
    listed = (await ada.get(f"/v1/documents/{it}/links")).json()
    assert listed == {"items": [{**made, "uses": 1}], "next": None}
    assert (await trail(ada, it))[:2] == [
        ("Bob", "link_used", "Bob", "commenter", None),
        ("Ada", "link_made", None, "commenter", None),
    ]


async def test_whoever_came_by_a_link_loses_what_it_gave_when_it_is_revoked(api: Api) -> None:
    ada, bob, eve = await api.user("Ada"), await api.user("Bob"), await api.user("Eve")
    it = await document(ada)
    made, other = await link(ada, it, "editor"), await link(ada, it, "viewer")
    await come(bob, made)
    await come(eve, other)
    assert (await revoke(ada, it, made)).status_code == 204
    assert (await role(bob, it), await role(eve, it)) == (None, "viewer")
    assert_no_such_link(await come(bob, made))
    assert_no_such_link(await revoke(ada, it, made))
    assert (await trail(ada, it))[0] == ("Ada", "link_revoked", None, None, "editor")
    await let_anyone(ada, it, "viewer")
    assert await role(bob, it) == "viewer"  # they were not removed


async def test_a_role_by_name_outlives_the_link(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it = await document(ada)
    made = await link(ada, it, "editor")
    await come(bob, made)
    assert (await give(ada, it, bob.id, "editor")).json()["link"] is None
    await revoke(ada, it, made)
    assert await role(bob, it) == "editor"


@pytest.mark.parametrize(
    ("has", "comes_by", "expected"),
    [
        ("viewer by name", "editor", "viewer"),
        ("viewer", "editor", "editor"),
        ("editor", "viewer", "editor"),
        ("nothing", "viewer", "viewer"),
    ],
)
async def test_the_role_by_name_or_else_the_better_one_holds(
    api: Api, has: str, comes_by: str, expected: str
) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it = await document(ada)
    match has.split():
        case [role, "by", "name"]:
            await give(ada, it, bob.id, role)
        case ["viewer" | "editor" as role]:
            await come(bob, await link(ada, it, role))
    before = len(await trail(ada, it))
    answer = await come(bob, await link(ada, it, comes_by))
    assert (answer.status_code, answer.json()["role"]) == (200, expected)
    used = expected == comes_by
    assert len(await trail(ada, it)) == before + 1 + used


async def test_the_owner_who_tries_a_link_stays_the_owner(api: Api) -> None:
    ada = await api.user("Ada")
    it = await document(ada)
    assert (await come(ada, await link(ada, it))).json()["role"] == "owner"


async def test_who_was_removed_comes_by_no_link(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it = await document(ada)
    made = await link(ada, it, password="tea")
    await remove(ada, it, bob.id)
    for rest in ({}, {"password": "tea"}, {"password": "wrong"}):
        assert_no_such_link(await come(bob, made, **rest))


@pytest.mark.parametrize("secret", ["", "a" * 26, "x\0", "é", "A" * 26, "a" * 10_000])
async def test_a_secret_that_nobody_made_is_no_link(api: Api, secret: str) -> None:
    ada = await api.user("Ada")
    assert_no_such_link(await ada.post("/v1/links", {"secret": secret}))


class TestExpiry:
    async def test_what_it_gave_ends_with_the_link(self, api: Api) -> None:
        ada, bob, eve = await api.user("Ada"), await api.user("Bob"), await api.user("Eve")
        it = await document(ada)
        made = await link(ada, it, "editor", expires_at=LATER)
        assert made["expires_at"] == "2027-01-15T08:00:10Z"
        await come(bob, made)
        (_, member) = (await ada.get(f"/v1/documents/{it}/members")).json()["items"]
        assert member["until"] == "2027-01-15T08:00:10Z"
        api.clock.now_s += 9.9
        assert await role(bob, it) == "editor"
        api.clock.now_s += 0.1
        assert await role(bob, it) is None
        assert await members(ada, it) == [("Ada", "owner")]
        assert_no_such_link(await come(eve, made))
        assert len((await ada.get(f"/v1/documents/{it}/links")).json()["items"]) == 1

    async def test_the_longer_of_two_alike_holds(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada)
        short = await link(ada, it, "editor", expires_at=LATER)
        long = await link(ada, it, "editor")
        for made in (short, long, short):
            await come(bob, made)
        api.clock.now_s += 20
        assert await role(bob, it) == "editor"

    @pytest.mark.parametrize(
        "when",
        [
            *("", "soon", "2027-01-15", "2027-01-15T08:00:10", "2027-02-30T08:00:00Z"),
            *(SOON, "2026-01-15T08:00:00Z", "1969-01-15T08:00:00Z", 1_900_000_000),
            *("9999-12-31T23:59:59-12:00", "2027-01-15T08:00:10Z\n"),
        ],
    )
    async def test_it_lies_in_the_future_and_is_a_time(self, api: Api, when: object) -> None:
        ada = await api.user("Ada")
        it = await document(ada)
        body = {"role": "viewer", "expires_at": when}
        answer = await ada.post(f"/v1/documents/{it}/links", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


class TestPasswords:
    @pytest.fixture
    async def api(self, serve: Callable[..., AbstractAsyncContextManager[Api]]) -> Any:
        cheap = {"password_memory_kib": 32, "password_passes": 1}
        async with serve(link_guesses=3, password_guess_every_s=60, **cheap) as api:
            yield api

    async def test_a_link_with_a_password_asks_for_it(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada)
        made = await link(ada, it, password="tea 🍵")
        assert made["has_password"] is True
        assert "tea" not in str(made)
        code = (await come(bob, made)).json()["code"]
        assert code == "password_needed"
        answer = await come(bob, made, password="tee")
        detail = "this is not the link's password"
        assert_problem(answer, 403, "wrong_password", "Wrong password", detail)
        assert await role(bob, it) is None
        assert (await come(bob, made, password="tea 🍵")).status_code == 200
        assert await role(bob, it) == "viewer"

    async def test_too_many_guesses_are_too_many_whoever_guesses(self, api: Api) -> None:
        ada, bob, eve = await api.user("Ada"), await api.user("Bob"), await api.user("Eve")
        it = await document(ada)
        made = await link(ada, it, password="tea")
        answers = await asyncio.gather(
            *(come(user, made, password=f"{n}") for n in range(4) for user in (bob, eve))
        )
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [403] * 3 + [429] * 5
        answer = await come(bob, made, password="tea")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        api.clock.now_s += 60
        assert (await come(bob, made, password="tea")).status_code == 200

    async def test_a_class_that_comes_at_once_is_let_in(
        self, serve: Callable[..., AbstractAsyncContextManager[Api]]
    ) -> None:
        async with serve() as api:
            ada = await api.user("Ada")
            it = await document(ada)
            made = await link(ada, it, password="tea")
            pupils = [await api.user(f"Pupil {n}") for n in range(40)]
            answers = await asyncio.gather(*(come(each, made, password="tea") for each in pupils))
            assert {answer.status_code for answer in answers} == {200}

    async def test_from_one_address_passwords_are_hashed_only_so_often(
        self, serve: Callable[..., AbstractAsyncContextManager[Api]]
    ) -> None:
        async with serve(address_guesses=2) as api:
            ada = await api.user()
            it = await document(ada)
            for _ in range(2):
                await link(ada, it, password="tea")
            body = {"role": "viewer", "password": "tea"}
            refused = await ada.post(f"/v1/documents/{it}/links", body)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            await link(ada, it)

    @pytest.mark.parametrize("password", ["", "x" * 257, 7])
    async def test_a_password_has_1_to_256_characters(self, api: Api, password: object) -> None:
        ada = await api.user("Ada")
        it = await document(ada)
        body = {"role": "viewer", "password": password}
        assert (await ada.post(f"/v1/documents/{it}/links", body)).status_code == 422


async def test_a_link_of_another_document_cannot_be_revoked_here(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it, other = await document(ada), await document(bob)
    made = await link(bob, other)
    assert_no_such_link(await revoke(ada, it, made))
    assert_no_such_link(await revoke(ada, it, {"id": "x%00"}))
    assert (await come(ada, made)).status_code == 200


async def test_a_document_has_a_hundred_links(api: Api) -> None:
    ada = await api.user("Ada")
    it = await document(ada)
    made = [await link(ada, it) for _ in range(100)]
    answer = await ada.post(f"/v1/documents/{it}/links", {"role": "viewer"})
    assert (answer.status_code, answer.json()["code"]) == (409, "links_full")
    first = (await ada.get(f"/v1/documents/{it}/links", limit=60)).json()
    rest = (await ada.get(f"/v1/documents/{it}/links", limit=60, cursor=first["next"])).json()
    shown = [each["id"] for each in first["items"] + rest["items"]]
    assert sorted(shown) == sorted(each["id"] for each in made)
    await revoke(ada, it, made[0])
    await link(ada, it)


async def test_links_go_with_their_document(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it = await document(ada)
    made = await link(ada, it)
    await ada.call("DELETE", f"/v1/documents/{it}")
    assert_no_such_link(await come(bob, made))
