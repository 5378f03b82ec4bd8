"""Accounts with passwords: made, used, guessed at, changed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from collab import operator
from collab.storage import accounts
from collab.storage.tables import accounts as table
from tests.api.client import Api, User, assert_problem

if TYPE_CHECKING:
    import httpx2

    from bench.redis import RedisServer

Serve = Callable[..., AbstractAsyncContextManager[Api]]

RIGHT, NEW = "correct horse", "battery staple"
WRONG = "the username or the password is wrong"
LATER = "too many attempts; try again later"


async def register(api: Api, username: str = "ada", **rest: Any) -> httpx2.Response:
    body = {"username": username, "password": RIGHT, **rest}
    return await api.http.post("/v1/auth/register", json=body)


async def log_in(api: Api, username: str = "ada", password: str = RIGHT) -> httpx2.Response:
    body = {"username": username, "password": password}
    return await api.http.post("/v1/auth/login", json=body)


async def account(api: Api, username: str = "ada") -> User:
    answer = await register(api, username)
    assert answer.status_code == 200, answer.text
    return User(api.http, **answer.json())


async def change(user: User, current: str = RIGHT, new: str = NEW) -> httpx2.Response:
    return await user.post("/v1/me/password", {"current": current, "new": new})


# -- Registering --------------------------------------------------------------------------------


async def test_who_registers_is_signed_in_and_may_log_in_again(api: Api) -> None:
    answer = await register(api, "Ada.L", name=" Ada Lovelace ")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"token", "expires_at", "user"}
    user = body["user"]
    expected = {"name": "Ada Lovelace", "guest": False, "username": "ada.l"}
    assert user == {"id": user["id"], **expected}
    ada = User(api.http, **body)
    assert (await ada.get("/v1/me")).json() == user
    for username in ("ada.l", "ADA.L"):
        again = await log_in(api, username)
        assert (again.status_code, again.json()["user"]) == (200, user)
        assert (await User(api.http, **again.json()).get("/v1/me")).json() == user


async def test_the_name_is_the_username_unless_one_is_given(api: Api) -> None:
    assert (await register(api, "Ada")).json()["user"]["name"] == "Ada"


async def test_a_guest_who_registers_keeps_what_is_theirs(api: Api) -> None:
    guest = await api.user("Ada")
    made = await guest.document()
    answer = await guest.post("/v1/auth/register", {"username": "ada", "password": RIGHT})
    expected = {"id": guest.id, "name": "Ada", "guest": False, "username": "ada"}
    assert (answer.status_code, answer.json()["user"]) == (200, expected)
    ada = User(api.http, **(await log_in(api)).json())
    listed = (await ada.get("/v1/documents")).json()["items"]
    assert [(each["id"], each["role"]) for each in listed] == [(made["id"], "owner")]
    # The token from before is still of the same user, and of the same sign-in.
    assert (await guest.get("/v1/me")).json() == expected
    registered = User(api.http, **answer.json())
    assert (await registered.post("/v1/auth/logout")).status_code == 204
    assert (await guest.get("/v1/me")).status_code == 401


async def test_who_has_an_account_makes_no_other(api: Api) -> None:
    guest = await api.user("Ada")
    body = {"username": "ada", "password": RIGHT}
    registered = User(api.http, **(await guest.post("/v1/auth/register", body)).json())
    for user in (registered, guest):
        answer = await user.post("/v1/auth/register", {**body, "username": "lovelace"})
        assert_problem(answer, 409, "conflict", "Conflict", "this user has an account")
    assert (await log_in(api, "lovelace")).status_code == 401


async def test_who_shows_a_token_that_is_not_valid_is_not_made_somebody_new(api: Api) -> None:
    headers = {"Authorization": "Bearer x.y.z"}
    body = {"username": "ada", "password": RIGHT}
    answer = await api.http.post("/v1/auth/register", json=body, headers=headers)
    assert_problem(answer, 401, "unauthorized", "Not signed in", "the token is not valid")
    assert (await log_in(api)).status_code == 401


async def test_a_username_is_taken_in_any_case(api: Api) -> None:
    await account(api, "Ada")
    answer = await register(api, "aDA")
    detail = "somebody else has this username"
    assert_problem(answer, 409, "username_taken", "Username taken", detail)


async def test_where_accounts_are_not_made_there_are_none(serve: Serve) -> None:
    async with serve(registration=False) as api:
        answer = await register(api)
    assert_problem(answer, 403, "forbidden", "Not allowed", "accounts are not made here")


NO_USERNAMES = [
    *("", "ab", "x" * 65, "a b", " ada", "ada\n", "ada/", "ada\0"),
    *("ad\xe4", "\u0430da", "ada\u200d", "\uff41da", "ada\ud800"),  # most look like another
]


@pytest.mark.parametrize("call", ["register", "login"])
async def test_a_username_that_is_none_is_refused(api: Api, call: str) -> None:
    for username in NO_USERNAMES:
        body = json.dumps({"username": username, "password": RIGHT})
        headers = {"Content-Type": "application/json"}
        answer = await api.http.post(f"/v1/auth/{call}", content=body, headers=headers)
        detail = "must be 3 to 64 of A-Z a-z 0-9 . _ @ + -"
        errors = [{"detail": detail, "pointer": "#/username"}]
        assert_problem(answer, 422, "invalid", "Invalid request", detail, errors=errors)


async def test_a_username_may_be_of_all_that_it_may_be_of(api: Api) -> None:
    for username in ("abc", "x" * 64, "a.b_c@d+e-F0"):
        answer = await register(api, username)
        assert answer.json()["user"]["username"] == username.lower()


async def test_a_password_that_is_none_is_refused(api: Api) -> None:
    ada = await account(api)
    for password, detail in (
        ("", "must have 8 to 256 characters"),
        ("1234567", "must have 8 to 256 characters"),
        ("e\u0301" * 7, "must have 8 to 256 characters"),
        ("x" * 257, "must have 8 to 256 characters"),
        ("lovelace", "must not be the username"),
        ("LoveLace", "must not be the username"),
    ):
        answer = await register(api, "lovelace", password=password)
        errors = [{"detail": detail, "pointer": "#/password"}]
        assert_problem(answer, 422, "invalid", "Invalid request", detail, errors=errors)
    answer = await change(ada, RIGHT, "1234567")
    errors = [{"detail": "must have 8 to 256 characters", "pointer": "#/new"}]
    assert (answer.status_code, answer.json()["errors"]) == (422, errors)


async def test_a_password_is_kept_as_it_was_typed(api: Api) -> None:
    for n, password in enumerate(("12345678", "x" * 256, "  \t\n  \0 ", "пароль😀!")):
        username = f"user{n}"
        assert (await register(api, username, password=password)).status_code == 200
        assert (await log_in(api, username, password)).status_code == 200
        assert (await log_in(api, username, password[:-1] + "?")).status_code == 401


# -- Guessing -----------------------------------------------------------------------------------


async def test_a_wrong_password_and_an_unknown_username_are_answered_alike(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And as much is done: one password is verified, with the same parameters."""
    await account(api)
    verified = 0
    verify = PasswordHasher.verify

    def counted(hasher: PasswordHasher, hashed: str, password: bytes) -> bool:
        nonlocal verified
        verified += 1
        return verify(hasher, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    wrong = await log_in(api, "ada", NEW)
    assert verified == 1
    unknown = await log_in(api, "bob", NEW)
    assert verified == 2
    assert_problem(wrong, 401, "unauthorized", "Not signed in", WRONG)
    assert wrong.content == unknown.content
    assert dict(wrong.headers) == dict(unknown.headers)


@pytest.mark.parametrize("username", ["ada", "unknown"])
async def test_who_guesses_too_often_has_to_wait(api: Api, username: str) -> None:
    await account(api)
    for _ in range(10):
        assert (await log_in(api, username, NEW)).status_code == 401
    for password in (NEW, RIGHT):
        answer = await log_in(api, username.upper(), password)
        title = "Too many requests"
        assert_problem(answer, 429, "rate_limited", title, LATER, retry_after_ms=60_000)
        assert answer.headers["retry-after"] == "60"
    api.clock.now_s += 60
    assert (await log_in(api, username, NEW)).status_code == 401
    assert (await log_in(api, username, NEW)).status_code == 429


async def test_who_guesses_all_at_once_has_no_more_guesses(api: Api) -> None:
    await account(api)
    answers = await asyncio.gather(*(log_in(api, "ada", NEW) for _ in range(30)))
    assert sorted(each.status_code for each in answers) == [*[401] * 10, *[429] * 20]


async def test_who_knows_the_password_may_mistype_it_as_often_again(api: Api) -> None:
    await account(api)
    for _ in range(3):
        for _ in range(9):
            assert (await log_in(api, "ada", NEW)).status_code == 401
        assert (await log_in(api, "ada")).status_code == 200


async def test_a_guess_at_one_username_is_none_at_another(serve: Serve) -> None:
    async with serve(password_guesses=1) as api:
        await account(api)
        assert (await log_in(api, "bob", NEW)).status_code == 401
        assert (await log_in(api, "bob", NEW)).status_code == 429
        assert (await log_in(api, "ada")).status_code == 200


async def test_one_address_guesses_at_many_usernames_only_so_often(serve: Serve) -> None:
    async with serve(address_guesses=5) as api:
        await account(api)
        for n in range(4):
            assert (await log_in(api, f"user{n}", NEW)).status_code == 401
        for answer in (await log_in(api), await register(api, "bob")):
            title = "Too many requests"
            assert_problem(answer, 429, "rate_limited", title, LATER, retry_after_ms=500)
        api.clock.now_s += 0.5
        assert (await log_in(api)).status_code == 200


async def test_two_servers_have_one_limit(serve: Serve, redis: RedisServer) -> None:
    async with serve(redis_url=redis.url) as one, serve(redis_url=redis.url) as other:
        await account(one)
        answers = await asyncio.gather(
            *(log_in(api, "ada", NEW) for _ in range(8) for api in (one, other))
        )
        assert sorted(each.status_code for each in answers) == [*[401] * 10, *[429] * 6]


async def test_a_limit_outlives_the_server(serve: Serve) -> None:
    async with serve(password_guesses=1) as api:
        assert (await log_in(api)).status_code == 401
    async with serve(password_guesses=1) as api:
        assert (await log_in(api)).status_code == 429


async def test_where_too_many_sign_in_at_once_some_are_told_to_come_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.services.passwords, "_room", 0)
    for answer in (await register(api), await log_in(api)):
        detail = "too many people sign in at once"
        title = "Not available now"
        assert_problem(answer, 503, "unavailable", title, detail, retry_after_ms=2_000)


# -- Passwords that change ----------------------------------------------------------------------


async def test_another_password_takes_the_place_of_the_former(api: Api) -> None:
    ada = await account(api)
    answer = await change(ada)
    assert answer.status_code == 200
    assert answer.json()["user"] == {"id": ada.id, "name": "ada", "guest": False, "username": "ada"}
    assert (await User(api.http, **answer.json()).get("/v1/me")).status_code == 200
    assert (await log_in(api, password=RIGHT)).status_code == 401
    assert (await log_in(api, password=NEW)).status_code == 200


async def test_who_changes_the_password_ends_all_other_sign_ins(api: Api) -> None:
    here, bob = await account(api), await account(api, "bob")
    there = User(api.http, **(await log_in(api)).json())
    api.clock.now_s += 1
    renewed = User(api.http, **(await change(here)).json())
    for ended in (here, there):
        answer = await ended.get("/v1/me")
        assert answer.status_code == 401
    for still in (renewed, bob, User(api.http, **(await log_in(api, password=NEW)).json())):
        assert (await still.get("/v1/me")).status_code == 200


async def test_an_operator_sets_it_beside_the_server_for_who_forgot_it(api: Api) -> None:
    api.clock.now_s = time.time() - 60  # of before
    ada = await account(api)
    while (await log_in(api, password="forgotten it")).status_code != 429:
        pass  # she has guesses left
    await operator.set_password(api.services.settings, "Ada", NEW)
    async with asyncio.timeout(30):
        while (await ada.get("/v1/me")).status_code != 401:
            pass  # the server has not heard of it
    api.clock.now_s = time.time()
    assert (await log_in(api, password=RIGHT)).status_code == 401
    again = User(api.http, **(await log_in(api, password=NEW)).json())
    assert (await again.get("/v1/me")).json()["id"] == ada.id


async def test_nobody_changes_it_who_does_not_know_it(api: Api) -> None:
    ada = await account(api)
    for _ in range(10):
        answer = await change(ada, "wrong horse")
        detail = "this is not the current password"
        assert_problem(answer, 403, "wrong_password", "Wrong password", detail)
    assert (await change(ada)).status_code == 429
    api.clock.now_s += 60
    assert (await log_in(api)).status_code == 200


async def test_a_guest_has_no_password(api: Api) -> None:
    answer = await change(await api.user())
    assert_problem(answer, 403, "forbidden", "Not allowed", "this user has no password here")


async def test_a_hash_of_former_parameters_is_made_anew_at_the_next_login(serve: Serve) -> None:
    async with serve(password_memory_kib=64) as api:
        await account(api)
    async with serve() as api:
        assert "m=64," in await hashed(api)
        assert (await log_in(api, password=NEW)).status_code == 401
        assert "m=64," in await hashed(api)
        assert (await log_in(api)).status_code == 200
        anew = await hashed(api)
        assert "m=32," in anew
        assert (await log_in(api)).status_code == 200
        assert await hashed(api) == anew


async def hashed(api: Api) -> str:
    asked = select(table.c.password_hash)
    return str(await api.services.database.look_up(lambda c: c.scalar(asked)))


@pytest.mark.parametrize("memory_kib", [32, 64], ids=["same parameters", "former parameters"])
@pytest.mark.parametrize("call", ["login", "change"])
async def test_a_password_that_is_changed_while_it_is_verified_is_not_right_any_more(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, call: str, memory_kib: int
) -> None:
    """Else who knows the old one would be signed in after all others have been signed out."""
    async with serve(password_memory_kib=memory_kib) as api:
        made = await account(api)
    async with serve() as api:
        found = await api.services.database.look_up(lambda c: accounts.named(c, "ada"))
        assert found is not None
        ada = User(api.http, made.token, {"id": made.id, "name": made.name}, made.expires_at)
        passwords = api.services.passwords
        verify, another = passwords.verify, await passwords.hash(NEW)

        async def verified(hashed: str | None, password: str) -> bool:
            right = await verify(hashed, password)
            await api.services.database.write(lambda c: accounts.rehash(c, found, another))
            return right

        monkeypatch.setattr(passwords, "verify", verified)
        answer = await (log_in(api) if call == "login" else change(ada, RIGHT, "a third one"))
        assert answer.status_code == (401 if call == "login" else 403)
        assert await hashed(api) == another
