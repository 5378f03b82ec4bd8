"""What changed between two revisions, and who wrote what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from collab.api import compare
from collab.api.services import Services
from collab.storage.tables import segments
from collab.text import Change, Text
from tests.api.client import Api, User, assert_problem

if TYPE_CHECKING:
    from tests.serving import Serving

Serve = Callable[..., AbstractAsyncContextManager[Api]]

AT = "2027-01-15T08:00:00Z"


async def document(user: User, *texts: str) -> str:
    """A document that had these texts, at revisions 1 and on."""
    first, *later = texts
    it = str((await user.document(text=first))["id"])
    for revision, text in enumerate(later, 1):
        assert (await user.put(it, text, revision)).status_code == 200
    return it


async def diff(user: User, it: str, **query: Any) -> dict[str, Any]:
    answer = await user.get(f"/v1/documents/{it}/diff", **query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    return body


async def blame(user: User, it: str, **query: Any) -> list[tuple[int, str | None, int | None]]:
    """Length, author's name and revision of each span."""
    answer = await user.get(f"/v1/documents/{it}/blame", **query)
    assert answer.status_code == 200, answer.text
    return [
        (span["length"], span["author"] and span["author"]["name"], span["revision"])
        for span in answer.json()["spans"]
    ]


class TestDiff:
    async def test_it_is_the_smallest_change_from_one_text_to_the_other(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "one\ntwo\nthree\n", "one\n2\nthree\n", "one\n2\nthree\nfour\n")
        assert await diff(ada, it, **{"from": 1, "to": 2}) == {
            "from": 1,
            "to": 2,
            "sections": [4, [3, "2"], 7],
        }
        assert await diff(ada, it, **{"from": 1, "to": 3}) == {
            "from": 1,
            "to": 3,
            "sections": [4, [3, "2"], 6, [0, "", "four"], 1],
        }

    async def test_it_leads_to_the_current_text_by_default(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a", "ab", "abc")
        assert await diff(ada, it, **{"from": 1}) == {
            "from": 1,
            "to": 3,
            "sections": [1, [0, "bc"]],
        }

    async def test_it_leads_back_as_well(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a", "ab")
        found = await diff(ada, it, **{"from": 2, "to": 1})
        assert found == {"from": 2, "to": 1, "sections": [1, [1]]}

    async def test_what_was_undone_is_no_difference(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a", "b", "a")
        for end in (1, 3):
            found = await diff(ada, it, **{"from": 1, "to": end})
            assert found["sections"] == [1]

    async def test_between_empty_texts_there_is_nothing(self, api: Api) -> None:
        ada = await api.user()
        it = str((await ada.document())["id"])
        assert (await diff(ada, it, **{"from": 0}))["sections"] == []

    @pytest.mark.parametrize("seed", range(3))
    async def test_between_any_two_revisions_it_makes_the_one_of_the_other(
        self, api: Api, seed: int
    ) -> None:
        random = Random(seed)
        ada = await api.user()
        words = ["a", "b\n", "😀", "the ", "quick\n", "é", "\n"]
        texts = ["".join(random.choices(words, k=random.randint(1, 30))) for _ in range(6)]
        it = await document(ada, *texts)
        current = (await ada.get(f"/v1/documents/{it}")).json()["revision"]
        for start in range(current + 1):
            for end in range(current + 1):
                change = Change.from_json(
                    (await diff(ada, it, **{"from": start, "to": end}))["sections"]
                )
                old = Text.of(await ada.text(it, revision=start))
                assert str(change.apply(old)) == await ada.text(it, revision=end), seed

    async def test_a_revision_that_does_not_exist_is_not_found(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a")
        for query in ({"from": 2}, {"from": 0, "to": 2}, {"from": 2, "to": 0}):
            answer = await ada.get(f"/v1/documents/{it}/diff", **query)
            assert_problem(answer, 404, "not_found", "Not found", "there is no revision 2")

    @pytest.mark.parametrize(
        "query",
        [{}, {"to": 1}, {"from": -1}, {"from": "x"}, {"from": 2**53}, {"from": 1, "at": 1}],
        ids=str,
    )
    async def test_what_is_not_as_documented_is_refused(
        self, api: Api, query: dict[str, Any]
    ) -> None:
        ada = await api.user()
        answer = await ada.get(f"/v1/documents/{await document(ada, 'a')}/diff", **query)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


class TestBlame:
    async def test_it_tells_who_wrote_what_and_when(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada, "Hello, world")
        api.clock.now_s += 1.5
        await bob.patch(it, {"edits": [{"from": 7, "to": 12, "insert": "😀"}]}, 1)
        answer = await ada.get(f"/v1/documents/{it}/blame")
        later = "2027-01-15T08:00:01.500000Z"
        assert answer.json() == {
            "revision": 2,
            "spans": [
                {"length": 7, "author": {"id": ada.id, "name": "Ada"}, "revision": 1, "at": AT},
                {"length": 2, "author": {"id": bob.id, "name": "Bob"}, "revision": 2, "at": later},
            ],
        }

    async def test_at_any_revision(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a", "ab", "xab", "x")
        assert await blame(ada, it, revision=0) == []
        assert await blame(ada, it, revision=1) == [(1, "Ada", 1)]
        assert await blame(ada, it, revision=2) == [(1, "Ada", 1), (1, "Ada", 2)]
        assert await blame(ada, it, revision=3) == [(1, "Ada", 3), (1, "Ada", 1), (1, "Ada", 2)]
        assert await blame(ada, it) == [(1, "Ada", 3)]

    async def test_of_people_who_type_at_once(self, server: Serving) -> None:
        it = await server.document("--")
        ada, bob = await server.join(it, "Ada"), await server.join(it, "Bob")
        await ada.push([[0, "ada"], 2])
        await bob.push([2, [0, "bob"]], [5, [0, "!"]])
        await asyncio.gather(ada.heard(4), bob.heard(4))
        await asyncio.gather(ada.leave(), bob.leave())
        answer = await server.http.get(
            f"/v1/documents/{it}/blame", headers=await server.authorization()
        )
        spans = [(span["length"], span["author"]["name"]) for span in answer.json()["spans"]]
        assert spans == [(3, "Ada"), (2, "Ada"), (3, "Bob"), (1, "Bob")]

    async def test_spans_add_up_to_the_text_over_many_pages(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(compare, "PAGE", 3)
        monkeypatch.setattr(compare, "PAGE_BYTES", 50)
        ada = await api.user()
        random = Random(1)
        texts = ["".join(random.choices("abc \n", k=n)) for n in range(1, 21)]
        it = await document(ada, *texts)
        for revision, text in enumerate(texts, 1):
            assert sum(length for length, _, _ in await blame(ada, it, revision=revision)) == len(
                text
            )

    async def test_what_lies_further_back_than_is_looked_is_nobodys(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(compare, "MAX_LOOKED_BACK", 2)
        ada = await api.user()
        it = await document(ada, "a", "ab", "abc", "abcd")
        assert await blame(ada, it) == [(2, None, None), (1, "Ada", 3), (1, "Ada", 4)]
        answer = await ada.get(f"/v1/documents/{it}/blame")
        nobody = {"length": 2, "author": None, "revision": None, "at": None}
        assert answer.json()["spans"][0] == nobody

    async def test_a_revision_that_does_not_exist_is_not_found(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a")
        answer = await ada.get(f"/v1/documents/{it}/blame", revision=2)
        assert_problem(answer, 404, "not_found", "Not found", "there is no revision 2")

    @pytest.mark.parametrize("query", [{"revision": -1}, {"revision": 2**53}, {"at": 1}], ids=str)
    async def test_what_is_not_as_documented_is_refused(
        self, api: Api, query: dict[str, Any]
    ) -> None:
        ada = await api.user()
        answer = await ada.get(f"/v1/documents/{await document(ada, 'a')}/blame", **query)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")

    async def test_a_history_that_does_not_fit_together_is_told(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a", "ab")
        await api.services.database.write(
            lambda connection: connection.execute(
                segments.update()
                .where(segments.c.document_id == it, segments.c.first_revision == 2)
                .values(pushes=b'[["",0,"a",0,"m",false,[[7]]]]')
            )
        )
        answer = await ada.get(f"/v1/documents/{it}/blame")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")

    async def test_a_history_that_ends_too_early_is_told(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def nothing(*_: object) -> list[object]:
            return []

        monkeypatch.setattr("collab.storage.history.updates", nothing)
        ada = await api.user()
        it = await document(ada, "a", "ab")
        answer = await ada.get(f"/v1/documents/{it}/blame")
        detail = "the history has no revision 1"
        assert_problem(answer, 503, "unavailable", "Not available now", detail)


@pytest.mark.parametrize("what", ["diff?from=0", "blame"])
class TestEither:
    async def test_of_a_document_that_is_not_there(self, api: Api, what: str) -> None:
        ada = await api.user()
        answer = await ada.call("GET", f"/v1/documents/{'a' * 26}/{what}")
        assert_problem(answer, 404, "not_found", "Not found", "there is no such document")

    async def test_is_for_whom_has_a_token(self, api: Api, what: str) -> None:
        ada = await api.user()
        it = await document(ada, "a")
        assert (await api.http.get(f"/v1/documents/{it}/{what}")).status_code == 401

    async def test_is_not_waited_for_too_long(
        self, serve: Serve, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        async with serve(open_timeout_s=2) as api:
            ada = await api.user()
            it = await document(ada, "a", "ab")
            monkeypatch.setattr(Services, "aside", never)
            answer = await ada.call("GET", f"/v1/documents/{it}/{what}")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["retry-after"] == "1"
