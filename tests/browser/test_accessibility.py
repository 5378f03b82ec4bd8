"""axe finds nothing on any page, in light and in dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.building import built

if TYPE_CHECKING:
    from playwright.async_api import ViewportSize

    from bench.server import ServerProcess
    from tests.browser.people import People, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE: ViewportSize = {"width": 360, "height": 740}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_every_page_is_accessible(site: ServerProcess, people: People, dark: bool) -> None:
    ada = await people.come("Ada", site.url, dark=dark)
    await ada.page.locator("#new").wait_for()
    assert await violations(ada) == [], "an empty list"
    address = await ada.new_document("Notes")
    bob = await people.come("Bob", address, dark=dark)
    await bob.begin()
    await bob.type("# Heading\n\nSome *text* with `code`, a [link](https://a.test) and **more**.\n")
    await ada.begin()
    await ada.page.locator(".cm-peerCursor").wait_for(state="attached")
    assert await violations(ada) == [], "the editor"
    await ada.page.keyboard.press("Control+f")
    assert await violations(ada) == [], "the editor's search"
    await ada.page.set_viewport_size(PHONE)
    assert await violations(ada) == [], "the editor on a phone"
    assert not await scrolls_sideways(ada)
    await ada.go_to_list()
    await ada.listed("Notes")
    assert await violations(ada) == [], "the list on a phone"
    assert not await scrolls_sideways(ada)
    await ada.page.get_by_role("button", name="Delete Notes").click()
    await ada.page.get_by_role("button", name="Undo").wait_for()
    assert await violations(ada) == [], "a deletion that can be undone"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_the_first_question_is_accessible(
    site: ServerProcess, people: People, dark: bool
) -> None:
    somebody = people.know(await people.page(dark=dark), "Somebody")
    await somebody.page.goto(site.url)
    await somebody.page.get_by_label("Your name").wait_for()
    assert await violations(somebody) == []
    await somebody.page.get_by_role("button", name="Sign in").click()
    await somebody.page.get_by_label("Password").wait_for()
    assert await violations(somebody) == [], "signing in"
    await somebody.page.get_by_role("button", name="Create an account").click()
    await somebody.page.get_by_label("New password").wait_for()
    assert await violations(somebody) == [], "signing up"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_sharing_is_accessible(site: ServerProcess, people: People, dark: bool) -> None:
    ada = await people.come("Ada", site.url, dark=dark)
    bob = await people.come("Bob", site.url, dark=dark)
    await bob.page.get_by_role("button", name="your account").click()
    assert await violations(bob) == [], "one's own account"
    await bob.page.goto(await ada.new_document("Notes"))
    await bob.live()
    await ada.page.get_by_role("button", name="Share").click()
    await ada.page.get_by_label("Password").fill("secret")
    await ada.page.get_by_role("button", name="Make a link").click()
    await ada.page.get_by_role("button", name="Copy link").wait_for()
    assert await violations(ada) == [], "the owner's dialog"
    await ada.page.set_viewport_size(PHONE)
    assert await violations(ada) == [], "the owner's dialog on a phone"
    assert not await scrolls_sideways(ada)
    await ada.page.get_by_label("Anyone with the address").select_option(label="Viewer")
    await bob.page.get_by_text("Read only", exact=True).wait_for()
    assert await violations(bob) == [], "a text that may only be read"
    await bob.page.get_by_role("button", name="Share").click()
    await bob.page.get_by_role("button", name="Leave this document").wait_for()
    assert await violations(bob) == [], "a viewer's dialog"


async def violations(person: Person) -> list[Any]:
    """Each rule that is broken, and where."""
    await person.page.evaluate(built("node_modules/axe-core/axe.min.js").read_text())
    found = await person.page.evaluate("axe.run()")
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]


async def scrolls_sideways(person: Person) -> bool:
    root = "document.documentElement"
    return bool(await person.page.evaluate(f"{root}.scrollWidth > {root}.clientWidth"))
