"""How fast a user may edit over REST (L1)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from collab.api import paces
from collab.api.paces import Paces
from collab.errors import RateLimited
from collab.log.rebase import MAX_REBASE_COST
from collab.settings import Limits
from tests.api.client import Api, assert_problem

Serve = Callable[..., AbstractAsyncContextManager[Api]]

TITLE = "Too many requests"
APPEND = {"edits": [{"from": 0, "to": 0, "insert": "x"}]}


class Time:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """It stands still unless the test lets it pass."""
    time = Time()
    monkeypatch.setattr(paces, "monotonic", time)
    return time


async def test_a_user_has_so_many_edits_a_second_in_all_documents(serve: Serve, time: Time) -> None:
    async with serve(pushes_per_second=2) as api:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        one, other = [(await ada.document())["id"] for _ in range(2)]
        assert (await ada.patch(one, APPEND, 0)).status_code == 200
        assert (await ada.put(other, "x", 0)).status_code == 200
        refused = await ada.patch(other, APPEND, 0)
        detail = "at most 2 pushes a second"
        wait_ms = refused.json()["retry_after_ms"]
        assert_problem(refused, 429, "rate_limited", TITLE, detail, retry_after_ms=wait_ms)
        assert refused.headers["retry-after"] == "1"
        assert await ada.text(other) == "x"
        assert (await bob.patch(other, APPEND, 1)).status_code == 200
        time.now_s += wait_ms / 1000
        assert (await ada.patch(other, APPEND, 2)).status_code == 200


async def test_to_put_a_version_back_is_an_edit(serve: Serve, time: Time) -> None:
    async with serve(pushes_per_second=1) as api:
        ada = await api.user()
        it = (await ada.document())["id"]
        await ada.post(f"/v1/documents/{it}/versions", {"name": "Empty"})
        await ada.put(it, "x", 0)
        answer = await ada.post(f"/v1/documents/{it}/versions/1/restore")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


async def test_to_be_answered_again_is_not(serve: Serve, time: Time) -> None:
    async with serve(pushes_per_second=1) as api:
        ada = await api.user()
        it = (await ada.document())["id"]
        for _ in range(3):
            assert (await ada.put(it, "x", 0, Idempotency_Key="key")).status_code == 200


async def test_who_is_too_fast_has_its_key_free(serve: Serve, time: Time) -> None:
    async with serve(pushes_per_second=1) as api:
        ada = await api.user()
        it = (await ada.document())["id"]
        await ada.put(it, "x", 0)
        assert (await ada.put(it, "y", 1, Idempotency_Key="key")).status_code == 429
        time.now_s += 10
        assert (await ada.put(it, "z", 1, Idempotency_Key="key")).status_code == 200


async def test_what_everyone_waits_for_is_paid_for_by_whoever_asked_for_it(
    serve: Serve, time: Time
) -> None:
    """A change in many places over many updates takes long, wherever it comes from."""
    async with serve(messages_per_second=10) as api:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        it = (await ada.document(text="ab" * 1_000))["id"]
        for revision in range(1, 21):
            await bob.patch(it, APPEND, revision)
        edits = [{"from": at, "to": at, "insert": "x"} for at in range(0, 2_000, 2)]
        assert (await ada.patch(it, {"edits": edits}, 1)).status_code == 200
        refused = await ada.patch(it, APPEND, 22)
        wait_ms = refused.json()["retry_after_ms"]
        detail = "too fast for too long"
        assert_problem(refused, 429, "rate_limited", TITLE, detail, retry_after_ms=wait_ms)
        assert (await bob.patch(it, APPEND, 22)).status_code == 200
        time.now_s += wait_ms / 1000
        assert (await ada.patch(it, APPEND, 22)).status_code == 200


def test_even_the_dearest_edit_is_done_however_little_a_user_has(time: Time) -> None:
    """It is the next that waits, and to ask meanwhile costs nothing more."""
    users = Paces(Limits(messages_per_second=10))
    users.push("ada")
    users.rebase("ada", 10 * MAX_REBASE_COST)
    waits = []
    for _ in range(3):
        with pytest.raises(RateLimited) as refused:
            users.rebase("ada", 0)
        waits.append(refused.value.retry_after_ms)
    assert waits[0] == waits[1] == waits[2]
    assert waits[0] is not None
    time.now_s += waits[0] / 1000
    users.push("ada")
    users.rebase("ada", MAX_REBASE_COST)


def test_of_too_many_users_the_one_who_edited_longest_ago_is_forgotten(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paces, "MAX_USERS", 2)
    users = Paces(Limits(pushes_per_second=1))
    for name in ("ada", "bob"):
        users.push(name)
    with pytest.raises(RateLimited):
        users.push("ada")
    users.push("cyd")
    with pytest.raises(RateLimited):
        users.push("ada")
    users.push("bob")
