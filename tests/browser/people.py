"""People at browsers, and what they do there."""

from __future__ import annotations

import re
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import TimeoutError as TookTooLong
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

PATIENCE_MS = 20_000

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

# What Chromium itself writes to the console when a server cannot be reached.
OF_THE_NETWORK = re.compile(
    r"Failed to load resource: (net::ERR_|the server responded with a status of 503)"
    r"|WebSocket connection to '.*' failed"
)

WATCH_POLICY = """addEventListener("securitypolicyviolation", (event) => {
    (window.violated ??= []).push(event.violatedDirective);
    console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI}`);
});"""

# The editor's lines without what is drawn into them: a placeholder, others' names.
SHOWN = """[...document.querySelectorAll(".cm-line")].map(line => {
    const copy = line.cloneNode(true);
    for (const drawn of copy.querySelectorAll("[contenteditable=false]")) drawn.remove();
    return copy.textContent;
}).join("\\n")"""


LISTED = """[...document.querySelectorAll("#documents li a")]
    .map(link => link.textContent).join("\\n")"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The system's own browser."""
    path = shutil.which("chromium")
    assert path is not None, "this needs Debian's chromium: bash tests/services.sh"
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield launched
        await launched.close()


class Person:
    """Somebody at a page. Whatever its console complains of is kept."""

    def __init__(self, name: str, page: Page, *, network_fails: bool = False) -> None:
        self.name = name
        self.page = page
        self.context: BrowserContext = page.context
        self.complaints: list[str] = []
        self._network_fails = network_fails
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if not (self._network_fails and OF_THE_NETWORK.match(message.text)):
            self.complaints.append(message.text)

    async def introduce(self) -> None:
        """Say who they are, which a browser is asked for once."""
        await self.page.get_by_label("Your name").fill(self.name)
        await self.page.get_by_role("button", name="Start").click()

    async def new_document(self, title: str = "Notes") -> str:
        """Make a document and wait until it can be written. Returns its address."""
        await self.page.get_by_role("button", name="New document").click()
        await self.page.get_by_label("Title").fill(title)
        await self.page.keyboard.press("Enter")
        await self.live()
        return self.page.url

    # -- The list -----------------------------------------------------------------------------

    async def go_to_list(self) -> None:
        await self.page.get_by_role("link", name="All documents").first.click()
        await self.page.get_by_role("button", name="New document").wait_for()

    async def listed(self, *titles: str) -> None:
        """Wait until the list shows just these titles, in this order."""
        await self._until(f"titles => {LISTED} === titles", "\n".join(titles))

    # -- The editor ---------------------------------------------------------------------------

    async def live(self) -> None:
        """Wait until the editor is connected."""
        await self.page.wait_for_selector('#status[data-connection="live"]')

    async def cut_off(self) -> None:
        """Wait until the page shows that it is not connected."""
        await self.page.wait_for_selector('#status:not([data-connection="live"])')

    async def saved(self) -> None:
        """Wait until the page says that all is saved."""
        await self.page.wait_for_selector('#status[data-connection="live"][data-saved="true"]')

    async def begin(self, key: str = "Control+End") -> None:
        """Go into the text, to its end or where else `key` leads."""
        await self.page.locator(".cm-content").focus()
        await self.page.keyboard.press(key)

    async def type(self, text: str) -> None:
        await self.page.keyboard.type(text)

    async def text(self) -> str:
        """What the editor shows, line by line."""
        return str(await self.page.evaluate(SHOWN))

    async def sees(self, text: str) -> None:
        """Wait until the editor shows just this text."""
        await self._until(f"text => {SHOWN} === text", text)

    async def sees_length(self, units: int) -> None:
        """Wait until the editor shows a text of this length."""
        await self._until(f"units => {SHOWN}.length === units", units)

    async def _until(self, holds: str, given: object) -> None:
        try:
            await self.page.wait_for_function(holds, arg=given)
        except TookTooLong:
            shown = await self.page.locator("#app").inner_text()
            raise AssertionError(f"{self.name} does not see {given!r}, but:\n{shown}") from None


class People:
    """Everybody in one test."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._present: list[Person] = []

    async def come(
        self, name: str, url: str, *, network_fails: bool = False, dark: bool = False
    ) -> Person:
        """Somebody at a browser of their own opens an address for the first time.

        `network_fails`: what the browser says of a server that it cannot reach is no complaint.
        """
        page = await self.page(dark=dark)
        person = self.know(page, name, network_fails=network_fails)
        await page.goto(url)
        await person.introduce()
        return person

    async def page(self, *, dark: bool = False) -> Page:
        """An empty page in a browser of its own."""
        context = await self._browser.new_context(
            color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        await context.add_init_script(WATCH_POLICY)
        return await context.new_page()

    def know(self, page: Page, name: str, *, network_fails: bool = False) -> Person:
        """Somebody at a page; their console is listened to from now on."""
        person = Person(name, page, network_fails=network_fails)
        self._present.append(person)
        return person

    async def leave(self) -> None:
        complaints = [(each.name, each.complaints) for each in self._present if each.complaints]
        for context in {person.context for person in self._present}:
            await context.close()
        if complaints:
            raise AssertionError(complaints)
