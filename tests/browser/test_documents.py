"""The list of documents: making, finding, renaming and deleting them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.server import ServerProcess
    from tests.browser.people import People

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_name_is_asked_for_once(site: ServerProcess, people: People) -> None:
    ada = await people.come("Ada", site.url)
    await ada.page.get_by_role("button", name="New document").wait_for()
    await ada.page.reload()
    await ada.page.get_by_role("button", name="New document").click()
    await ada.live()
    assert await ada.page.get_by_role("dialog").count() == 0
    await ada.go_to_list()
    await ada.page.get_by_role("button", name=re.compile("Ada ?: your account")).wait_for()


async def test_documents_are_listed_searched_and_sorted(
    site: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", site.url)
    for title in ("Beta", "Gamma", "Alpha"):
        await ada.new_document(title)
        await ada.go_to_list()
    await ada.listed("Alpha", "Gamma", "Beta")
    await ada.page.get_by_label("Sort by").select_option(label="Title")
    await ada.listed("Alpha", "Beta", "Gamma")
    search = ada.page.get_by_role("searchbox")
    await search.fill("MM")
    await ada.listed("Gamma")
    await search.fill("nothing like it")
    await ada.listed()
    await search.fill("")
    await ada.listed("Alpha", "Beta", "Gamma")
    await ada.page.get_by_role("link", name="Beta").click()
    await ada.live()
    assert await ada.page.locator("#title").inner_text() == "Beta"
    await ada.page.go_back()
    await ada.page.locator("#documents li").first.wait_for()


async def test_a_document_is_renamed_in_the_list_and_over_its_text(
    site: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", site.url)
    address = await ada.new_document("Draft")
    await ada.go_to_list()
    await ada.page.get_by_role("button", name="Rename Draft").click()
    await ada.page.get_by_label("New title").fill("Second draft")
    await ada.page.keyboard.press("Enter")
    await ada.listed("Second draft")
    bob = await people.come("Bob", address)
    await bob.page.get_by_role("button", name="Second draft").click()
    await bob.page.get_by_label("Title").fill("Final")
    await bob.page.keyboard.press("Enter")
    await bob.page.locator("#title").get_by_text("Final").wait_for()
    await ada.page.reload()
    await ada.listed("Final")
    await bob.go_to_list()
    await bob.listed("Final")


async def test_a_deletion_can_be_undone(site: ServerProcess, people: People) -> None:
    ada = await people.come("Ada", site.url)
    await ada.new_document("Keep")
    await ada.begin()
    await ada.type("every word")
    await ada.saved()
    await ada.go_to_list()
    await ada.page.get_by_role("button", name="Delete Keep").click()
    await ada.listed()
    await ada.page.get_by_role("button", name="Undo").click()
    await ada.listed("Keep")
    await ada.page.reload()
    await ada.listed("Keep")
    await ada.page.get_by_role("link", name="Keep").click()
    await ada.sees("every word")


async def test_a_deleted_document_is_gone_and_whoever_is_in_it_is_told(
    site: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", site.url)
    address = await ada.new_document("Gone")
    bob = await people.come("Bob", address)
    await bob.live()
    await ada.go_to_list()
    await ada.page.get_by_role("button", name="Delete Gone").click()
    await ada.listed()
    await ada.page.reload()  # what is not undone when a page is left is deleted
    await bob.page.wait_for_selector('#status[data-connection="stopped"]')
    await ada.page.reload()
    await ada.page.get_by_text("A blank page").wait_for()
    await bob.go_to_list()
    await bob.page.get_by_text("A blank page").wait_for()


async def test_who_does_not_own_a_document_is_not_offered_to_delete_it(
    site: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", site.url)
    bob = await people.come("Bob", await ada.new_document("Ada's"))
    await bob.live()
    await bob.go_to_list()
    await bob.listed("Ada's")
    assert await bob.page.get_by_role("button", name="Rename Ada's").count() == 1
    assert await bob.page.get_by_role("button", name="Delete Ada's").count() == 0


async def test_the_keyboard_is_enough(site: ServerProcess, people: People) -> None:
    """New, title, text, back, down the list, rename, delete, undo: no pointer."""
    ada = await people.come("Ada", site.url)
    press = ada.page.keyboard.press
    await ada.page.get_by_role("button", name="New document").wait_for()
    await press("Alt+n")
    await ada.page.get_by_label("Title").wait_for()
    await ada.type("By hand")
    await press("Enter")
    await ada.live()
    await ada.type("text")
    await ada.sees("text")
    await ada.saved()
    await ada.page.go_back()
    await ada.listed("By hand")
    await press("Control+k")
    await press("ArrowDown")
    await press("F2")
    await ada.type("By keys")
    await press("Enter")
    await ada.listed("By keys")
    await press("Delete")
    await ada.listed()
    await press("Control+z")
    await ada.listed("By keys")
    await press("Enter")
    await ada.sees("text")
