"""People whom a host application has signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from collab.errors import Misconfigured
from tests.access import keys
from tests.access.keys import AUDIENCE, ISSUER, Host, signed
from tests.api.client import NOW_S, Api, User, assert_problem

Serve = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def host() -> Iterator[Host]:
    with keys.host() as made:
        yield made


def trusting(host: Host, **more: Any) -> dict[str, Any]:
    return {"jwks_url": host.url, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, **more}


def person(api: Api, **claims: Any) -> User:
    token = signed("ES256", "ES256", **{"exp": NOW_S + 600, **claims})
    return User(api.http, token, {"id": "", "name": ""}, "")


async def test_they_have_documents_like_anybody_else(serve: Serve, host: Host) -> None:
    async with serve(**trusting(host, jwt_name_claim="nickname")) as api:
        ada = person(api, nickname="Ada  L.\n")
        document = await ada.document(text="Hello")
        me = (await ada.get("/v1/me")).json()
        assert (me["name"], me["guest"], me["id"][:2]) == ("Ada  L.", False, "h-")
        again = person(api, nickname="Ada Lovelace")
        assert await again.text(document["id"]) == "Hello"
        assert (await again.get("/v1/me")).json()["id"] == me["id"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/v1/auth/refresh", None), ("PATCH", "/v1/me", {"name": "Ada"})],
)
async def test_their_tokens_are_the_hosts_to_renew(
    serve: Serve, host: Host, method: str, path: str, body: Any
) -> None:
    async with serve(**trusting(host)) as api:
        answer = await person(api).call(method, path, json=body)
        detail = "the application that issued this token renews it and knows the name"
        assert_problem(answer, 403, "forbidden", "Not allowed", detail)


async def test_they_can_sign_out_here(serve: Serve, host: Host) -> None:
    async with serve(**trusting(host)) as api:
        ada, again, other = (person(api, sid=sid) for sid in ("1", "1", "2"))
        assert (await ada.post("/v1/auth/logout")).status_code == 204
        found = [(await each.get("/v1/me")).status_code for each in (ada, again, other)]
        assert found == [401, 401, 200]


async def test_while_the_host_cannot_be_asked_they_are_told_to_come_back(
    serve: Serve, host: Host
) -> None:
    host.status = 500
    async with serve(**trusting(host)) as api:
        answer = await person(api).get("/v1/me")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert (await (await api.user()).get("/v1/me")).status_code == 200


async def test_a_url_alone_is_not_enough(serve: Serve, host: Host) -> None:
    with pytest.raises(Misconfigured, match="COLLAB_JWT_AUDIENCE"):
        async with serve(**trusting(host, jwt_audience="")):
            pass


async def test_accounts_are_made_there_then_unless_the_settings_say_otherwise(
    serve: Serve, host: Host
) -> None:
    account = {"username": "ada", "password": "a machine that weaves"}
    for more, status in (({}, 403), ({"registration": True}, 200)):
        async with serve(**trusting(host, **more)) as api:
            answer = await api.http.post("/v1/auth/register", json=account)
            assert answer.status_code == status
            headers = {"Authorization": f"Bearer {person(api).token}"}
            answer = await api.http.post("/v1/auth/register", json=account, headers=headers)
            assert answer.status_code == (403 if status == 403 else 409)


async def test_the_roles_in_their_tokens_come_first(serve: Serve, host: Host) -> None:
    async with serve(**trusting(host)) as api:
        ada = person(api)
        document_id = (await ada.document(text="Hello"))["id"]
        path = f"/v1/documents/{document_id}"
        bob = person(api, sub="bob", collab_roles={document_id: "viewer", "*": "editor"})
        assert (await bob.get(path)).json()["role"] == "viewer"
        assert (await bob.put(document_id, "Bye", "*")).status_code == 403
        eve = person(api, sub="eve", collab_roles={"*": "editor", "other": "viewer"})
        assert (await eve.put(document_id, "Bye", "*")).status_code == 200
