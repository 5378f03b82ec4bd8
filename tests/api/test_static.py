"""The editor's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest
from fastapi import FastAPI

from collab.api import problems
from collab.api.static import built, pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A page as Vite builds it."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<p>the editor</p>")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "index-Bx3.js").write_text("let it")
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
        ("/", "<p>the editor</p>", "text/html; charset=utf-8", "no-cache"),
        ("/index.html", "<p>the editor</p>", "text/html; charset=utf-8", "no-cache"),
        ("/favicon.svg", "<svg/>", "image/svg+xml", "no-cache"),
        (
            "/assets/index-Bx3.js",
            "let it",
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
        ),
    ],
)
async def test_the_page_is_asked_for_each_time_and_its_assets_once(
    http: httpx2.AsyncClient, path: str, content: str, media_type: str, cache: str
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.text) == (200, content)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == cache


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
    (dist / "index.html").write_text("<p>built since</p>")
    assert (await http.get("/")).text == "<p>built since</p>"


def test_the_page_is_found_in_a_checkout_and_in_an_installed_package(tmp_path: Path) -> None:
    package = tmp_path / "collab"
    package.mkdir()
    assert built(package) == tmp_path / "web" / "dist"
    (package / "web").mkdir()
    assert built(package) == package / "web"
