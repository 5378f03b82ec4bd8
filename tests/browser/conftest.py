"""A real Chromium, the system's own, and people in it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest_asyncio
from playwright.async_api import async_playwright

from bench.server import ServerProcess, running
from tests.building import built

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from playwright.async_api import Browser, BrowserContext, Page

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_MS = 20_000


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium is not None, "these tests need Debian's chromium: bash tests/services.sh"
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """The server as a new user starts it, with the page built."""
    built("dist/index.html")
    async with running(tmp_path_factory.mktemp("site")) as server:
        yield server


class Person:
    """Somebody at a browser of their own. Whatever their console complains of is kept."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type in {"error", "warning"}
                else None
            ),
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    @classmethod
    async def at(cls, browser: Browser, url: str) -> Person:
        context = await browser.new_context()
        person = cls(context, await context.new_page())
        await person.page.goto(url)
        return person

    async def live(self) -> None:
        """Wait until the editor is connected."""
        await self.page.wait_for_selector('#status[data-connection="live"]')

    async def saved(self) -> None:
        """Wait until the page says that all is saved."""
        await self.page.wait_for_selector('#status[data-connection="live"][data-saved="true"]')

    async def type(self, text: str) -> None:
        await self.page.keyboard.type(text)

    async def text(self) -> str:
        """What the editor shows, line by line."""
        lines = await self.page.locator(".cm-line").all_text_contents()
        return "\n".join(lines)

    async def sees(self, text: str) -> None:
        """Wait until the editor shows just this text."""
        await self.page.wait_for_function(
            """text => [...document.querySelectorAll(".cm-line")]
                .map(line => line.textContent).join("\\n") === text""",
            arg=text,
        )
