"""Making documents, looking at them, reading their text, renaming and deleting them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from collab.access.roles import Role
from collab.storage.tables import clients, documents, members, segments, snapshots
from tests.api.client import Api, assert_problem

Serve = Callable[..., AbstractAsyncContextManager[Api]]

NOBODY = "there is no such document"


async def test_a_new_document_is_its_makers_and_empty(api: Api) -> None:
    ada = await api.user()
    answer = await ada.post("/v1/documents", {"title": "  Notes "})
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/v1/documents/{made['id']}"
    assert made == {
        "id": made["id"],
        "title": "Notes",
        "role": "owner",
        "anyone": "editor",
        "owner": {"id": ada.id, "name": "Ada"},
        "revision": 0,
        "saved_revision": 0,
        "length": 0,
        "created_at": "2027-01-15T08:00:00Z",
        "updated_at": "2027-01-15T08:00:00Z",
        "editors": 0,
    }
    assert (await ada.get(answer.headers["location"])).json() == made
    text = await ada.get(f"/v1/documents/{made['id']}/text")
    assert (text.status_code, text.text, text.headers["etag"]) == (200, "", '"0"')


@pytest.mark.parametrize("anyone", ["editor", "commenter", "viewer", None])
async def test_who_makes_a_document_says_what_anyone_may(api: Api, anyone: str | None) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    made = await ada.document(anyone=anyone)
    assert (made["role"], made["anyone"]) == ("owner", anyone)
    seen = await bob.get(f"/v1/documents/{made['id']}")
    if anyone is None:
        assert_problem(seen, 404, "not_found", "Not found", "there is no such document")
    else:
        assert seen.json() == {**made, "role": anyone}


@pytest.mark.parametrize("anyone", ["owner", "nobody", "", 7, ["viewer"]])
async def test_nobody_can_make_everybody_the_owner(api: Api, anyone: object) -> None:
    ada = await api.user()
    answer = await ada.post("/v1/documents", {"title": "Notes", "anyone": anyone})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("host", "setting", "expected"),
    [
        ("127.0.0.1", None, "editor"),
        ("0.0.0.0", None, None),
        ("0.0.0.0", "commenter", "commenter"),
        ("127.0.0.1", "nobody", None),
    ],
)
async def test_else_the_settings_say_it_and_let_nobody_in_where_others_can_reach_the_server(
    serve: Serve,
    host: str,
    setting: str | None,
    expected: str | None,
) -> None:
    async with serve(host=host, anyone=setting, guests=True) as api:
        assert (await (await api.user()).document())["anyone"] == expected


async def test_ids_are_unguessable_and_fit_the_contract(api: Api) -> None:
    ada = await api.user()
    ids = {(await ada.document())["id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch(r"[a-z2-7]{26}", each) for each in ids)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("hello", "hello"),
        ("a\r\nb\rc\nd\n", "a\nb\nc\nd\n"),
        ("\r\r\n\n\r", "\n\n\n\n"),
        ("😀 é \u2028 \ufeff\x01\t", "😀 é \u2028 \ufeff\x01\t"),
    ],
    ids=ascii,
)
async def test_a_text_that_a_document_is_made_with_is_its_revision_1(
    api: Api, given: str, kept: str
) -> None:
    """T2"""
    ada = await api.user()
    made = await ada.document(text=given)
    units = len(kept.encode("utf-16-le")) // 2
    assert (made["revision"], made["saved_revision"], made["length"]) == (1, 1, units)
    text = await ada.get(f"/v1/documents/{made['id']}/text")
    assert text.content == kept.encode()
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.headers["etag"] == '"1"'


async def test_a_document_is_there_after_a_restart(serve: Serve) -> None:
    async with serve() as api:
        ada = await api.user()
        made = await ada.document(text="kept")
    async with serve() as api:
        headers = {"Authorization": f"Bearer {ada.token}"}
        text = await api.http.get(f"/v1/documents/{made['id']}/text", headers=headers)
        assert text.text == "kept"
        look = await api.http.get(f"/v1/documents/{made['id']}", headers=headers)
        assert look.json() == made


async def test_whoever_knows_the_id_is_an_editor_and_has_it_on_their_list(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    made = await ada.document()
    assert (await bob.get("/v1/documents")).json()["items"] == []
    for _ in range(2):
        seen = await bob.get(f"/v1/documents/{made['id']}")
        assert seen.json() == {**made, "role": "editor"}
    assert (await bob.get("/v1/documents")).json()["items"] == [{**made, "role": "editor"}]
    assert (await ada.get("/v1/documents")).json()["items"] == [made]


async def test_reading_the_text_puts_a_document_on_the_list(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    made = await ada.document()
    await bob.get(f"/v1/documents/{made['id']}/text")
    assert len((await bob.get("/v1/documents")).json()["items"]) == 1


async def test_many_first_looks_at_once_are_one_entry_on_the_list(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    made = await ada.document()
    looks = await asyncio.gather(*(bob.get(f"/v1/documents/{made['id']}") for _ in range(10)))
    assert {look.status_code for look in looks} == {200}
    assert len((await bob.get("/v1/documents")).json()["items"]) == 1


async def test_an_open_room_tells_what_the_row_does_not_know_yet(api: Api) -> None:
    ada = await api.user()
    made = await ada.document(text="abc")
    async with api.services.registry.room(made["id"]):
        assert (await ada.get(f"/v1/documents/{made['id']}")).json() == made
        assert (await ada.get("/v1/documents")).json()["items"] == [made]


async def test_readers_of_one_document_share_one_room(api: Api) -> None:
    ada = await api.user()
    made = await ada.document(text="abc")
    path = f"/v1/documents/{made['id']}/text"
    await asyncio.gather(*(ada.get(path) for _ in range(5)))
    room = api.services.registry.peek(made["id"])
    await ada.get(path)
    assert room is not None
    assert api.services.registry.peek(made["id"]) is room


@pytest.mark.parametrize("path", ["/v1/documents/{}", "/v1/documents/{}/text"])
@pytest.mark.parametrize("unknown", ["a" * 26, "x", "a" * 65, "ä", "a.b", "%00", "a%0A", "'--"])
async def test_a_document_that_is_not_there_is_not_found(api: Api, path: str, unknown: str) -> None:
    ada = await api.user()
    answer = await ada.get(path.format(unknown))
    assert_problem(answer, 404, "not_found", "Not found", NOBODY)


@pytest.mark.parametrize(
    ("body", "detail", "pointer"),
    [
        ({"title": " "}, "must have 1 to 200 characters", "#/title"),
        ({"title": "x" * 201}, "must have 1 to 200 characters", "#/title"),
        ({"title": "a\tb"}, "must be one line without control characters", "#/title"),
        ({"title": "x", "text": "a\0b"}, "must not hold NUL or an unpaired surrogate", "#/text"),
    ],
)
async def test_what_no_document_can_be_made_of_is_refused(
    api: Api, body: dict[str, str], detail: str, pointer: str
) -> None:
    ada = await api.user()
    answer = await ada.post("/v1/documents", body)
    errors = [{"detail": detail, "pointer": pointer}]
    assert_problem(answer, 422, "invalid", "Invalid request", detail, errors=errors)
    assert (await ada.get("/v1/documents")).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, [("Field required", "#/title")]),
        ({"title": 7}, [("Input should be a valid string", "#/title")]),
        ({"title": None}, [("Input should be a valid string", "#/title")]),
        ({"title": "x", "text": None}, [("Input should be a valid string", "#/text")]),
        ({"title": "x", "id": "y"}, [("Extra inputs are not permitted", "#/id")]),
        (
            {"title": "x", "a/b~c": 1, "": 2},
            [
                ("Extra inputs are not permitted", "#/a~1b~0c"),
                ("Extra inputs are not permitted", "#/"),
            ],
        ),
    ],
    ids=str,
)
async def test_a_body_of_another_form_is_refused(
    api: Api, body: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    ada = await api.user()
    named = [{"detail": detail, "pointer": pointer} for detail, pointer in errors]
    detail = "the request is not as documented"
    answer = await ada.post("/v1/documents", body)
    assert_problem(answer, 422, "invalid", "Invalid request", detail, errors=named)


@pytest.mark.parametrize(
    "body",
    [rb'{"title":"\ud800"}', rb'{"title":"x","text":"a\udc00"}', rb'{"title":"x","\ud800":1}'],
)
async def test_an_unpaired_surrogate_is_refused(api: Api, body: bytes) -> None:
    """T5"""
    ada = await api.user()
    headers = {"Content-Type": "application/json"}
    answer = await ada.call("POST", "/v1/documents", content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"


async def test_a_surrogate_pair_in_json_is_one_character(api: Api) -> None:
    ada = await api.user()
    body = rb'{"title":"\ud83d\ude00","text":"\ud83d\ude00"}'
    headers = {"Content-Type": "application/json"}
    answer = await ada.call("POST", "/v1/documents", content=body, headers=headers)
    assert (answer.status_code, answer.json()["title"], answer.json()["length"]) == (201, "😀", 2)


async def test_a_text_may_be_as_long_as_a_document_and_no_longer(serve: Serve) -> None:
    """L1: units are counted, after line separators have become one each."""
    async with serve(max_document_units=1_000) as api:
        ada = await api.user()
        made = await ada.document(text="😀" * 499 + "\r\n" * 2)
        assert made["length"] == 1_000
        answer = await ada.post("/v1/documents", {"title": "x", "text": "😀" * 500 + "x"})
        title, detail = (
            "Text too long for a document",
            "a document holds at most 1000 UTF-16 code units",
        )
        assert_problem(answer, 413, "document_full", title, detail)


async def test_a_parameter_that_there_is_not_is_refused_and_not_ignored(api: Api) -> None:
    ada = await api.user()
    made = await ada.document(text="abc")
    answer = await ada.get(f"/v1/documents/{made['id']}", revision=0)
    assert_problem(answer, 422, "invalid", "Invalid request", "there is no parameter here")


class TestRenaming:
    async def test_a_new_title_is_seen_by_all_in_the_list_and_by_looking(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        made = await ada.document()
        path = f"/v1/documents/{made['id']}"
        await bob.get(path)
        api.clock.now_s += 60
        answer = await ada.call("PATCH", path, json={"title": " Minutes "})
        renamed = {**made, "title": "Minutes", "updated_at": "2027-01-15T08:01:00Z"}
        assert (answer.status_code, answer.json()) == (200, renamed)
        for user, role in ((ada, "owner"), (bob, "editor")):
            seen = {**renamed, "role": role}
            assert (await user.get(path)).json() == seen
            assert (await user.get("/v1/documents")).json()["items"] == [seen]

    async def test_it_is_found_by_its_new_title_and_no_longer_by_the_old(self, api: Api) -> None:
        ada = await api.user()
        made = await ada.document("Notes")
        await ada.call("PATCH", f"/v1/documents/{made['id']}", json={"title": "STRASSE"})
        found = {q: (await ada.get("/v1/documents", q=q)).json()["items"] for q in ("notes", "ße")}
        assert [len(items) for items in found.values()] == [0, 1]

    async def test_any_editor_may_rename(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        made = await ada.document()
        path = f"/v1/documents/{made['id']}"
        answer = await bob.call("PATCH", path, json={"title": "Bob's"})
        assert (answer.status_code, answer.json()["role"]) == (200, "editor")
        assert (await ada.get(path)).json()["title"] == "Bob's"

    @pytest.mark.parametrize("role", [Role.COMMENTER, Role.VIEWER])
    async def test_who_may_not_write_may_not_rename(self, api: Api, role: Role) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        made = await ada.document()
        path = f"/v1/documents/{made['id']}"
        await bob.get(path)
        await api.services.database.write(
            lambda c: c.execute(
                members.update().where(members.c.user_id == bob.id).values(role=role)
            )
        )
        answer = await bob.call("PATCH", path, json={"title": "Bob's"})
        detail = f"a {role.value} may not rename"
        assert_problem(answer, 403, "forbidden", "Not allowed", detail)
        assert (await ada.get(path)).json() == made

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"title": ""}, "#/title"),
            ({"title": "a\nb"}, "#/title"),
            ({"title": "x" * 201}, "#/title"),
            ({"title": 7}, "#/title"),
            ({}, "#/title"),
            ({"title": "x", "text": "y"}, "#/text"),
        ],
        ids=str,
    )
    async def test_what_is_no_title_is_refused(
        self, api: Api, body: dict[str, Any], pointer: str
    ) -> None:
        ada = await api.user()
        made = await ada.document()
        path = f"/v1/documents/{made['id']}"
        answer = await ada.call("PATCH", path, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
        assert (await ada.get(path)).json() == made

    async def test_a_document_that_is_not_there_is_not_found(self, api: Api) -> None:
        ada = await api.user()
        answer = await ada.call("PATCH", f"/v1/documents/{'a' * 26}", json={"title": "x"})
        assert_problem(answer, 404, "not_found", "Not found", NOBODY)


class TestDeletion:
    """What editors see of it is in `tests/live/test_deletion.py`."""

    async def test_a_deleted_document_is_gone_for_all_and_twice_is_not_found(
        self, api: Api
    ) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        made, other = await ada.document(text="gone"), await ada.document("Other", text="kept")
        path = f"/v1/documents/{made['id']}"
        await bob.get(f"{path}/text")
        answer = await ada.call("DELETE", path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await ada.get("/v1/documents")).json()["items"] == [other]
        assert (await bob.get("/v1/documents")).json()["items"] == []
        for again in (
            await ada.call("DELETE", path),
            await ada.call("PATCH", path, json={"title": "x"}),
            await ada.get(path),
            await bob.get(f"{path}/text"),
        ):
            assert_problem(again, 404, "not_found", "Not found", NOBODY)
        text = await ada.get(f"/v1/documents/{other['id']}/text")
        assert text.text == "kept"

    async def test_nothing_of_it_stays_in_the_database(self, api: Api) -> None:
        ada = await api.user()
        made = await ada.document(text="gone")
        await ada.call("DELETE", f"/v1/documents/{made['id']}")
        async with api.services.database.read() as connection:
            for table in (documents, segments, snapshots, clients, members):
                assert (await connection.execute(table.select())).all() == []

    async def test_the_owner_alone_may(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        made = await ada.document()
        path = f"/v1/documents/{made['id']}"
        answer = await bob.call("DELETE", path)
        detail = "an editor may not delete"
        assert_problem(answer, 403, "forbidden", "Not allowed", detail)
        assert (await ada.get(path)).json() == made

    async def test_of_two_at_once_one_deletes(self, api: Api) -> None:
        ada = await api.user()
        path = f"/v1/documents/{(await ada.document())['id']}"
        answers = await asyncio.gather(*(ada.call("DELETE", path) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [204, 404, 404, 404, 404]

    async def test_a_parameter_is_refused_and_not_ignored(self, api: Api) -> None:
        """Whoever asks for `?dry_run=1` does not lose the document."""
        ada = await api.user()
        path = f"/v1/documents/{(await ada.document())['id']}"
        answer = await ada.call("DELETE", path, params={"dry_run": 1})
        assert answer.status_code == 422
        assert (await ada.get(path)).status_code == 200
