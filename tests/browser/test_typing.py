"""The page, as people use it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Person

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from bench.server import ServerProcess

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("browser")]


async def test_two_pages_that_type_at_once_converge_and_a_reload_finds_the_text(
    site: ServerProcess, browser: Browser
) -> None:
    ada = await Person.at(browser, site.url)
    await ada.page.get_by_role("button", name="New document").click()
    await ada.live()
    bob = await Person.at(browser, ada.page.url)
    await bob.live()

    await ada.page.locator(".cm-content").click()
    await ada.type("Shared: ")
    await bob.sees("Shared: ")
    await bob.page.locator(".cm-content").click()
    await bob.page.keyboard.press("Control+End")
    await ada.page.keyboard.press("Control+Home")
    one, other = "The quick brown fox 🦊 ", "jumps over\nthe lazy dog 🐶"
    async with asyncio.TaskGroup() as typing:
        typing.create_task(ada.type(one))
        typing.create_task(bob.type(other))

    expected = f"{one}Shared: {other}"
    await ada.sees(expected)
    await bob.sees(expected)
    await ada.saved()
    await bob.saved()

    await ada.page.reload()
    await ada.sees(expected)
    assert ada.complaints == bob.complaints == []
    await ada.context.close()
    await bob.context.close()
