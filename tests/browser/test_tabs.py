"""One person with several tabs of one document."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.server import ServerProcess
    from tests.browser.people import People, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_tabs_of_one_browser_do_not_fight(site: ServerProcess, people: People) -> None:
    ada = await people.come("Ada", site.url)
    address = await ada.new_document()
    second = people.know(await ada.context.new_page(), "Ada")
    await second.page.goto(address)
    await type_at_once(ada, second)


async def test_a_duplicated_tab_is_a_client_of_its_own(site: ServerProcess, people: People) -> None:
    """`window.open` copies the session storage, as duplicating a tab does."""
    ada = await people.come("Ada", site.url)
    await ada.new_document()
    await ada.begin()
    await ada.type("|")
    async with ada.page.expect_popup() as opening:
        await ada.page.evaluate("void window.open(location.href)")
    await type_at_once(ada, people.know(await opening.value, "Ada"), "|")


async def type_at_once(first: Person, second: Person, there: str = "") -> None:
    await second.live()
    await second.sees(there)
    await first.begin("Control+Home")
    await second.begin("Control+End")
    one, other = "first ", "second "
    if not there:
        await first.type("|")
        await second.sees("|")
        await first.begin("Control+Home")
        await second.begin("Control+End")
    async with asyncio.TaskGroup() as typing:
        typing.create_task(first.type(one))
        typing.create_task(second.type(other))
    for tab in (first, second):
        await tab.sees(f"{one}|{other}")
        await tab.saved()
