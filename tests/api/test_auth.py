"""Guests, refreshing, and who a token is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import jwt
import pytest

from tests.api.client import NOW_S, Api, assert_problem

Serve = Callable[..., AbstractAsyncContextManager[Api]]


async def test_a_guest_gets_a_token_that_says_who_they_are(api: Api) -> None:
    answer = await api.http.post("/v1/auth/guest", json={"name": "  Ada 😀 Lovelace "})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"token", "expires_at", "user"}
    assert body["expires_at"] == "2027-01-16T08:00:00Z"
    user = body["user"]
    assert user == {"id": user["id"], "name": "Ada 😀 Lovelace", "guest": True, "username": None}
    me = await api.http.get("/v1/me", headers={"Authorization": f"Bearer {body['token']}"})
    assert (me.status_code, me.json()) == (200, user)


async def test_two_guests_of_one_name_are_two_people(api: Api) -> None:
    assert (await api.user("Ada")).id != (await api.user("Ada")).id


async def test_where_guests_are_not_allowed_there_are_none(serve: Serve) -> None:
    async with serve(guests=False) as api:
        answer = await api.http.post("/v1/auth/guest", json={"name": "Ada"})
    assert_problem(answer, 403, "forbidden", "Not allowed", "this server has no guests")


async def test_guests_do_not_come_without_end_from_one_address(serve: Serve) -> None:
    limits = {"handshakes_at_once": 3, "handshakes_per_second": 1, "trusted_proxies": ()}
    async with serve(**limits) as api:
        answers = [await api.http.post("/v1/auth/guest", json={"name": "Ada"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["code"] == "rate_limited"
    assert answers[3].headers["retry-after"] == "1"


async def test_guests_are_allowed_by_default_on_the_loopback_address_alone(serve: Serve) -> None:
    async with serve(host="0.0.0.0") as api:
        answer = await api.http.post("/v1/auth/guest", json={"name": "Ada"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("", "must have 1 to 200 characters"),
        (" \t\n", "must have 1 to 200 characters"),
        ("x" * 201, "must have 1 to 200 characters"),
        ("😀" * 101, "must have 1 to 200 characters"),
        ("A\nB", "must be one line without control characters"),
        ("A\u2028B", "must be one line without control characters"),
        ("A\0B", "must be one line without control characters"),
        ("A\x9fB", "must be one line without control characters"),
    ],
    ids=ascii,
)
async def test_a_name_that_is_no_name_is_refused(api: Api, name: str, detail: str) -> None:
    answer = await api.http.post("/v1/auth/guest", json={"name": name})
    errors = [{"detail": detail, "pointer": "#/name"}]
    assert_problem(answer, 422, "invalid", "Invalid request", detail, errors=errors)


@pytest.mark.parametrize("name", ["x", "x" * 200, "😀" * 100, "عمر", "Ада", "a\u200db"], ids=ascii)
async def test_a_name_may_be_in_any_script(api: Api, name: str) -> None:
    assert (await api.user(name)).name == name


async def test_refreshing_gives_a_token_that_lasts_longer(api: Api) -> None:
    ada = await api.user()
    api.clock.now_s += 3600
    answer = await ada.post("/v1/auth/refresh")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"token", "expires_at"}
    assert body["expires_at"] == "2027-01-16T09:00:00Z"
    api.clock.now_s = NOW_S + 24 * 3600 + 60
    me = await api.http.get("/v1/me", headers={"Authorization": f"Bearer {body['token']}"})
    assert (me.status_code, me.json()["id"]) == (200, ada.id)


CALLS = [
    ("GET", "/v1/me"),
    ("PATCH", "/v1/me"),
    ("POST", "/v1/auth/refresh"),
    ("GET", "/v1/documents"),
    ("POST", "/v1/documents"),
    ("GET", "/v1/documents/unknown"),
    ("GET", "/v1/documents/unknown/text"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_every_call_needs_a_token(api: Api, method: str, path: str) -> None:
    bodies = {"POST /v1/documents": {"title": "Notes"}, "PATCH /v1/me": {"name": "Ada"}}
    sent = bodies.get(f"{method} {path}")
    body: dict[str, Any] = {} if sent is None else {"json": sent}
    for header, detail in [
        (None, "a token is needed: Authorization: Bearer …"),
        ("Basic YTpi", "a token is needed: Authorization: Bearer …"),
        ("Bearer", "a token is needed: Authorization: Bearer …"),
        ("Bearer x.y.z", "the token is not valid"),
        (f"Bearer {'x' * 5000}", "the token is not valid"),
    ]:
        headers = {} if header is None else {"Authorization": header}
        answer = await api.http.request(method, path, headers=headers, **body)
        assert_problem(answer, 401, "unauthorized", "Not signed in", detail)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_an_expired_token_is_told_to_be_expired(api: Api, method: str, path: str) -> None:
    ada = await api.user()
    api.clock.now_s += 24 * 3600 + 60
    answer = await ada.call(method, path, **({"json": {"title": "x"}} if method == "POST" else {}))
    assert_problem(answer, 401, "unauthorized", "Not signed in", "the token has expired")


async def test_a_token_in_the_query_is_not_one(api: Api) -> None:
    """Only the WebSocket takes it there, where a page can set no header."""
    ada = await api.user()
    answer = await api.http.get("/v1/me", params={"token": ada.token})
    assert answer.status_code == 401


async def test_a_token_outlives_the_server_that_issued_it(serve: Serve) -> None:
    async with serve() as api:
        ada = await api.user()
    async with serve() as api:
        headers = {"Authorization": f"Bearer {ada.token}"}
        assert (await api.http.get("/v1/me", headers=headers)).status_code == 200


async def test_a_valid_token_for_somebody_the_database_does_not_know_may_do_all(
    api: Api,
) -> None:
    """The database may be younger than the token, or the token another issuer's."""
    claims: dict[str, Any] = {"sub": "stranger", "name": "Zoë", "guest": True, "iss": "collab"}
    claims |= {"aud": "collab", "exp": NOW_S + 60}
    secret = api.services.settings.signing_secret()
    headers = {"Authorization": f"Bearer {jwt.encode(claims, secret, 'HS256')}"}
    made = await api.http.post("/v1/documents", json={"title": "Notes"}, headers=headers)
    assert made.status_code == 201
    assert made.json()["owner"] == {"id": "stranger", "name": "Zoë"}


async def test_another_name_is_borne_by_the_token_that_comes_back(api: Api) -> None:
    ada = await api.user("Ada")
    made = await ada.call("POST", "/v1/documents", json={"title": "Notes"})
    answer = await ada.call("PATCH", "/v1/me", json={"name": " Ada Lovelace "})
    assert answer.status_code == 200
    body = answer.json()
    assert body["user"] == {"id": ada.id, "name": "Ada Lovelace", "guest": True, "username": None}
    headers = {"Authorization": f"Bearer {body['token']}"}
    assert (await api.http.get("/v1/me", headers=headers)).json() == body["user"]
    shown = await api.http.get(made.headers["location"], headers=headers)
    assert shown.json()["owner"] == {"id": ada.id, "name": "Ada Lovelace"}
    assert shown.json()["role"] == "owner"


async def test_no_name_is_changed_to_one_that_is_none(api: Api) -> None:
    ada = await api.user("Ada")
    assert (await ada.call("PATCH", "/v1/me", json={"name": "\n"})).status_code == 422
    assert (await ada.get("/v1/me")).json()["name"] == "Ada"
