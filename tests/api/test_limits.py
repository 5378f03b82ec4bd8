"""How much one may have, send, and take one's time with, over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.api.client import Api, assert_problem

Serve = Callable[..., AbstractAsyncContextManager[Api]]


async def test_a_user_owns_as_many_documents_as_they_may(serve: Serve) -> None:
    async with serve(max_user_documents=2) as api:
        ada, bob = await api.user("Ada"), await api.user("Bob")
        documents = [await ada.document() for _ in range(2)]
        refused = await ada.post("/v1/documents", {"title": "One more"})
        detail = "a user owns at most 2 documents"
        assert_problem(refused, 409, "documents_full", "No more documents", detail)
        await bob.document()
        await ada.call("DELETE", f"/v1/documents/{documents[0]['id']}")
        await ada.document()


# -- Bodies -------------------------------------------------------------------------------------

JSON = {"Content-Type": "application/json"}
LIMITS = {"max_form_bytes": 1_024, "max_message_bytes": 2_048, "max_body_bytes": 4_096}


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("POST", "/v1/documents", 4_096),
        ("PUT", "/v1/documents/{id}/text", 4_096),
        ("PATCH", "/v1/documents/{id}/text", 2_048),
        ("PATCH", "/v1/documents/{id}", 1_024),
        ("POST", "/v1/documents/{id}/versions", 1_024),
        ("PUT", "/v1/documents/{id}/members/text", 1_024),
        ("PATCH", "/v1/me", 1_024),
        ("POST", "/v1/auth/guest", 1_024),
    ],
)
async def test_a_body_is_as_long_as_what_it_is_for_may_need(
    serve: Serve, method: str, path: str, most: int
) -> None:
    limits: dict[str, Any] = LIMITS
    async with serve(**limits) as api:
        ada = await api.user()
        path = path.replace("{id}", (await ada.document())["id"])
        answers = [
            await ada.call(method, path, content=b"x" * length, headers=JSON)
            for length in (most, most + 1)
        ]
        assert answers[0].status_code not in {413, 404}
        detail = f"a body has at most {most} bytes"
        assert_problem(answers[1], 413, "too_large", "Body too large", detail)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/documents"), ("PUT", "/v1/documents/d/text"), ("PATCH", "/v1/documents/d/text")],
)
async def test_nothing_of_a_stranger_s_text_is_read(api: Api, method: str, path: str) -> None:
    read = 0

    async def text() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            yield b"x" * 1_000
            read += 1

    headers = {"Authorization": "Bearer rubbish", **JSON}
    answer = await api.http.request(method, path, content=text(), headers=headers)
    assert (answer.status_code, read) == (401, 0)
