"""A real Chromium, the system's own, and people in it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest_asyncio
from playwright.async_api import async_playwright

from bench.server import ServerProcess, running
from tests.browser.people import People
from tests.building import built

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from playwright.async_api import Browser

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium is not None, "these tests need Debian's chromium: bash tests/services.sh"
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """The server as a new user starts it, with the page built. Tests share it."""
    built("dist/index.html")
    async with running(tmp_path_factory.mktemp("site")) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser) -> AsyncIterator[People]:
    """Whoever comes leaves in the end, and none of their consoles may have complained."""
    coming = People(browser)
    yield coming
    await coming.leave()
