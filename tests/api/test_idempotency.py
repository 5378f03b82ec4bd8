"""Requests with an `Idempotency-Key`: done once, answered the same."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import OperationalError

from collab.access import tokens
from collab.api import services
from collab.errors import NotReady
from collab.log.entry import Entry
from collab.rooms.submission import Placed, submit
from collab.storage import idempotency
from collab.storage.tables import documents, idempotency_keys
from collab.text import Change
from tests.api.client import Api, User, assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

    from collab.rooms.open_room import OpenRoom

Serve = Callable[..., AbstractAsyncContextManager[Api]]
Request = Callable[[User, str, str], Awaitable["httpx2.Response"]]


async def create(user: User, _it: str, key: str) -> httpx2.Response:
    headers = {"Idempotency-Key": key}
    return await user.call("POST", "/v1/documents", json={"title": "New"}, headers=headers)


async def put(user: User, it: str, key: str) -> httpx2.Response:
    return await user.put(it, "Hello, moon", 1, Idempotency_Key=key)


async def put_on_the_current(user: User, it: str, key: str) -> httpx2.Response:
    return await user.put(it, "Hello, moon", "*", Idempotency_Key=key)


async def insert(user: User, it: str, key: str) -> httpx2.Response:
    edits = [{"from": 12, "to": 12, "insert": "!"}]
    return await user.patch(it, {"edits": edits}, 1, Idempotency_Key=key)


async def replace(user: User, it: str, key: str) -> httpx2.Response:
    """Each time it is done, the text is longer."""
    body = {"find": "world", "replace": "world world"}
    return await user.patch(it, body, Idempotency_Key=key)


EDITS = [put, put_on_the_current, insert, replace]
EACH = pytest.mark.parametrize("request_", [create, *EDITS], ids=lambda each: each.__name__)
EACH_EDIT = pytest.mark.parametrize("request_", EDITS, ids=lambda each: each.__name__)


def same(answer: httpx2.Response, other: httpx2.Response) -> bool:
    headers = ("content-type", "etag", "location")
    return (answer.status_code, answer.content, *map(answer.headers.get, headers)) == (
        other.status_code,
        other.content,
        *map(other.headers.get, headers),
    )


async def document(user: User) -> str:
    return str((await user.document(text="Hello, world"))["id"])


async def count(api: Api, table: Any) -> int:
    counting = select(func.count()).select_from(table)
    return await api.services.database.look_up(lambda connection: connection.scalar(counting) or 0)


async def revision(user: User, it: str) -> int:
    """The last revision that was ordered and saved."""
    return int((await user.get(f"/v1/documents/{it}")).json()["saved_revision"])


def back(api: Api, user: User) -> User:
    """The same user at a server that was started again."""
    shown = {"id": user.id, "name": user.name}
    return User(api.http, user.token, shown, user.expires_at)


@EACH
async def test_what_is_repeated_is_done_once_and_answered_the_same(
    api: Api, request_: Request
) -> None:
    ada = await api.user()
    it = await document(ada)
    first = await request_(ada, it, "key")
    assert first.is_success, first.text
    done = await count(api, documents), await revision(ada, it)
    for _ in range(3):
        assert same(await request_(ada, it, "key"), first)
    assert (await count(api, documents), await revision(ada, it)) == done
    await request_(ada, it, "other")
    assert await count(api, idempotency_keys) == 2


@EACH
async def test_also_after_a_restart(serve: Serve, request_: Request) -> None:
    async with serve() as api:
        ada = await api.user()
        it = await document(ada)
        first = await request_(ada, it, "key")
        done = await count(api, documents), await revision(ada, it)
    async with serve() as api:
        ada = back(api, ada)
        assert same(await request_(ada, it, "key"), first)
        assert (await count(api, documents), await revision(ada, it)) == done


@EACH_EDIT
async def test_a_crash_between_the_edit_and_its_answer_does_not_do_it_twice(
    serve: Serve, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the edit under a client of its own; the answer was never kept."""

    def crash(*_: object) -> None:
        raise asyncio.CancelledError

    async with serve() as api:
        ada = await api.user()
        it = await document(ada)
        with monkeypatch.context() as patched:
            patched.setattr(idempotency, "keep", crash)
            with pytest.raises(asyncio.CancelledError):
                await request_(ada, it, "key")
        assert await count(api, idempotency_keys) == 1
        text = await ada.text(it)
    async with serve() as api:
        ada = back(api, ada)
        await ada.put(it, "Bye. " + text, 2)
        answer = await request_(ada, it, "key")
        length = len(text) + 5
        assert answer.status_code == 200
        assert answer.json() == {"revision": 3, "saved_revision": 3, "length": length}
        assert answer.headers["etag"] == '"3"'
        assert same(await request_(ada, it, "key"), answer)
        assert await ada.text(it) == "Bye. " + text


@EACH_EDIT
async def test_a_crash_before_the_edit_leaves_it_to_be_done(
    serve: Serve, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise asyncio.CancelledError

    async with serve() as api:
        ada = await api.user()
        it = await document(ada)
        with monkeypatch.context() as patched:
            patched.setattr("collab.api.text.submit", crash)
            with pytest.raises(asyncio.CancelledError):
                await request_(ada, it, "key")
    async with serve() as api:
        ada = back(api, ada)
        assert await revision(ada, it) == 1
        assert (await request_(ada, it, "key")).json()["revision"] == 2
        assert (await request_(ada, it, "key")).json()["revision"] == 2
        assert await revision(ada, it) == 2


@EACH_EDIT
async def test_a_refusal_that_comes_before_the_first_tries_fate_is_known_keeps_the_key(
    serve: Serve, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edit took effect, its answer was lost, and its repetition is refused for want of room."""

    async def lose(*given: Any) -> Placed:
        await submit(*given)
        raise NotReady("the answer is lost")

    async with serve() as api:
        ada = await api.user()
        it, other = await document(ada), await document(ada)
        with monkeypatch.context() as patched:
            patched.setattr("collab.api.text.submit", lose)
            assert (await request_(ada, it, "key")).status_code == 503
        text = await ada.text(it)
    async with serve(max_rooms=1) as api:
        ada = back(api, ada)
        async with api.services.registry.room(other):
            assert (await request_(ada, it, "key")).status_code == 429
    async with serve() as api:
        ada = back(api, ada)
        assert (await request_(ada, it, "key")).json()["revision"] == 2
        assert await ada.text(it) == text


async def test_a_refusal_once_it_is_known_that_nothing_was_done_leaves_the_key_free(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise asyncio.CancelledError

    ada = await api.user()
    it = await document(ada)
    with monkeypatch.context() as patched:
        patched.setattr("collab.api.text.submit", crash)
        with pytest.raises(asyncio.CancelledError):
            await put(ada, it, "key")
    assert await count(api, idempotency_keys) == 1
    monkeypatch.setattr("collab.rooms.history.MAX_BASE_DISTANCE", 0)
    await ada.put(it, "Goodbye", 1)
    assert (await put(ada, it, "key")).json()["code"] == "stale"
    assert await count(api, idempotency_keys) == 0


@EACH_EDIT
async def test_an_edit_that_took_effect_is_answered_so_however_much_follows_at_once(
    api: Api, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then nothing can be based on its revision any more."""
    lengths: list[int] = []

    async def submit_and_be_followed(room: OpenRoom, entry: Entry) -> Placed:
        placed = await submit(room, entry)
        for n in range(3):
            change = Change.replace(room.length, 0, 0, "others' ")
            await submit(room, Entry(f"other {n}", 1, room.revision, (change,), "bob", 0))
        lengths.append(room.length)
        return placed

    monkeypatch.setattr("collab.api.text.submit", submit_and_be_followed)
    monkeypatch.setattr("collab.rooms.history.MAX_BASE_DISTANCE", 1)
    ada = await api.user()
    it = await document(ada)
    answer = await request_(ada, it, "key")
    assert (answer.status_code, answer.json()["revision"]) == (200, 2), answer.text
    assert answer.json()["length"] == lengths[0] - 3 * len("others' ")
    assert same(await request_(ada, it, "key"), answer)
    assert await revision(ada, it) == 5


async def test_a_document_and_the_answer_that_it_was_made_are_kept_together_or_not_at_all(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("", {}, OSError("the disk is full"))

    ada = await api.user()
    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "keep", fail)
        assert (await create(ada, "", "key")).status_code == 503
    assert await count(api, documents) == 0
    assert (await create(ada, "", "key")).status_code == 201
    assert await count(api, documents) == 1


@EACH_EDIT
async def test_an_edit_that_was_not_saved_in_time_is_not_done_again(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    """Its fate was not known when it was answered; whoever asks again learns it."""
    async with serve(open_timeout_s=1.5) as api:
        ada = await api.user()
        it = await document(ada)
        other = sqlite3.connect(tmp_path / "collab.db", isolation_level=None)

        async def submit_when_nothing_can_be_saved(*given: Any) -> Placed:
            other.execute("begin immediate")
            return await submit(*given)

        with monkeypatch.context() as patched:
            patched.setattr("collab.api.text.submit", submit_when_nothing_can_be_saved)
            assert (await request_(ada, it, "key")).status_code == 503
        other.execute("rollback")
        other.close()
        async with asyncio.timeout(20):
            while (answer := await request_(ada, it, "key")).status_code == 503:
                """It is not saved yet."""
        assert (answer.status_code, answer.json()["revision"]) == (200, 2)
        assert await revision(ada, it) == 2


async def test_one_that_is_being_answered_conflicts(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    answers = await asyncio.gather(*(replace(ada, it, "key") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    detail = "this request is being answered"
    assert_problem(refused, 409, "conflict", "Conflict", detail, retry_after_ms=1_000)
    assert await revision(ada, it) == 2


@pytest.mark.parametrize("request_", [create, replace], ids=lambda each: each.__name__)
async def test_what_another_server_answered_meanwhile_is_not_answered_again(
    api: Api, monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    """It has the same row and, for an edit, the same client in the log."""
    ada = await api.user()
    it = await document(ada)
    keep = idempotency.keep

    def keep_after_another(connection: Connection, *given: Any) -> None:
        keep(connection, *given)
        keep(connection, *given)

    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "keep", keep_after_another)
        answer = await request_(ada, it, "key")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert await count(api, idempotency_keys) == 1
    assert await count(api, documents) == 1


async def test_a_request_that_came_to_another_server_too_is_found(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking for it and noting it."""
    ada = await api.user()
    first = await create(ada, "", "key")
    find = idempotency._find
    looked = 0

    def find_only_then(*given: Any) -> Any:
        nonlocal looked
        looked += 1
        return None if looked == 1 else find(*given)

    monkeypatch.setattr(idempotency, "_find", find_only_then)
    monkeypatch.setattr(idempotency, "forget", lambda *_: None)
    assert same(await create(ada, "", "key"), first)


TITLE = "Idempotency key of another request"


async def test_a_key_is_not_another_requests(api: Api) -> None:
    ada = await api.user()
    it, other = await document(ada), await document(ada)
    await put(ada, it, "key")
    for answer in (
        await create(ada, it, "key"),
        await insert(ada, it, "key"),
        await put_on_the_current(ada, it, "key"),
        await put(ada, other, "key"),
        await ada.put(it, "Hello, moon!", 1, Idempotency_Key="key"),
    ):
        detail = "this Idempotency-Key was sent with another request"
        assert_problem(answer, 422, "idempotency_mismatch", TITLE, detail)
    assert (await revision(ada, it), await revision(ada, other)) == (2, 1)


async def test_nor_while_the_first_is_being_answered(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    answers = await asyncio.gather(replace(ada, it, "key"), put(ada, it, "key"))
    assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_keys_are_each_users_own(api: Api) -> None:
    ada, bob = await api.user("Ada"), await api.user("Bob")
    it = await document(ada)
    assert (await replace(ada, it, "key")).json()["revision"] == 2
    assert (await replace(bob, it, "key")).json()["revision"] == 3


async def test_a_request_that_was_refused_leaves_its_key_free(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    refused = [
        (await ada.put(it, "x", 7, Idempotency_Key="key")).status_code,
        (await ada.put(it, "a\0", 1, Idempotency_Key="key")).status_code,
        (await ada.patch(it, {"change": [1]}, 1, Idempotency_Key="key")).status_code,
        (await ada.put(it, "x", Idempotency_Key="key")).status_code,
    ]
    assert refused == [412, 422, 422, 428]
    headers = {"Idempotency-Key": "key"}
    answer = await ada.call("POST", "/v1/documents", json={"title": ""}, headers=headers)
    assert answer.status_code == 422
    assert await count(api, idempotency_keys) == 0
    assert (await put(ada, it, "key")).status_code == 200


async def test_a_key_is_kept_for_a_day(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    assert (await replace(ada, it, "key")).json()["revision"] == 2
    api.clock.now_s += 24 * 3600 - 1
    assert (await replace(ada, it, "key")).json()["revision"] == 2
    api.clock.now_s += 1
    ada = await sign_in_again(api, ada)
    assert (await replace(ada, it, "key")).json()["revision"] == 3
    assert (await replace(ada, it, "key")).json()["revision"] == 3


async def sign_in_again(api: Api, user: User) -> User:
    """Her token has expired; the server issues another."""
    user.token, _ = api.services.tokens.issue(tokens.User(user.id, user.name, guest=True))
    return user


async def test_a_user_has_a_bounded_number_of_keys(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_KEYS", 3)
    ada, bob = await api.user("Ada"), await api.user("Bob")
    for key in "abc":
        assert (await create(ada, "", key)).status_code == 201
    answer = await create(ada, "", "d")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert (await create(ada, "", "a")).status_code == 201
    assert (await create(bob, "", "d")).status_code == 201
    api.clock.now_s += 24 * 3600
    ada = await sign_in_again(api, ada)
    assert (await create(ada, "", "d")).status_code == 201


async def test_keys_that_have_expired_are_swept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await api.user()
    await create(ada, "", "old")
    api.clock.now_s += 24 * 3600 - 1
    ada = await sign_in_again(api, ada)
    await create(ada, "", "new")
    api.clock.now_s += 1

    swept = asyncio.Event()

    async def until_swept(_seconds: float) -> None:
        if asyncio.current_task() is keeping:  # and not the application's own
            swept.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("collab.api.services.asyncio.sleep", until_swept)
    keeping = asyncio.create_task(services.keep_house(api.services))
    await swept.wait()
    keeping.cancel()
    keys = select(idempotency_keys.c.key)
    kept = await api.services.database.look_up(lambda c: c.scalars(keys).all())
    assert kept == ["new"]


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "\x7f", "ä"])
async def test_what_is_no_key_is_refused(api: Api, key: str) -> None:
    ada = await api.user()
    it = await document(ada)
    headers = {"Idempotency-Key": key.encode("latin-1"), "If-Match": b"*"}
    path = f"/v1/documents/{it}/text"
    body = {"find": "o", "replace": "0"}
    answer = await ada.call("PATCH", path, json=body, headers=headers)
    detail = "an Idempotency-Key has 1 to 255 visible ASCII characters"
    assert_problem(answer, 400, "bad_request", "Bad request", detail)


@pytest.mark.parametrize("key", ["!", "~" * 255, '"8e03978e"'])
async def test_a_key_is_any_visible_ascii(api: Api, key: str) -> None:
    ada = await api.user()
    first = await create(ada, "", key)
    assert first.status_code == 201
    assert same(await create(ada, "", key), first)


async def test_an_answer_is_not_told_to_who_may_write_no_longer(api: Api) -> None:
    ada = await api.user()
    it = await document(ada)
    await put(ada, it, "key")
    await ada.call("DELETE", f"/v1/documents/{it}")
    assert (await put(ada, it, "key")).status_code == 404
