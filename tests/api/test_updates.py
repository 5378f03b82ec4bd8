"""The updates of a document over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from collab.log.entry import Past, Point
from collab.storage.segments import encode, holding
from collab.storage.tables import segments
from tests.api.client import Api, User, assert_problem

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tests.serving import Serving


async def listed(user: User, it: str, **query: Any) -> tuple[list[dict[str, Any]], str | None]:
    answer = await user.get(f"/v1/documents/{it}/updates", **query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    page = answer.json()
    assert set(page) == {"items", "next"}
    return page["items"], page["next"]


async def typed(user: User, count: int) -> str:
    """A document with so many updates, each of them an `x`."""
    it = str((await user.document())["id"])
    for revision in range(count):
        await user.put(it, "x" * (revision + 1), revision)
    return it


async def test_they_tell_who_did_what_and_when(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it = str((await ada.document(text="Hello\nworld"))["id"])
    api.clock.now_s += 1.5
    await bob.patch(it, {"find": "world", "replace": "moon"})
    (first, second), following = await listed(ada, it)
    assert following is None
    assert first == {
        "revision": 1,
        "client": "",
        "seq": 0,
        "author": {"id": ada.id, "name": "Ada"},
        "at": "2027-01-15T08:00:00Z",
        "void": False,
        "changes": [[0, "Hello", "world"]],
    }
    assert second == {
        "revision": 2,
        "client": second["client"],
        "seq": 1,
        "author": {"id": bob.id, "name": "Bob"},
        "at": "2027-01-15T08:00:01.500000Z",
        "void": False,
        "changes": [6, [5, "moon"]],
    }
    assert len(second["client"]) == 18


async def test_each_edit_has_a_client_of_its_own(api: Api) -> None:
    ada = await api.user()
    items, _ = await listed(ada, await typed(ada, 3))
    assert len({item["client"] for item in items}) == 3


async def test_a_document_without_any_has_an_empty_list(api: Api) -> None:
    ada = await api.user()
    assert await listed(ada, await typed(ada, 0)) == ([], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 1_000])
async def test_pages_hold_each_once_in_order(api: Api, limit: int) -> None:
    ada = await api.user()
    it = await typed(ada, 6)
    found: list[int] = []
    items, following = await listed(ada, it, limit=limit)
    while True:
        found += [item["revision"] for item in items]
        if following is None:
            break
        assert len(items) == limit
        items, following = await listed(ada, it, limit=limit, cursor=following)
    assert found == [1, 2, 3, 4, 5, 6]


async def test_they_begin_after_a_revision(api: Api) -> None:
    ada = await api.user()
    it = await typed(ada, 4)
    for after in range(6):
        items, following = await listed(ada, it, after=after)
        assert [item["revision"] for item in items] == list(range(after + 1, 5))
        assert following is None
    assert await listed(ada, it, after=2**53 - 1) == ([], None)


async def test_the_updates_of_a_push_may_be_on_two_pages(server: Serving) -> None:
    it = await server.document()
    peer = await server.join(it)
    await peer.push([[0, "a"]], [1, [0, "b"]], [2, [0, "c"]])
    await peer.heard(3)
    await peer.leave()
    headers = await server.authorization()
    path = f"/v1/documents/{it}/updates"
    first = (await server.http.get(f"{path}?limit=2", headers=headers)).json()
    rest = (await server.http.get(f"{path}?cursor={first['next']}", headers=headers)).json()
    items = [*first["items"], *rest["items"]]
    assert [item["changes"] for item in items] == [[[0, "a"]], [1, [0, "b"]], [2, [0, "c"]]]
    assert {(item["client"], item["seq"]) for item in items} == {(peer.name, 1)}
    assert {item["author"]["name"] for item in items} == {"Ada"}


async def test_a_page_is_bounded_in_bytes_and_holds_at_least_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collab.api.updates.MAX_BYTES", 250)
    ada = await api.user()
    it = str((await ada.document())["id"])
    for revision in range(4):
        await ada.patch(
            it, {"change": [*([revision * 100] if revision else []), [0, "x" * 100]]}, revision
        )
    await ada.put(it, "y" * 1_000, 4)
    pages = []
    items, following = await listed(ada, it)
    while True:
        pages.append([item["revision"] for item in items])
        if following is None:
            break
        items, following = await listed(ada, it, cursor=following)
    assert pages == [[1, 2], [3, 4], [5]]


async def test_u3_a_void_update_stands_under_no_client_and_tells_who_sent_it(api: Api) -> None:
    ada = await api.user()
    it = await typed(ada, 2)

    def make_void(connection: Connection) -> None:
        """As a server would have saved the second, had it been a copy."""
        (segment,) = (each for each in holding(connection, it, 1, 2) if each.last_revision == 2)
        (push,) = segment.read()
        assert isinstance(segment.begin, Point)
        void = Past(
            client=push.client,
            seq=push.seq,
            author=push.author,
            at=push.at,
            first=push.first,
            mark=push.mark,
            weight=push.weight,
            changes=(b"[1]",),
            void=True,
        )
        connection.execute(
            segments.update()
            .where(segments.c.document_id == it, segments.c.last_revision == 2)
            .values(pushes=encode([void]))
        )
        assert connection.scalars(select(segments.c.last_revision)).all() == [1, 2]

    await api.services.database.write(make_void)
    items, _ = await listed(ada, it, after=1)
    assert items == [
        {
            "revision": 2,
            "client": "",
            "seq": 0,
            "author": {"id": ada.id, "name": "Ada"},
            "at": "2027-01-15T08:00:00Z",
            "void": True,
            "changes": [1],
        }
    ]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"after": -1}, "after"),
        ({"after": "x"}, "after"),
        ({"after": 2**53}, "after"),
        ({"limit": 0}, "limit"),
        ({"limit": 1_001}, "limit"),
        ({"before": 7}, "before"),
    ],
    ids=str,
)
async def test_what_is_not_as_documented_is_refused(
    api: Api, query: dict[str, Any], parameter: str
) -> None:
    ada = await api.user()
    it = await typed(ada, 0)
    answer = await ada.get(f"/v1/documents/{it}/updates", **query)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, parameter)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "+1", "٣", "1" * 17])
async def test_what_is_no_cursor_is_refused(api: Api, cursor: str) -> None:
    ada = await api.user()
    it = await typed(ada, 0)
    answer = await ada.get(f"/v1/documents/{it}/updates", cursor=cursor)
    detail = "the cursor is not one that this list gave out"
    assert_problem(answer, 400, "bad_request", "Bad request", detail)


async def test_a_document_that_is_not_there_is_not_found(api: Api) -> None:
    ada = await api.user()
    answer = await ada.get(f"/v1/documents/{'a' * 26}/updates")
    assert_problem(answer, 404, "not_found", "Not found", "there is no such document")
