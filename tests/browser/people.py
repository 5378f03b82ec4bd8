"""People at browsers, and what they do there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.async_api import TimeoutError as TookTooLong

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

PATIENCE_MS = 20_000

# What Chromium itself writes to the console when a server cannot be reached.
OF_THE_NETWORK = re.compile(
    r"Failed to load resource: (net::ERR_|the server responded with a status of 503)"
    r"|WebSocket connection to '.*' failed"
)

WATCH_POLICY = """addEventListener("securitypolicyviolation", (event) => {
    console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI}`);
});"""

SHOWN = '[...document.querySelectorAll(".cm-line")].map(line => line.textContent).join("\\n")'


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

    async def new_document(self) -> str:
        """Make a document and wait until it can be written. Returns its address."""
        await self.page.get_by_role("button", name="New document").click()
        await self.live()
        return self.page.url

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
            status = await self.page.locator("#status").text_content()
            shown = await self.text()
            raise AssertionError(f"{self.name} sees {shown!r}, not {given!r}; {status}") from None


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
        context = await self._browser.new_context(color_scheme="dark" if dark else "light")
        await context.add_init_script(WATCH_POLICY)
        person = Person(name, await context.new_page(), network_fails=network_fails)
        self._present.append(person)
        await person.page.goto(url)
        await person.introduce()
        return person

    def know(self, page: Page, name: str, *, network_fails: bool = False) -> Person:
        """Another page of somebody who is here."""
        person = Person(name, page, network_fails=network_fails)
        self._present.append(person)
        return person

    async def leave(self) -> None:
        complaints = [(each.name, each.complaints) for each in self._present if each.complaints]
        for context in {person.context for person in self._present}:
            await context.close()
        if complaints:
            raise AssertionError(complaints)
