"""Named versions, and going back to one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from collab.access.roles import Role
from collab.storage import versions as stored
from collab.storage.tables import members, versions
from tests.api.client import Api, User, assert_problem

if TYPE_CHECKING:
    import httpx2

    from tests.serving import Serving


async def document(user: User, *texts: str) -> str:
    """A document that had these texts, at revisions 1 and on."""
    first, *later = texts or ("Hello, world",)
    it = str((await user.document(text=first))["id"])
    for revision, text in enumerate(later, 1):
        assert (await user.put(it, text, revision)).status_code == 200
    return it


async def name(user: User, it: str, called: str = "One", **rest: Any) -> httpx2.Response:
    return await user.post(f"/v1/documents/{it}/versions", {"name": called, **rest})


async def named(user: User, it: str, called: str = "One", **rest: Any) -> str:
    """Name a revision. Returns the version's id."""
    answer = await name(user, it, called, **rest)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def listed(user: User, it: str, **query: Any) -> tuple[list[dict[str, Any]], str | None]:
    answer = await user.get(f"/v1/documents/{it}/versions", **query)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    return page["items"], page["next"]


async def restore(user: User, it: str, version: str, **headers: str) -> httpx2.Response:
    return await user.call(
        "POST", f"/v1/documents/{it}/versions/{version}/restore", headers=headers
    )


async def become(api: Api, it: str, user: User, role: Role) -> None:
    await api.services.database.write(
        lambda connection: connection.execute(
            members.update()
            .where(members.c.document_id == it, members.c.user_id == user.id)
            .values(role=role)
        )
    )


async def test_a_version_names_the_current_revision(api: Api) -> None:
    ada = await api.user()
    it = await document(ada, "a", "ab")
    answer = await name(ada, it, "  First draft ")
    assert answer.status_code == 201
    assert answer.json() == {
        "id": "1",
        "name": "First draft",
        "revision": 2,
        "author": {"id": ada.id, "name": "Ada"},
        "created_at": "2027-01-15T08:00:00Z",
    }
    assert await listed(ada, it) == ([answer.json()], None)


async def test_or_the_one_that_it_says(api: Api) -> None:
    ada = await api.user()
    it = await document(ada, "a", "ab")
    for revision in (0, 1, 2):
        assert (await name(ada, it, revision=revision)).json()["revision"] == revision


async def test_of_a_document_that_people_type_in_it_is_the_revision_that_is_shown(
    server: Serving,
) -> None:
    it = await server.document()
    peer = await server.join(it)
    for revision in range(3):
        await peer.push([*([revision] if revision else []), [0, "x"]])
        await peer.heard(revision + 1)
    answer = await server.http.post(
        f"/v1/documents/{it}/versions",
        json={"name": "One"},
        headers=await server.authorization("Bob"),
    )
    await peer.leave()
    assert (answer.json()["revision"], answer.json()["author"]["name"]) == (3, "Bob")


async def test_a_revision_that_does_not_exist_cannot_be_named(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    answer = await name(ada, it, revision=2)
    detail = "there is no revision 2"
    errors = [{"detail": detail, "pointer": "#/revision"}]
    assert_problem(answer, 422, "invalid", "Invalid request", detail, errors=errors)
    assert await listed(ada, it) == ([], None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": " "},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"name": 1},
        {"name": "x", "revision": -1},
        {"name": "x", "revision": "1"},
        {"name": "x", "revision": 1.0},
        {"name": "x", "revision": 2**53},
        {"name": "x", "text": "y"},
    ],
    ids=str,
)
async def test_what_is_not_as_documented_is_refused(api: Api, body: dict[str, Any]) -> None:
    ada = await api.user()
    it = await document(ada)
    answer = await ada.post(f"/v1/documents/{it}/versions", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_name_may_be_given_twice(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    assert await named(ada, it) != await named(ada, it)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_hold_each_once_newest_first(api: Api, limit: int) -> None:
    ada = await api.user()
    it, other = await document(ada), await document(ada)
    for number in range(7):
        await named(ada, it, f"Version {number}")
        await named(ada, other)
    found: list[str] = []
    items, following = await listed(ada, it, limit=limit)
    while True:
        found += [item["name"] for item in items]
        if following is None:
            break
        assert len(items) == limit
        items, following = await listed(ada, it, limit=limit, cursor=following)
    assert found == [f"Version {number}" for number in (6, 5, 4, 3, 2, 1, 0)]


async def test_what_is_named_meanwhile_shifts_no_page(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    for number in range(4):
        await named(ada, it, str(number))
    first, following = await listed(ada, it, limit=2)
    await named(ada, it, "later")
    rest, _ = await listed(ada, it, limit=2, cursor=following)
    assert [item["name"] for item in (*first, *rest)] == ["3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"cursor": ""}, 400, "bad_request"),
        ({"cursor": "x"}, 400, "bad_request"),
        ({"cursor": "0"}, 400, "bad_request"),
        ({"cursor": "1" * 17}, 400, "bad_request"),
        ({"limit": 0}, 422, "invalid"),
        ({"limit": 101}, 422, "invalid"),
        ({"after": 1}, 422, "invalid"),
    ],
    ids=str,
)
async def test_a_list_that_is_not_as_documented_is_refused(
    api: Api, query: dict[str, Any], status: int, code: str
) -> None:
    ada = await api.user()
    it = await document(ada)
    answer = await ada.get(f"/v1/documents/{it}/versions", **query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_document_has_so_many_versions_and_no_more(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MAX_VERSIONS", 2)
    ada = await api.user()
    it = await document(ada)
    answers = await asyncio.gather(*(name(ada, it) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    detail = "a document has at most 2 versions"
    assert_problem(await name(ada, it), 409, "versions_full", "No more versions", detail)


async def test_they_go_with_the_document(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    await named(ada, it)
    await ada.call("DELETE", f"/v1/documents/{it}")
    left = await api.services.database.look_up(
        lambda connection: connection.scalar(select(func.count()).select_from(versions))
    )
    assert left == 0
    assert (await name(ada, it)).status_code == 404


async def test_under_a_key_a_version_is_made_once(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    path, key = f"/v1/documents/{it}/versions", {"Idempotency-Key": "k"}
    first = await ada.call("POST", path, json={"name": "One"}, headers=key)
    second = await ada.call("POST", path, json={"name": "One"}, headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len((await listed(ada, it))[0]) == 1


class TestRestoring:
    async def test_the_text_of_the_version_is_back(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "one\ntwo\n", "one\n2\n", "one\n2\nthree\n")
        version = await named(ada, it, revision=1)
        answer = await restore(ada, it, version)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"revision": 4, "saved_revision": 4, "length": 8}
        assert answer.headers["etag"] == '"4"'
        assert await ada.text(it) == "one\ntwo\n"

    async def test_it_is_the_smallest_change_and_whose_it_was(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada, "one\ntwo\nthree\n", "one\n2\nthree\n")
        await restore(bob, it, await named(bob, it, revision=1))
        page = (await ada.get(f"/v1/documents/{it}/updates", after=2)).json()
        (update,) = page["items"]
        assert update["changes"] == [4, [1, "two"], 7]
        assert update["author"] == {"id": bob.id, "name": "Bob"}

    async def test_it_can_be_taken_back_like_any(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "one", "two")
        before, after = await named(ada, it, revision=1), await named(ada, it)
        await restore(ada, it, before)
        await restore(ada, it, after)
        assert await ada.text(it) == "two"
        answer = await ada.get(f"/v1/documents/{it}/text", revision=3)
        assert answer.text == "one"

    async def test_where_nothing_differs_nothing_is_ordered(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "one", "two", "one")
        answer = await restore(ada, it, await named(ada, it, revision=1))
        assert answer.json() == {"revision": 3, "saved_revision": 3, "length": 3}

    async def test_the_empty_text_may_be_put_back(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "one")
        await restore(ada, it, await named(ada, it, revision=0))
        assert await ada.text(it) == ""

    async def test_open_editors_see_it_at_once_and_lose_nothing(self, server: Serving) -> None:
        it = await server.document("one\ntwo\n")
        peer = await server.join(it)
        await peer.push([4, [3, "2"], 1])
        await peer.heard(2)
        headers = await server.authorization("Bob")
        path = f"/v1/documents/{it}/versions"
        asked = {"name": "One", "revision": 1}
        (await server.http.post(path, json=asked, headers=headers)).raise_for_status()
        (await server.http.post(f"{path}/1/restore", headers=headers)).raise_for_status()
        await peer.push([6, [0, "typed"]])  # on the revision before: it has not read on
        assert len(await peer.heard(4)) == 2
        await peer.leave()
        assert await server.text(it) == "one\ntwo\ntyped"

    async def test_under_a_key_it_is_done_once(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "one", "two")
        version = await named(ada, it, revision=1)
        first = await restore(ada, it, version, **{"Idempotency-Key": "k"})
        await ada.put(it, "three", 3)
        second = await restore(ada, it, version, **{"Idempotency-Key": "k"})
        assert first.json() == second.json()
        assert await ada.text(it) == "three"

    @pytest.mark.parametrize("version", ["2", "0", "01", "x", "9" * 16, "9" * 30])
    async def test_a_version_that_is_not_there_is_not_found(self, api: Api, version: str) -> None:
        ada = await api.user()
        it = await document(ada)
        await named(ada, it)
        answer = await restore(ada, it, version)
        assert_problem(answer, 404, "not_found", "Not found", "there is no such version")

    async def test_another_documents_version_is_not_found(self, api: Api) -> None:
        ada = await api.user()
        it, other = await document(ada), await document(ada)
        assert (await restore(ada, other, await named(ada, it))).status_code == 404

    async def test_a_parameter_is_refused(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        answer = await ada.post(f"/v1/documents/{it}/versions/1/restore?revision=1")
        assert answer.status_code == 422


@pytest.mark.parametrize("role", [Role.COMMENTER, Role.VIEWER])
async def test_who_may_not_write_may_look_and_no_more(api: Api, role: Role) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it = await document(ada, "one", "two")
    version = await named(ada, it, revision=1)
    await bob.get(f"/v1/documents/{it}")
    await become(api, it, bob, role)
    assert len((await listed(bob, it))[0]) == 1
    for answer, action in (
        (await name(bob, it), "name versions"),
        (await restore(bob, it, version), "write"),
    ):
        detail = f"a {role.value} may not {action}"
        assert_problem(answer, 403, "forbidden", "Not allowed", detail)
    assert await ada.text(it) == "two"


async def test_a_document_that_is_not_there_is_not_found(api: Api) -> None:
    ada = await api.user()
    it = "a" * 26
    for answer in (
        await name(ada, it),
        await ada.get(f"/v1/documents/{it}/versions"),
        await restore(ada, it, "1"),
    ):
        assert_problem(answer, 404, "not_found", "Not found", "there is no such document")
