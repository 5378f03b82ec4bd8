"""Every failure is a problem document, whoever found it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from collab import errors
from collab.api.problems import status_of
from collab.errors import TooMany
from collab.rooms.room import Copied
from tests.api.client import Api, assert_problem

Serve = Callable[..., AbstractAsyncContextManager[Api]]

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/documents/a/b", "/no", "/a/b"])
async def test_an_unknown_path_is_not_found(api: Api, path: str) -> None:
    answer = await api.http.get(path)
    assert answer.status_code == 404
    assert_problem(answer, 404, "not_found", "Not found", answer.json()["detail"])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/auth/guest", "POST"),
        ("DELETE", "/v1/me", "GET, PATCH"),
        ("POST", "/v1/documents/d", "GET, PATCH, DELETE"),
        ("POST", "/healthz", "GET"),
        ("POST", "/", "GET"),
    ],
)
async def test_an_unknown_method_is_told_which_is_known(
    api: Api, method: str, path: str, allowed: str
) -> None:
    answer = await api.http.request(method, path)
    title = "Method Not Allowed"
    assert_problem(answer, 405, "method_not_allowed", title, title)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "the body is not JSON: Expecting property name enclosed in double quotes"),
        (b'{"name":"x"', "the body is not JSON: Expecting ',' delimiter"),
        (b"name=x", "the body is not JSON: Expecting value"),
        (b'{"name":"\xff"}', "There was an error parsing the body"),
        (b"[" * 60_000, "There was an error parsing the body"),
        (b'{"name":' + b"1" * 5_000 + b"}", "There was an error parsing the body"),
    ],
    ids=["brace", "cut", "form", "not UTF-8", "deep", "long number"],
)
async def test_a_body_that_is_not_json_is_a_bad_request(api: Api, body: bytes, detail: str) -> None:
    answer = await api.http.post("/v1/auth/guest", content=body, headers=JSON)
    assert_problem(answer, 400, "bad_request", "Bad request", detail)


async def test_a_missing_body_is_named(api: Api) -> None:
    answer = await api.http.post("/v1/auth/guest")
    errors = [{"detail": "Field required", "pointer": "#"}]
    detail = "the request is not as documented"
    assert_problem(answer, 422, "invalid", "Invalid request", detail, errors=errors)


async def test_of_very_many_errors_some_are_named(api: Api) -> None:
    answer = await api.http.post("/v1/auth/guest", json={str(n): n for n in range(3_000)})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 20


class TestBodies:
    LIMIT = 2_000

    async def test_a_body_up_to_the_limit_is_read(self, serve: Serve) -> None:
        async with serve(max_body_bytes=self.LIMIT) as api:
            body = b'{"name":"x"}'.ljust(self.LIMIT)
            answer = await api.http.post("/v1/auth/guest", content=body, headers=JSON)
        assert answer.status_code == 200

    async def test_a_body_over_the_limit_is_refused(self, serve: Serve) -> None:
        async with serve(max_body_bytes=self.LIMIT) as api:
            body = b'{"name":"x"}'.ljust(self.LIMIT + 1)
            answer = await api.http.post("/v1/auth/guest", content=body, headers=JSON)
        detail = "a body has at most 2000 bytes"
        assert_problem(answer, 413, "too_large", "Body too large", detail)

    async def test_a_body_that_does_not_say_its_length_is_refused_as_well(
        self, serve: Serve
    ) -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b" " * 100

        async with serve(max_body_bytes=self.LIMIT) as api:
            answer = await api.http.post("/v1/auth/guest", content=endless(), headers=JSON)
        detail = "a body has at most 2000 bytes"
        assert_problem(answer, 413, "too_large", "Body too large", detail)

    @pytest.mark.parametrize("path", ["/v1/documents/d/text", "/v1/me"])
    async def test_only_whole_texts_may_be_longer_than_a_message(
        self, serve: Serve, path: str
    ) -> None:
        """Whatever else is sent is parsed on the event loop."""
        body = b'{"find":"x","replace":"y"}'.ljust(self.LIMIT + 1)
        async with serve(max_message_bytes=self.LIMIT) as api:
            ada = await api.user()
            answer = await ada.call("PATCH", path, content=body, headers=JSON)
            detail = "a body has at most 2000 bytes"
            assert_problem(answer, 413, "too_large", "Body too large", detail)
            it = (await ada.document(text="x" * self.LIMIT))["id"]
            assert (await ada.put(it, "y" * (self.LIMIT + 1), 1)).status_code == 200


async def test_an_unforeseen_error_is_answered_and_logged(api: Api) -> None:
    """Without what it tells of people's documents."""

    async def broken(document_id: str) -> None:
        raise RuntimeError(f"with {document_id} in it")

    api.app.add_api_route("/v1/broken/{document_id}", broken)
    with capture_logs() as logged:
        answer = await api.http.get("/v1/broken/secret", params={"token": "secret"})
    detail = "something went wrong here; it was logged"
    assert_problem(answer, 500, "error", "Internal error", detail)
    assert logged == [
        {
            "event": "request failed",
            "method": "GET",
            "route": "/v1/broken/{document_id}",
            "error": "RuntimeError",
            "log_level": "error",
        }
    ]


async def test_a_database_that_fails_is_not_available_now(api: Api) -> None:
    """Neither the statement nor the document is logged."""
    ada = await api.user()
    it = (await ada.document())["id"]
    await api.services.database.write(lambda c: c.execute(text("DROP TABLE members")))
    with capture_logs() as logged:
        answer = await ada.get(f"/v1/documents/{it}/text")
    detail = "the database does not answer"
    assert_problem(answer, 503, "unavailable", "Not available now", detail, retry_after_ms=1_000)
    assert answer.headers["retry-after"] == "1"
    assert logged == [
        {
            "event": "database failed",
            "method": "GET",
            "route": "/v1/documents/{document_id}/text",
            "error": "OperationalError",
            "log_level": "error",
        }
    ]


@pytest.mark.parametrize(("retry_after_ms", "header"), [(1, "1"), (1_000, "1"), (1_001, "2")])
async def test_when_to_come_back_is_rounded_up_in_the_header(
    api: Api, retry_after_ms: int, header: str
) -> None:
    async def busy() -> None:
        raise TooMany("slower", retry_after_ms=retry_after_ms)

    api.app.add_api_route("/v1/busy", busy)
    answer = await api.http.get("/v1/busy")
    title = "Too many requests"
    assert_problem(answer, 429, "rate_limited", title, "slower", retry_after_ms=retry_after_ms)
    assert answer.headers["retry-after"] == header


async def test_a_room_that_cannot_be_opened_is_told(serve: Serve) -> None:
    async with serve(max_rooms=1) as api:
        ada = await api.user()
        one, other = [(await ada.document())["id"] for _ in range(2)]
        async with api.services.registry.room(one):
            answer = await ada.get(f"/v1/documents/{other}/text")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (errors.InvalidChange, 422),
        (errors.Stale, 412),
        (errors.Forbidden, 403),
        (errors.TooLarge, 413),
        (errors.DocumentFull, 413),
        (errors.RateLimited, 429),
        (errors.Unavailable, 503),
        (Copied, 409),
    ],
)
async def test_a_refused_push_is_a_problem_with_its_own_code(
    api: Api, refusal: type[errors.Refusal], status: int
) -> None:
    """P5"""

    async def refuse() -> None:
        raise refusal("why", retry_after_ms=1_500)

    api.app.get("/v1/refuse")(refuse)
    answer = await api.http.get("/v1/refuse")
    title = status_of(refusal)[1]
    assert_problem(answer, status, refusal.code, title, "why", retry_after_ms=1_500)
    assert answer.headers["retry-after"] == "2"
