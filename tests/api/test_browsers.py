"""What a browser makes of the API's answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.api.client import Api

Serve = Callable[..., AbstractAsyncContextManager[Api]]

EDITOR, STRANGER = "https://editor.example", "https://stranger.example"


async def test_no_answer_is_taken_for_anything_but_what_it_is(api: Api) -> None:
    ada = await api.user()
    it = (await ada.document(text="<script>alert(1)</script>"))["id"]
    for answer in (
        await ada.get("/v1/me"),
        await ada.get(f"/v1/documents/{it}/text"),
        await ada.get("/v1/documents/none"),
        await ada.get("/v1/nothing"),
        await api.http.get("/v1/me"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_no_cache_keeps_a_token_and_a_text_is_asked_for_again(api: Api) -> None:
    signed_in = await api.http.post("/v1/auth/guest", json={"name": "Ada"})
    assert signed_in.headers["cache-control"] == "no-store"
    ada = await api.user()
    assert (await ada.get("/v1/documents")).headers["cache-control"] == "no-store"
    path = f"/v1/documents/{(await ada.document())['id']}/text"
    text = await ada.get(path)
    assert text.headers["cache-control"] == "private, no-cache"
    headers = {"If-None-Match": text.headers["etag"]}
    same = await ada.call("GET", path, headers=headers)
    assert (same.status_code, same.headers["cache-control"]) == (304, "private, no-cache")


async def test_no_cookie_is_ever_set(api: Api) -> None:
    ada = await api.user()
    for answer in (await ada.get("/v1/me"), await api.http.get("/")):
        assert "set-cookie" not in answer.headers


async def test_h3_a_page_of_an_allowed_origin_may_call_with_a_token(serve: Serve) -> None:
    async with serve(allowed_origins=(EDITOR,)) as api:
        asked = await api.http.options(
            "/v1/documents",
            headers={
                "Origin": EDITOR,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
            },
        )
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == EDITOR
        ada = await api.user()
        for path, status in (("/v1/me", 200), ("/v1/documents/none", 404)):
            answer = await ada.call("GET", path, headers={"Origin": EDITOR})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == EDITOR
            assert "ETag" in answer.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("allowed", [(), (EDITOR,)], ids=["none is", "another is"])
async def test_h3_a_page_of_an_origin_that_is_not_allowed_may_not(
    serve: Serve, allowed: tuple[str, ...]
) -> None:
    async with serve(allowed_origins=allowed) as api:
        headers = {"Origin": STRANGER, "Access-Control-Request-Method": "GET"}
        asked = await api.http.options("/v1/me", headers=headers)
        assert asked.status_code in {400, 405}
        ada = await api.user()
        for answer in (asked, await ada.call("GET", "/v1/me", headers={"Origin": STRANGER})):
            assert "access-control-allow-origin" not in answer.headers
