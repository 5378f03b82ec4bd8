"""The editor's page."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastapi import FastAPI

from collab.api import problems
from collab.api.static import built, pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


PAGE = """<script src="/assets/index-Bx3.js" nonce="__CSP_NONCE__"></script>
<meta property="csp-nonce" nonce="__CSP_NONCE__"><p>%s</p>"""
SCRIPT = "let it be; " * 1_000


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A page as Vite builds it, and another."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE % "the editor")
    (folder / "textarea.html").write_text(PAGE % "an example")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "index-Bx3.js").write_text(SCRIPT)
    (folder / "assets" / "small-Qz1.css").write_text("p {}")
    (folder / "assets" / "font-Ab9.woff2").write_bytes(b"\0" * 5_000)
    (tmp_path / "secret").write_text("not to be served")
    return folder


@pytest.fixture
async def http(dist: Path) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI(redirect_slashes=False)
    problems.install(app)
    app.include_router(pages(dist))
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "content", "media_type", "cache"),
    [
        ("/favicon.svg", "<svg/>", "image/svg+xml", "no-cache"),
        (
            "/assets/index-Bx3.js",
            SCRIPT,
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
        ),
    ],
)
async def test_a_file_beside_the_page_is_asked_for_each_time_and_an_asset_once(
    http: httpx2.AsyncClient, path: str, content: str, media_type: str, cache: str
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.text) == (200, content)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == cache
    assert answer.headers["x-content-type-options"] == "nosniff"


class TestPages:
    @pytest.mark.parametrize(
        ("path", "shown"),
        [
            ("/", "the editor"),
            ("/index.html", "the editor"),
            ("/textarea.html", "an example"),
        ],
    )
    async def test_a_page_bears_the_nonce_that_its_policy_names(
        self, http: httpx2.AsyncClient, path: str, shown: str
    ) -> None:
        answer = await http.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        found = re.search(r"script-src 'nonce-([A-Za-z0-9_-]{22,})';", policy)
        assert found is not None
        assert answer.text == PAGE.replace("__CSP_NONCE__", found[1]) % shown
        assert f"style-src 'nonce-{found[1]}';" in policy
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"

    async def test_no_two_answers_have_the_same_nonce(self, http: httpx2.AsyncClient) -> None:
        policies = {(await http.get("/")).headers["content-security-policy"] for _ in range(20)}
        assert len(policies) == 20

    @pytest.mark.parametrize("path", ["/", "/textarea.html"])
    async def test_a_page_is_alone_and_allows_nothing_that_it_does_not_need(
        self, http: httpx2.AsyncClient, path: str
    ) -> None:
        headers = (await http.get(path)).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["connect-src"] == "'self'"
        assert {policy[each] for each in ("base-uri", "form-action", "frame-ancestors")} == {
            "'none'"
        }
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]


class TestCompression:
    async def test_an_asset_is_compressed_for_whom_accepts_it(
        self, http: httpx2.AsyncClient
    ) -> None:
        path, accept = "/assets/index-Bx3.js", {"Accept-Encoding": "br, gzip"}
        for _ in range(2):
            answer = await http.get(path, headers=accept)
            assert answer.headers["content-encoding"] == "gzip"
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert int(answer.headers["content-length"]) < 1_000
            assert answer.text == SCRIPT
        answer = await http.get(path, headers={"Accept-Encoding": "gzip;q=0"})
        assert "content-encoding" not in answer.headers
        assert (answer.headers["vary"], answer.text) == ("Accept-Encoding", SCRIPT)

    @pytest.mark.parametrize("path", ["/assets/small-Qz1.css", "/assets/font-Ab9.woff2"])
    async def test_what_is_small_or_compressed_already_stays(
        self, http: httpx2.AsyncClient, path: str
    ) -> None:
        answer = await http.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200
        assert "content-encoding" not in answer.headers

    async def test_an_asset_that_is_built_anew_is_read_anew(
        self, http: httpx2.AsyncClient, dist: Path
    ) -> None:
        file = dist / "assets" / "index-Bx3.js"
        await http.get("/assets/index-Bx3.js")
        file.write_text(SCRIPT[::-1])
        os.utime(file, ns=(0, 0))
        assert (await http.get("/assets/index-Bx3.js")).text == SCRIPT[::-1]


@pytest.mark.parametrize(
    "path",
    [
        "/secret",
        "/%2e%2e",
        "/..%2fsecret",
        "/assets/..%2f..%2fsecret",
        "/assets/%2e%2e",
        "/assets/",
        "/assets",
        "/assets/%00",
        "/v1",
        "/v1/index.html",
    ],
)
async def test_nothing_else_is_served(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_editor_that_is_not_built_says_how_to_build_it(
    http: httpx2.AsyncClient, dist: Path
) -> None:
    (dist / "index.html").unlink()
    answer = await http.get("/")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "make run" in answer.text
    assert "content-security-policy" in answer.headers
    (dist / "index.html").write_text("<p>built since</p>")
    assert (await http.get("/")).text == "<p>built since</p>"


def test_the_page_is_found_in_a_checkout_and_in_an_installed_package(tmp_path: Path) -> None:
    package = tmp_path / "collab"
    package.mkdir()
    assert built(package) == tmp_path / "web" / "dist"
    (package / "web").mkdir()
    assert built(package) == package / "web"
