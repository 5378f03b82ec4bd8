"""People at browsers, and what they do there."""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import TimeoutError as TookTooLong
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Page,
        WebSocketRoute,
    )

PATIENCE_MS = 20_000
PASSWORD = "correct horse battery"

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

# What it writes of an answer that says no.
OF_REFUSALS = re.compile(
    r"Failed to load resource: the server responded with a status of 4\d\d"
    r"|WebSocket connection to '.*' failed: .* Unexpected response code: 4\d\d"
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

    def __init__(
        self, name: str, page: Page, *, network_fails: bool = False, refused: bool = False
    ) -> None:
        self.name = name
        # Nobody else's in any test.
        self.username = f"{name.lower()}.{secrets.token_hex(4)}"
        self.page = page
        self.context: BrowserContext = page.context
        self.complaints: list[str] = []
        self._expected = [
            *([OF_THE_NETWORK] if network_fails else []),
            *([OF_REFUSALS] if refused else []),
        ]
        self._held: list[tuple[WebSocketRoute, str | bytes]] | None = None
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if not any(expected.match(message.text) for expected in self._expected):
            self.complaints.append(message.text)

    async def introduce(self) -> None:
        """Say who they are, which a browser is asked for once."""
        await self.page.get_by_label("Your name").fill(self.name)
        await self.page.get_by_role("button", name="Start").click()

    async def sign_up(self) -> None:
        """Say who they are by making an account, in place of a name alone."""
        await self.page.get_by_role("button", name="Create an account").click()
        await self.page.get_by_label("Your name").fill(self.name)
        await self.page.get_by_label("Username").fill(self.username)
        await self.page.get_by_label("New password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Create", exact=True).click()
        await self.page.get_by_role("dialog").wait_for(state="detached")

    async def sign_in(self, password: str = PASSWORD) -> None:
        """Fill in the sign-in form, which is open."""
        form = self.page.get_by_role("dialog")
        await form.get_by_label("Username").fill(self.username)
        await form.get_by_label("Password").fill(password)
        await form.get_by_role("button", name="Sign in").click()

    async def choose(self, what: str) -> None:
        """Something in the menu of their own account, in the list."""
        await self.page.get_by_role("button", name="your account").click()
        await self.page.get_by_role("button", name=what).click()

    async def sign_out(self) -> None:
        await self.choose("Sign out")
        await self.page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
        await self.page.get_by_role("heading", name="Welcome to Collab").wait_for()

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

    async def is_told(self, words: str) -> None:
        """Wait until the banner over the page says this."""
        await self.page.locator(".banner").get_by_text(words).wait_for()

    # -- The wire -----------------------------------------------------------------------------

    async def tap(self) -> None:
        """From the next session on, `hold` works."""

        def join(page: WebSocketRoute) -> None:
            server = page.connect_to_server()

            def said(message: str | bytes) -> None:
                if self._held is None:
                    server.send(message)
                else:
                    self._held.append((server, message))

            page.on_message(said)

        await self.page.route_web_socket(re.compile(r"/live\?"), join)

    def hold(self) -> None:
        """Keep back what the page sends, and let through what it is sent."""
        self._held = []

    def let_go(self) -> None:
        """Send what was kept back."""
        held, self._held = self._held or [], None
        for server, message in held:
            server.send(message)

    def forget(self) -> None:
        """What was kept back is lost on its way."""
        self._held = None

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

    async def join(self, name: str, url: str) -> Person:
        """Somebody opens an address for the first time, and makes an account.

        What the browser says of an answer that says no is no complaint of theirs.
        """
        person = self.know(await self.page(), name, refused=True)
        await person.tap()
        await person.page.goto(url)
        await person.sign_up()
        return person

    async def page(self, *, dark: bool = False) -> Page:
        """An empty page in a browser of its own."""
        context = await self._browser.new_context(
            color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        await context.add_init_script(WATCH_POLICY)
        return await context.new_page()

    def know(
        self, page: Page, name: str, *, network_fails: bool = False, refused: bool = False
    ) -> Person:
        """Somebody at a page; their console is listened to from now on."""
        person = Person(name, page, network_fails=network_fails, refused=refused)
        self._present.append(person)
        return person

    async def leave(self) -> None:
        complaints = [(each.name, each.complaints) for each in self._present if each.complaints]
        for context in {person.context for person in self._present}:
            await context.close()
        if complaints:
            raise AssertionError(complaints)
