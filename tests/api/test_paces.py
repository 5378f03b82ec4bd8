"""How fast a user may edit over REST (L1)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from collab.api import paces
from collab.api.paces import Paces
from collab.errors import RateLimited
from collab.live.pace import Pushes
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


def paces_with(**limits: Any) -> Paces:
    settings = Limits(**limits)
    return Paces(settings, Pushes(settings))


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


@pytest.mark.parametrize(
    ("limit", "refused_for", "why"),
    [
        ("user_pushes_per_second", "ada", "at most 2 pushes a second of one user"),
        ("document_pushes_per_second", "bob", "at most 2 pushes a second in one document"),
    ],
)
async def test_edits_over_rest_count_with_those_in_sessions(
    serve: Serve, time: Time, limit: str, refused_for: str, why: str
) -> None:
    """L1. They have their user's and their document's allowances in common."""
    async with serve(**{limit: 2}) as api:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        one, other = [(await ada.document())["id"] for _ in range(2)]
        for bucket, _ in api.services.pushes.of(ada.id, one, time.now_s):
            bucket.take(1, time.now_s)  # a session pushed
        assert (await ada.patch(one, APPEND, 0)).status_code == 200
        places = {"ada": (ada, other), "bob": (bob, one)}
        who, where = places.pop(refused_for)
        refused = await who.patch(where, APPEND, 0)
        assert (refused.status_code, refused.json()["detail"]) == (429, why)
        for who, where in places.values():
            assert (await who.patch(where, APPEND, 0)).status_code == 200


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
    users = paces_with(messages_per_second=10)
    users.push("ada", "doc")
    users.rebase("ada", 10 * MAX_REBASE_COST)
    waits = []
    for _ in range(3):
        with pytest.raises(RateLimited) as refused:
            users.rebase("ada", 0)
        waits.append(refused.value.retry_after_ms)
    assert waits[0] == waits[1] == waits[2]
    assert waits[0] is not None
    time.now_s += waits[0] / 1000
    users.push("ada", "doc")
    users.rebase("ada", MAX_REBASE_COST)


def test_of_too_many_users_the_one_who_edited_longest_ago_is_forgotten(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paces, "MAX_USERS", 2)
    users = paces_with(pushes_per_second=1)
    for name in ("ada", "bob"):
        users.push(name, "doc")
    with pytest.raises(RateLimited):
        users.push("ada", "doc")
    users.push("cyd", "doc")
    with pytest.raises(RateLimited):
        users.push("ada", "doc")
    users.push("bob", "doc")
