"""The README's pictures, from the real page on the real server: `make screenshots`.

It needs Debian's chromium. The letters are prettier with fonts-inter, fonts-noto-core and
fonts-noto-color-emoji; without them the page takes what it finds.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from playwright.async_api import async_playwright

from bench.server import ServerProcess, running
from collab.client import create_document, guest_token

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

IMAGES = Path(__file__).parents[2] / "docs" / "images"
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_MS = 20_000
# Long enough for transitions to end, and for a banner that waits to see whether it is needed.
REST_MS = 1_500
# The first name over a cursor is gone after two seconds; a picture is taken before.
GLANCE_MS = 400

WIDE = (1160, 760)
PHONE = (390, 780)

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

TEXT = """\
We ask seven questions, and we ask them **in the reader's words**. Nobody should need a manual \
to answer *"What did you want to write today?"*.

## Before Thursday

- Read the [interview guide](https://example.org/guide) once more
- [x] Invite the first five people
- [ ] Book the room with the good light

> People do not remember features. They remember the afternoon when nothing got lost.

## The numbers

Run the script again once the last answers are in:

```python
async with connect(url, document_id, token=token) as editor:
    editor.insert(0, await summary(answers))
    await editor.saved()
```

Then `make report`, and we are done.
"""
TITLE = "How people write together"
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# Who made what, how long ago.
OTHERS = [
    ("Grace Hopper", "Compiler reading group", 42 * MINUTE_MS),
    ("Ada Lovelace", "Notes on the engine", 3 * HOUR_MS),
    ("Alan Turing", "Can a garden think? Draft for the Sunday paper", DAY_MS),
    ("Ada Lovelace", "Groceries", 2 * DAY_MS),
    ("Grace Hopper", "Minutes of the last meeting before the summer", 40 * DAY_MS),
]


async def person(
    browser: Browser,
    name: str,
    url: str,
    size: tuple[int, int] = WIDE,
    scheme: Scheme = "light",
) -> Page:
    """Somebody who has said their name and is at `url`."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        device_scale_factor=2,
        reduced_motion="reduce",
    )
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto(url)
    await page.get_by_label("Your name").fill(name)
    await page.get_by_role("button", name="Start").click()
    return page


async def live(page: Page) -> None:
    await page.wait_for_selector('#status[data-connection="live"][data-saved="true"]')


async def write(ada: Page) -> None:
    """A document of hers, made as a person makes it."""
    await ada.get_by_role("button", name="New document").click()
    await live(ada)
    await ada.keyboard.type(TITLE)
    await ada.keyboard.press("Enter")
    await ada.keyboard.insert_text(TEXT)
    await live(ada)


async def others(ada: Page, server: ServerProcess, data: Path) -> None:
    """Documents of some age, on her list."""
    own: str = await ada.evaluate("JSON.parse(localStorage['collab.token']).token")
    ages = {}
    tokens = {"Ada Lovelace": own}
    for owner, title, ago_ms in OTHERS:
        if owner not in tokens:
            tokens[owner] = await guest_token(server.url, owner)
        made = await create_document(server.url, tokens[owner], title, "Text.")
        ages[made] = ago_ms
        # Whoever looks at a document has it on the list.
        await ada.evaluate(
            """([id, token]) => fetch(`/v1/documents/${id}`,
                {headers: {Authorization: `Bearer ${token}`}})""",
            [made, own],
        )
    await server.stop()
    now_ms = int(time.time() * 1000)
    with closing(sqlite3.connect(data / "data" / "collab.db")) as database, database:
        for made, ago_ms in ages.items():
            database.execute(
                "UPDATE documents SET updated_at = ? WHERE id = ?", (now_ms - ago_ms, made)
            )
    await server.start()


async def select(page: Page, line: str, keys: list[str]) -> None:
    """Puts the cursor at the end of a line, moves it from there, and shows the page's top."""
    await page.locator(".cm-line", has_text=line).first.click()
    for key in ["End", *keys]:
        await page.keyboard.press(key)
    await page.mouse.move(0, 300)
    await page.evaluate("scrollTo(0, 0)")


async def picture(page: Page, name: str) -> None:
    await page.screenshot(path=IMAGES / f"{name}.png")
    sys.stdout.write(f"{name}.png\n")


async def take(browser: Browser, server: ServerProcess, data: Path) -> None:
    ada = await person(browser, "Ada Lovelace", server.url)
    await write(ada)
    url = ada.url
    await others(ada, server, data)
    await ada.reload()
    await live(ada)

    grace = await person(browser, "Grace Hopper", url, scheme="dark")
    alan = await person(browser, "Alan Turing", url, size=PHONE)
    await live(grace)
    await live(alan)

    await select(alan, "the good light", [])
    await select(ada, "in the reader", ["Shift+Control+ArrowLeft"] * 3)
    await select(grace, "People do not remember", ["Shift+Control+ArrowLeft"] * 4)
    await ada.wait_for_timeout(GLANCE_MS)
    await picture(ada, "editor-light")
    await select(ada, "Invite the first", [])
    await grace.wait_for_timeout(GLANCE_MS)
    await picture(grace, "editor-dark")
    await alan.mouse.move(0, 300)
    await alan.evaluate("scrollTo(0, 0)")
    await select(ada, "reader", ["Home", "ArrowUp", "ArrowDown"])
    await select(grace, "People do not remember", ["Shift+Control+ArrowLeft"] * 4)
    await alan.wait_for_timeout(GLANCE_MS)
    await picture(alan, "editor-phone")

    home = await ada.context.new_page()
    await home.goto(server.url)
    await home.wait_for_selector("#documents li")
    for scheme in SCHEMES:
        await home.emulate_media(color_scheme=scheme)
        await home.wait_for_timeout(REST_MS)
        await picture(home, f"documents-{scheme}")
    await home.close()

    await server.kill()
    await select(ada, "Then", [])
    await ada.keyboard.type(" Typed without a connection.")
    await ada.wait_for_selector("aside.banner:visible")
    await ada.wait_for_timeout(REST_MS)
    await ada.evaluate("scrollTo(0, 0)")
    await picture(ada, "offline")


async def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("the pictures need Debian's chromium: bash tests/services.sh")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        async with async_playwright() as playwright, running(data) as server:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=CHROMIUM_OPTIONS
            )
            await take(browser, server, data)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
