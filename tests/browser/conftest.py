"""A real Chromium, the system's own, and people in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from bench.server import ServerProcess, running
from tests.browser.people import People, chromium
from tests.building import built

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from playwright.async_api import Browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """The server as a new user starts it, with the page built. Tests share it."""
    built("dist/index.html")
    async with running(tmp_path_factory.mktemp("site")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def closed_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A server where a document is its owner's alone until it is shared. Tests share it."""
    built("dist/index.html")
    async with running(tmp_path_factory.mktemp("closed"), COLLAB_ANYONE="nobody") as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser) -> AsyncIterator[People]:
    """Whoever comes leaves in the end, and none of their consoles may have complained."""
    coming = People(browser)
    yield coming
    await coming.leave()
