"""The example of another editor: a plain `<textarea>` on the same connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.building import built

if TYPE_CHECKING:
    from bench.server import ServerProcess
    from tests.browser.people import People

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_textarea_and_the_editor_write_in_one_document(
    site: ServerProcess, people: People
) -> None:
    built("dist/textarea.html")
    ada = await people.come("Ada", site.url)
    address = await ada.new_document()
    page = await people.page()
    people.know(page, "Textarea")
    await page.goto(f"{site.url}/textarea.html#{address.rpartition('#')[2]}")
    field = page.get_by_label("Text")
    await ada.begin()
    await ada.type("|")
    await page.wait_for_function("() => document.getElementById('text').value === '|'")
    await page.wait_for_function(
        "() => document.getElementById('peers').textContent.includes('Ada')"
    )
    await field.focus()
    await page.keyboard.press("Control+Home")
    left, right = "a plain 🦊\nfield ", " the\neditor 🐶"
    async with asyncio.TaskGroup() as typing:
        typing.create_task(page.keyboard.type(left))
        typing.create_task(ada.type(right))
    await ada.sees(f"{left}|{right}")
    await page.wait_for_function(
        "text => document.getElementById('text').value === text", arg=f"{left}|{right}"
    )
    await page.get_by_text("Status: saved").wait_for()
