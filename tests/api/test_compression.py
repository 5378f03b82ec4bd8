"""Which answers go out compressed, and to whom."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from collab.api.compression import MIN_BYTES, Compression

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.client import Api

LONG = "compress me " * 100_000


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    app.add_middleware(Compression)

    async def parts() -> AsyncIterator[str]:
        yield LONG
        yield LONG

    app.add_api_route("/text", lambda: PlainTextResponse(LONG))
    app.add_api_route("/short", lambda: PlainTextResponse("x" * (MIN_BYTES - 1)))
    app.add_api_route("/least", lambda: PlainTextResponse("x" * MIN_BYTES))
    app.add_api_route("/json", lambda: {"long": LONG})
    app.add_api_route("/image", lambda: Response(LONG, media_type="image/png"))
    app.add_api_route("/tagged", lambda: PlainTextResponse(LONG, headers={"ETag": '"7"'}))
    app.add_api_route(
        "/done", lambda: PlainTextResponse(LONG, headers={"Content-Encoding": "br", "Vary": "X"})
    )
    app.add_api_route("/stream", lambda: StreamingResponse(parts(), media_type="text/plain"))
    app.add_api_route("/events", lambda: StreamingResponse(parts(), media_type="text/event-stream"))
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def asked(
    http: httpx2.AsyncClient, path: str, accept: str = "gzip"
) -> tuple[httpx2.Headers, bytes]:
    """The headers and the bytes as they came."""
    async with http.stream("GET", path, headers={"Accept-Encoding": accept}) as answer:
        assert answer.status_code == 200
        return answer.headers, b"".join([part async for part in answer.aiter_raw()])


@pytest.mark.parametrize("path", ["/text", "/json", "/least"])
async def test_a_long_text_is_compressed(http: httpx2.AsyncClient, path: str) -> None:
    headers, body = await asked(http, path)
    assert headers["content-encoding"] == "gzip"
    assert headers["vary"] == "Accept-Encoding"
    assert int(headers["content-length"]) == len(body)
    assert gzip.decompress(body) == (await asked(http, path, "identity"))[1]


@pytest.mark.parametrize("path", ["/short", "/image", "/tagged", "/stream", "/events"])
async def test_what_is_short_or_no_text_or_tagged_or_streamed_stays(
    http: httpx2.AsyncClient, path: str
) -> None:
    headers, _ = await asked(http, path)
    assert "content-encoding" not in headers
    assert "vary" not in headers


async def test_what_is_encoded_already_stays(http: httpx2.AsyncClient) -> None:
    headers, body = await asked(http, "/done")
    assert (headers["content-encoding"], headers["vary"], body) == ("br", "X", LONG.encode())


@pytest.mark.parametrize(
    ("accept", "compressed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5, br", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("br", False),
        ("identity", False),
        ("x-gzip-not", False),
        ("", False),
    ],
)
async def test_only_for_whom_accepts_it_and_caches_are_told_that_it_depends(
    http: httpx2.AsyncClient, accept: str, compressed: bool
) -> None:
    headers, _ = await asked(http, "/text", accept)
    assert ("content-encoding" in headers) == compressed
    assert headers["vary"] == "Accept-Encoding"


async def test_a_documents_text_keeps_its_revision_as_its_tag(api: Api) -> None:
    """One strong tag never names two different runs of bytes."""
    ada = await api.user()
    made = await ada.document(text=LONG)
    answer = await ada.get(f"/v1/documents/{made['id']}/text")
    assert (answer.headers["etag"], answer.text) == ('"1"', LONG)
    assert "content-encoding" not in answer.headers


async def test_a_long_list_is_compressed(api: Api) -> None:
    ada = await api.user()
    for n in range(10):
        await ada.document(f"Notes {n}")
    answer = await ada.get("/v1/documents")
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["items"]) == 10
