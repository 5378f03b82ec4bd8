"""Reading and changing a text over REST, and every answer there is."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest

from collab.access.roles import Role
from collab.storage.tables import members
from collab.text import Change, Text
from collab.text.difference import difference
from tests.api.client import Api, User, assert_problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

Serve = Callable[..., AbstractAsyncContextManager[Api]]

BASE_NEEDED = 'If-Match must name the revision that this was made from: "7"'


def assert_edited(
    answer: httpx2.Response, revision: int, length: int, replaced: int | None = None
) -> None:
    """The edit is in the text, shown and saved."""
    assert answer.status_code == 200, answer.text
    found = {} if replaced is None else {"replaced": replaced}
    assert answer.json() == {
        "revision": revision,
        "saved_revision": revision,
        "length": length,
        **found,
    }
    assert answer.headers["etag"] == f'"{revision}"'
    assert answer.headers["content-type"] == "application/json"


def assert_refused(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def document(user: User, text: str = "Hello, world") -> str:
    return str((await user.document(text=text))["id"])


class TestReading:
    async def test_a_text_is_read_at_any_revision(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a")
        for revision in range(1, 6):
            await ada.put(it, "a" * (revision + 1), revision)
        for revision in range(7):
            answer = await ada.get(f"/v1/documents/{it}/text", revision=revision)
            assert (answer.text, answer.headers["etag"]) == ("a" * revision, f'"{revision}"')
        newest = await ada.get(f"/v1/documents/{it}/text")
        assert (newest.text, newest.headers["etag"]) == ("aaaaaa", '"6"')

    async def test_a_revision_that_does_not_exist_is_not_found(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        for revision in (2, 2**53 - 1):
            answer = await ada.get(f"/v1/documents/{it}/text", revision=revision)
            detail = f"there is no revision {revision}"
            assert_problem(answer, 404, "not_found", "Not found", detail)

    @pytest.mark.parametrize("value", ["", "-1", "x", "1.5", str(2**53), "9" * 30])
    async def test_what_is_no_revision_is_refused(self, api: Api, value: str) -> None:
        ada = await api.user()
        it = await document(ada)
        answer = await ada.get(f"/v1/documents/{it}/text", revision=value)
        assert_refused(answer, 422, "invalid")
        assert [error["parameter"] for error in answer.json()["errors"]] == ["revision"]

    async def test_another_parameter_is_refused(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        assert_refused(await ada.get(f"/v1/documents/{it}/text", at=1), 422, "invalid")

    async def test_a_text_that_the_caller_has_is_not_sent_again(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        path = f"/v1/documents/{it}/text"
        for tags in ('"1"', 'W/"1"', '"7", "1"', "*"):
            answer = await ada.call("GET", path, headers={"If-None-Match": tags})
            assert (answer.status_code, answer.content) == (304, b""), tags
            assert answer.headers["etag"] == '"1"'
        for tags in ('"0"', '"2"', "1", "x"):
            answer = await ada.call("GET", path, headers={"If-None-Match": tags})
            assert answer.text == "Hello, world"

    async def test_a_long_text_is_made_ready_beside_the_event_loop(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = await api.user()
        texts = ["😀" * 20, "😀" * 40_000]
        written_here: list[bool] = []
        read = Text.leaves

        def watched(text: Text) -> Iterator[str]:
            written_here.append(threading.current_thread() is threading.main_thread())
            return read(text)

        for text in texts:
            it = await document(ada, text)
            with monkeypatch.context() as patched:
                patched.setattr(Text, "leaves", watched)
                answer = await ada.get(f"/v1/documents/{it}/text")
            assert answer.text == text
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["content-length"] == str(len(text.encode()))
        assert written_here == [True, False, False]  # the long one is measured first

    async def test_a_text_that_takes_too_long_to_read_is_not_waited_for(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        async with serve(open_timeout_s=2) as api:
            ada = await api.user()
            it = await document(ada)
            await ada.put(it, "x", 1)
            monkeypatch.setattr("collab.storage.history.text_at", never)
            answer = await ada.get(f"/v1/documents/{it}/text", revision=1)
            assert_refused(answer, 503, "unavailable")
            assert answer.headers["retry-after"] == "1"


class TestAWholeText:
    async def test_it_stands_in_place_of_the_old_one(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        assert_edited(await ada.put(it, "Hello, 😀", 1), 2, 9)
        assert await ada.text(it) == "Hello, 😀"

    async def test_it_becomes_the_smallest_change(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "one\ntwo\nthree\n")
        await ada.put(it, "one\n2\nthree\nfour\n", 1)
        update = (await ada.get(f"/v1/documents/{it}/updates", after=1)).json()["items"][0]
        assert update["changes"] == [4, [3, "2"], 6, [0, "", "four"], 1]

    async def test_that_is_found_where_nobody_else_waits(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """For a version that is put back as well."""
        threads: list[str] = []

        def watched(*given: Any) -> Change:
            threads.append(threading.current_thread().name)
            return difference(*given)

        monkeypatch.setattr("collab.api.edits.difference", watched)
        monkeypatch.setattr("collab.api.versions.difference", watched)
        ada = await api.user()
        it = await document(ada)
        await ada.post(f"/v1/documents/{it}/versions", {"name": "One"})
        assert_edited(await ada.put(it, "", 1), 2, 0)
        assert_edited(await ada.post(f"/v1/documents/{it}/versions/1/restore"), 3, 12)
        assert [name.rpartition("_")[0] for name in threads] == ["collab-comparing"] * 2

    async def test_it_may_be_empty(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        assert_edited(await ada.put(it, "", 1), 2, 0)

    async def test_line_separators_become_one(self, api: Api) -> None:
        """T2"""
        ada = await api.user()
        it = await document(ada, "")
        assert_edited(await ada.put(it, "a\r\nb\rc\n\r\n", 0), 1, 7)
        assert await ada.text(it) == "a\nb\nc\n\n"

    async def test_where_nothing_differs_nothing_is_ordered(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a\nb")
        assert_edited(await ada.put(it, "a\r\nb", 1), 1, 3)
        assert (await ada.get(f"/v1/documents/{it}")).json()["revision"] == 1

    async def test_a_text_that_does_not_differ_from_an_old_one_is_answered_with_that(
        self, api: Api
    ) -> None:
        """Not with the newest: that is not what its sender has."""
        ada = await api.user()
        it = await document(ada, "a")
        await ada.put(it, "abc", 1)
        answer = await ada.put(it, "a", 1)
        assert answer.json() == {"revision": 1, "saved_revision": 2, "length": 1}
        assert answer.headers["etag"] == '"1"'

    async def test_two_from_the_same_base_both_survive(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada, "one\ntwo\nthree\n")
        assert_edited(await ada.put(it, "ONE\ntwo\nthree\n", 1), 2, 14)
        assert_edited(await bob.put(it, "one\ntwo\nthree\nfour\n", 1), 3, 19)
        assert await ada.text(it) == "ONE\ntwo\nthree\nfour\n"

    async def test_many_at_once_all_survive(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "".join(f"line {n}\n" for n in range(20)))
        texts = [
            "".join(f"line {n}{' changed' if n == own else ''}\n" for n in range(20))
            for own in range(20)
        ]
        answers = await asyncio.gather(*(ada.put(it, text, 1) for text in texts))
        assert sorted(answer.json()["revision"] for answer in answers) == list(range(2, 22))
        assert await ada.text(it) == "".join(f"line {n} changed\n" for n in range(20))

    @pytest.mark.parametrize("base", ["*", '"1"', 'W/"1"', ' "1" '])
    async def test_its_base_is_named_like_this(self, api: Api, base: str) -> None:
        ada = await api.user()
        it = await document(ada)
        assert_edited(await ada.put(it, "x", base), 2, 1)

    async def test_it_needs_a_base(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        answer = await ada.put(it, "x")
        title = "Precondition required"
        assert_problem(answer, 428, "precondition_required", title, BASE_NEEDED)
        assert await ada.text(it) == "Hello, world"

    @pytest.mark.parametrize(
        "base", ["", "1", '"x"', '"01"', '"-1"', '"1', '"1","2"', 'w/"1"', '"12345678901234567"']
    )
    async def test_what_is_no_base_is_refused(self, api: Api, base: str) -> None:
        ada = await api.user()
        it = await document(ada)
        detail = 'If-Match must be one ETag of the text, as "7", or *'
        answer = await ada.put(it, "x", base)
        assert_problem(answer, 400, "bad_request", "Bad request", detail)

    async def test_a_base_that_does_not_exist_fails(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        detail = "there is no revision 2; the last is 1"
        answer = await ada.put(it, "x", 2)
        assert_problem(answer, 412, "precondition_failed", "Precondition failed", detail)

    async def test_a_base_that_lies_too_far_back_is_stale(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("collab.rooms.history.MAX_BASE_DISTANCE", 3)
        ada = await api.user()
        it = await document(ada, "")
        for revision in range(4):
            await ada.put(it, "x" * (revision + 1), revision)
        detail = "revision 0 lies too far back: read the text again"
        answer = await ada.put(it, "y", 0)
        assert_problem(answer, 412, "stale", "The revision lies too far back", detail)
        assert_edited(await ada.put(it, "xy", 1), 5, 5)

    @pytest.mark.parametrize("text", [b"a\xff", b"\xed\xa0\xbd", b"a\0b"])
    async def test_what_is_no_text_is_refused(self, api: Api, text: bytes) -> None:
        """T5"""
        ada = await api.user()
        it = await document(ada)
        assert_refused(await ada.put(it, text, 1), 422, "invalid")
        assert await ada.text(it) == "Hello, world"

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            ("text/plain", 200),
            ("Text/Plain;charset=UTF-8", 200),
            ('text/plain; charset="utf-8"', 200),
            ("text/plain; charset=latin1", 415),
            ("text/html", 415),
            ("application/x-www-form-urlencoded", 415),
            ("", 415),
        ],
    )
    async def test_it_comes_as_plain_text(self, api: Api, kind: str, status: int) -> None:
        ada = await api.user()
        it = await document(ada)
        answer = await ada.put(it, "x", 1, Content_Type=kind)
        assert answer.status_code == status
        if status == 415:
            assert answer.json()["code"] == "unsupported_media_type"

    async def test_it_may_be_as_long_as_a_document_and_no_longer(self, serve: Serve) -> None:
        """L1: units are counted, after line separators have become one each."""
        async with serve(max_document_units=1_000) as api:
            ada = await api.user()
            it = await document(ada)
            assert_refused(await ada.put(it, "😀" * 500 + "x", 1), 413, "document_full")
            assert_edited(await ada.put(it, "😀" * 499 + "\r\n" * 2, 1), 2, 1_000)

    async def test_two_that_fit_alone_may_not_fit_together(self, serve: Serve) -> None:
        async with serve(max_document_units=1_000) as api:
            ada = await api.user()
            it = await document(ada, "")
            await ada.put(it, "a" * 600, 0)
            assert_refused(await ada.put(it, "b" * 600, 0), 413, "document_full")

    async def test_a_body_that_is_too_long_is_refused(self, serve: Serve) -> None:
        async with serve(max_body_bytes=2_000) as api:
            ada = await api.user()
            it = await document(ada)
            assert_refused(await ada.put(it, "x" * 2_001, 1), 413, "too_large")

    async def test_one_that_differs_in_many_places_still_fits_a_push(self, serve: Serve) -> None:
        """It is then one of fewer, larger sections."""
        async with serve(max_sections_per_push=5) as api:
            ada = await api.user()
            it = await document(ada, "".join(f"line {n}\n" for n in range(50)))
            new = "".join(f"line {n}\nmore\n" for n in range(50))
            assert (await ada.put(it, new, 1)).status_code == 200
            assert await ada.text(it) == new
            update = (await ada.get(f"/v1/documents/{it}/updates", after=1)).json()["items"][0]
            assert len(update["changes"]) <= 5


class TestEdits:
    async def test_all_positions_are_in_one_text_and_count_utf16(self, api: Api) -> None:
        """T1"""
        ada = await api.user()
        it = await document(ada, "😀 one two")
        edits = [
            {"from": 0, "to": 2, "insert": "😁😁"},
            {"from": 3, "to": 6, "insert": ""},
            {"from": 6, "to": 6, "insert": "1\r\n"},
            {"from": 10, "to": 10, "insert": "!"},
        ]
        assert_edited(await ada.patch(it, {"edits": edits}, 1), 2, 12)
        assert await ada.text(it) == "😁😁 1\n two!"

    async def test_edits_that_touch_stand_in_their_order(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "ab")
        edits = [
            {"from": 0, "to": 1, "insert": "x"},
            {"from": 1, "to": 1, "insert": "1"},
            {"from": 1, "to": 1, "insert": "2"},
            {"from": 1, "to": 2, "insert": "y"},
        ]
        assert_edited(await ada.patch(it, {"edits": edits}, 1), 2, 4)
        assert await ada.text(it) == "x12y"

    @pytest.mark.parametrize("edits", [[], [{"from": 1, "to": 1, "insert": ""}]], ids=str)
    async def test_edits_that_do_nothing_are_not_ordered(self, api: Api, edits: list[Any]) -> None:
        ada = await api.user()
        it = await document(ada)
        assert_edited(await ada.patch(it, {"edits": edits}, 1), 1, 12)

    @pytest.mark.parametrize(
        ("places", "wrong"),
        [
            ([(3, 2)], 0),
            ([(0, 13)], 0),
            ([(13, 13)], 0),
            ([(0, 3), (2, 4)], 1),
            ([(5, 6), (8, 9), (1, 2)], 2),
            ([(5, 5), (4, 4)], 1),
        ],
        ids=str,
    )
    async def test_edits_are_in_order_and_in_the_text(
        self, api: Api, places: list[tuple[int, int]], wrong: int
    ) -> None:
        ada = await api.user()
        it = await document(ada)
        edits = [{"from": start, "to": end, "insert": "x"} for start, end in places]
        answer = await ada.patch(it, {"edits": edits}, 1)
        assert_refused(answer, 422, "invalid")
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"#/edits/{wrong}"]
        assert await ada.text(it) == "Hello, world"

    @pytest.mark.parametrize(("start", "end"), [(1, 2), (0, 1), (1, 1)])
    async def test_a_cut_through_a_surrogate_pair_is_refused(
        self, api: Api, start: int, end: int
    ) -> None:
        """T5"""
        ada = await api.user()
        it = await document(ada, "😀")
        edits = [{"from": start, "to": end, "insert": "x"}]
        answer = await ada.patch(it, {"edits": edits}, 1)
        title = "Not a change of that text"
        assert_problem(answer, 422, "invalid_change", title, "a cut through a surrogate pair")
        assert await ada.text(it) == "😀"

    async def test_positions_in_an_older_text_are_carried_on(self, api: Api) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada)
        await bob.put(it, "Well: Hello, world", 1)
        edits = [{"from": 7, "to": 12, "insert": "moon"}]
        assert_edited(await ada.patch(it, {"edits": edits}, 1), 3, 17)
        assert await ada.text(it) == "Well: Hello, moon"

    async def test_there_are_no_more_than_a_push_has_sections(self, serve: Serve) -> None:
        async with serve(max_sections_per_push=5) as api:
            ada = await api.user()
            it = await document(ada)
            edits = [{"from": at, "to": at, "insert": "x"} for at in (2, 4, 6)]
            fitting = await ada.patch(it, {"edits": edits[:2]}, 1)
            assert fitting.status_code == 200
            assert_refused(await ada.patch(it, {"edits": edits}, 1), 413, "too_large")
            assert_refused(await ada.patch(it, {"edits": edits * 2}, 1), 413, "too_large")

    async def test_there_are_no_more_than_are_looked_at(self, serve: Serve) -> None:
        """However many sections a push may have. What is wrong with them is not named."""
        async with serve(max_sections_per_push=1_000_000) as api:
            ada = await api.user()
            it = await document(ada)
            answer = await ada.patch(it, {"edits": [0] * 10_001}, 1)
            detail = "at most 10000 at once"
            assert_problem(answer, 413, "too_large", "Change too large", detail)


class TestAChange:
    async def test_it_is_taken_as_it_is(self, api: Api) -> None:
        """T3"""
        ada = await api.user()
        it = await document(ada)
        change = [[2], [0, "J", ""], 10]
        assert_edited(await ada.patch(it, {"change": change}, 1), 2, 12)
        assert await ada.text(it) == "J\nllo, world"
        update = (await ada.get(f"/v1/documents/{it}/updates", after=1)).json()["items"][0]
        assert update["changes"] == change

    @pytest.mark.parametrize(
        "change",
        [
            [11],
            [13],
            [],
            ["x"],
            [-1, 13],
            [12.0],
            [True, 11],
            [[0, "a\nb"], 12],
            [[0, "a\rb"], 12],
            [[0, "\0"], 12],
            [[0, 1], 12],
            [[], 12],
            [{}, 12],
            [None],
            [[12, "x"], 1],
            [2**70],
        ],
        ids=str,
    )
    async def test_what_is_no_change_of_that_text_is_refused(
        self, api: Api, change: list[Any]
    ) -> None:
        """T4, T5"""
        ada = await api.user()
        it = await document(ada)
        assert_refused(await ada.patch(it, {"change": change}, 1), 422, "invalid_change")
        assert await ada.text(it) == "Hello, world"

    async def test_an_unpaired_surrogate_is_refused(self, api: Api) -> None:
        """T5"""
        ada = await api.user()
        it = await document(ada)
        headers = {"If-Match": '"1"', "Content-Type": "application/json"}
        body = rb'{"change":[[0,"\ud800"],12]}'
        path = f"/v1/documents/{it}/text"
        answer = await ada.call("PATCH", path, content=body, headers=headers)
        assert_refused(answer, 422, "invalid_change")

    async def test_one_of_too_many_sections_is_too_large(self, serve: Serve) -> None:
        async with serve(max_sections_per_push=3) as api:
            ada = await api.user()
            it = await document(ada)
            assert_refused(await ada.patch(it, {"change": [1, [1], 1, 9]}, 1), 413, "too_large")
            assert (await ada.patch(it, {"change": [1, [1], 10]}, 1)).status_code == 200

    async def test_one_that_keeps_everything_is_not_ordered(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        assert_edited(await ada.patch(it, {"change": [12]}, 1), 1, 12)


class TestFindAndReplace:
    @pytest.mark.parametrize(
        ("text", "body", "replaced", "expected"),
        [
            ("a b a", {"find": "a", "replace": "bb"}, 2, "bb b bb"),
            ("aaaa", {"find": "aa", "replace": "a"}, 2, "aa"),
            ("a b a", {"find": "a", "replace": "x", "count": 1}, 1, "x b a"),
            ("aaa", {"find": "a", "replace": "", "count": 7}, 3, ""),
            ("Aa", {"find": "a", "replace": "b"}, 1, "Ab"),
            ("a.a", {"find": ".", "replace": "\\1"}, 1, "a\\1a"),
            ("a\nb", {"find": "\r\n", "replace": "\r"}, 1, "a\nb"),
            ("😀a😀", {"find": "😀", "replace": "é"}, 2, "éaé"),
            ("a", {"find": "a", "replace": "b", "count": None}, 1, "b"),
        ],
        ids=str,
    )
    async def test_what_is_found_is_replaced(
        self, api: Api, text: str, body: dict[str, Any], replaced: int, expected: str
    ) -> None:
        ada = await api.user()
        it = await document(ada, text)
        length = len(expected.encode("utf-16-le")) // 2
        assert_edited(await ada.patch(it, body), 2, length, replaced)
        assert await ada.text(it) == expected

    async def test_nothing_found_is_no_error(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        assert_edited(await ada.patch(it, {"find": "moon", "replace": ""}), 1, 12, 0)

    async def test_with_a_base_it_is_made_in_the_text_there(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada, "a")
        await ada.put(it, "aa", 1)
        body = {"find": "a", "replace": "b"}
        assert_edited(await ada.patch(it, body, 1), 3, 2, 1)
        assert sorted(await ada.text(it)) == ["a", "b"]

    async def test_more_than_a_push_holds_is_too_large(self, serve: Serve) -> None:
        async with serve(max_sections_per_push=7) as api:
            ada = await api.user()
            it = await document(ada, "abababab")
            body = {"find": "a", "replace": "c"}
            answer = await ada.patch(it, body)
            detail = "at most 3 can be replaced at once: give a count"
            assert_problem(answer, 413, "too_large", "Change too large", detail)
            assert_edited(await ada.patch(it, {**body, "count": 3}), 2, 8, 3)

    async def test_it_makes_no_text_that_is_too_long(self, serve: Serve) -> None:
        """However little the request holds."""
        async with serve(max_document_units=100_000) as api:
            ada = await api.user()
            it = await document(ada, "a" * 1_000)
            body = {"find": "a", "replace": "b" * 90_000}
            assert_refused(await ada.patch(it, body), 413, "document_full")
            body = {"find": "a", "replace": "b" * 100}
            assert_edited(await ada.patch(it, body), 2, 100_000, 1_000)


class TestPatchingInGeneral:
    @pytest.mark.parametrize("body", [{"edits": []}, {"change": [12]}], ids=str)
    async def test_positions_need_a_base(self, api: Api, body: dict[str, Any]) -> None:
        ada = await api.user()
        it = await document(ada)
        answer = await ada.patch(it, body)
        title = "Precondition required"
        assert_problem(answer, 428, "precondition_required", title, BASE_NEEDED)

    @pytest.mark.parametrize(
        ("body", "pointers"),
        [
            ({}, ["#"]),
            ([], ["#"]),
            ("x", ["#"]),
            (None, ["#"]),
            ({"replace": "x"}, ["#"]),
            ({"find": ""}, ["#/find", "#/replace"]),
            ({"find": "x", "replace": "y", "count": 0}, ["#/count"]),
            ({"find": "x", "replace": "y", "count": "1"}, ["#/count"]),
            ({"find": "x", "replace": "a\0"}, ["#/replace"]),
            ({"find": "x", "replace": "y", "change": []}, ["#/find", "#/replace"]),
            ({"edits": [{"from": 0, "to": "1", "insert": "x"}]}, ["#/edits/0/to"]),
            ({"edits": [{"from": -1, "to": 1}]}, ["#/edits/0/from", "#/edits/0/insert"]),
            ({"edits": [{"from": 0, "to": 1, "insert": "", "x": 1}]}, ["#/edits/0/x"]),
            ({"edits": [{"start": 0, "to": 1, "insert": ""}]}, ["#/edits/0/from"]),
            ({"edits": [{"from": 0, "to": 0, "insert": "\0"}]}, ["#/edits/0/insert"]),
            ({"edits": {}}, ["#/edits"]),
            ({"change": 7}, ["#/change"]),
        ],
        ids=str,
    )
    async def test_a_body_of_another_form_is_refused(
        self, api: Api, body: Any, pointers: list[str]
    ) -> None:
        ada = await api.user()
        it = await document(ada)
        answer = await ada.patch(it, body, 1)
        assert_refused(answer, 422, "invalid")
        found = {error["pointer"] for error in answer.json()["errors"]}
        assert found >= set(pointers)
        assert await ada.text(it) == "Hello, world"

    async def test_what_is_no_json_is_refused(self, api: Api) -> None:
        ada = await api.user()
        it = await document(ada)
        headers = {"Content-Type": "application/json", "If-Match": "*"}
        path = f"/v1/documents/{it}/text"
        answer = await ada.call("PATCH", path, content=b"{", headers=headers)
        assert_refused(answer, 400, "bad_request")


async def edit(user: User, how: str, it: str) -> httpx2.Response:
    if how == "PUT":
        return await user.put(it, "x", "*")
    return await user.patch(it, {"find": "world", "replace": "moon"})


@pytest.mark.parametrize("how", ["PUT", "PATCH"])
class TestWhoeverEdits:
    async def test_needs_a_token(self, api: Api, how: str) -> None:
        ada = await api.user()
        it = await document(ada)
        answer = await api.http.request(how, f"/v1/documents/{it}/text")
        assert answer.status_code in {401, 422}
        ada.token = "x"
        assert_refused(await edit(ada, how, it), 401, "unauthorized")

    async def test_needs_a_document_that_is_there(self, api: Api, how: str) -> None:
        ada = await api.user()
        assert_refused(await edit(ada, how, "a" * 26), 404, "not_found")

    @pytest.mark.parametrize("role", [Role.COMMENTER, Role.VIEWER])
    async def test_needs_a_role_that_may_write(self, api: Api, how: str, role: Role) -> None:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = await document(ada)
        await bob.text(it)
        await api.services.database.write(
            lambda c: c.execute(
                members.update().where(members.c.user_id == bob.id).values(role=role)
            )
        )
        answer = await edit(bob, how, it)
        detail = f"a {role.value} may not write"
        assert_problem(answer, 403, "forbidden", "Not allowed", detail)
        assert await bob.text(it) == "Hello, world"

    async def test_gets_no_parameter_ignored(self, api: Api, how: str) -> None:
        ada = await api.user()
        it = await document(ada)
        answer = await ada.call(
            how,
            f"/v1/documents/{it}/text?revision=1",
            json={"find": "a", "replace": "b"},
            headers={"If-Match": "*"},
        )
        assert_refused(answer, 422, "invalid")

    async def test_is_told_when_it_is_not_saved_in_time_and_it_still_stands(
        self, serve: Serve, tmp_path: Path, how: str
    ) -> None:
        """Another program holds the database: nothing may be shown, but it is ordered."""
        async with serve(open_timeout_s=2) as api:
            ada = await api.user()
            it = await document(ada)
            other = sqlite3.connect(tmp_path / "collab.db", isolation_level=None)
            other.execute("begin immediate")
            assert_refused(await edit(ada, how, it), 503, "unavailable")
            assert await ada.text(it) == "Hello, world"
            other.execute("rollback")
            other.close()
            async with asyncio.timeout(20), api.services.registry.room(it) as room:
                await room.shown(2)
            assert await ada.text(it) == ("x" if how == "PUT" else "Hello, moon")

    async def test_is_told_when_it_cannot_be_saved(
        self, serve: Serve, tmp_path: Path, how: str
    ) -> None:
        async with serve(commit_patience_s=0.1) as api:
            ada = await api.user()
            it = await document(ada)
            await ada.text(it)
            with sqlite3.connect(tmp_path / "collab.db") as other:
                other.execute("alter table segments rename to hidden")
            assert_refused(await edit(ada, how, it), 503, "unavailable")
            with sqlite3.connect(tmp_path / "collab.db") as other:
                other.execute("alter table hidden rename to segments")
            assert await ada.text(it) == "Hello, world"
            assert_edited(await edit(ada, how, it), 2, *((1,) if how == "PUT" else (11, 1)))
