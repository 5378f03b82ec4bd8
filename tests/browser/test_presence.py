"""Others' cursors and selections, and who is here (A1 to A4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.server import ServerProcess
    from tests.browser.people import People, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_others_cursors_are_seen_where_they_are_with_their_names(
    site: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", site.url)
    bob = await people.come("Bob", await ada.new_document())
    await ada.begin()
    await ada.type("one\ntwo\nthree")
    await bob.sees("one\ntwo\nthree")
    await sees_cursor(bob, "Ada", line=2)
    await ada.page.keyboard.press("Control+Home")
    await sees_cursor(bob, "Ada", line=0)
    # What Bob types above moves what he sees of Ada along with the text.
    await ada.begin("Control+End")
    await sees_cursor(bob, "Ada", line=2)
    await bob.begin("Control+Home")
    await bob.type("zero\n")
    await sees_cursor(bob, "Ada", line=3)
    await sees_cursor(ada, "Bob", line=1)


async def test_a_selection_is_seen_and_leaving_is_noticed(
    site: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", site.url)
    bob = await people.come("Bob", await ada.new_document())
    await ada.begin()
    await ada.type("select me")
    await bob.sees("select me")
    await ada.page.keyboard.press("Shift+Home")
    selection = bob.page.locator(".cm-peerSelection")
    await selection.wait_for(state="attached")
    line = await bob.page.locator(".cm-line").bounding_box()
    shown = await selection.bounding_box()
    assert line is not None
    assert shown is not None
    assert abs(shown["y"] - line["y"]) < line["height"]
    await here(bob, 2)
    await ada.page.close()
    await selection.wait_for(state="detached")
    await here(bob, 1)
    assert await bob.page.locator(".cm-peerCursor").count() == 0


async def test_people_are_told_apart_by_their_colours(site: ServerProcess, people: People) -> None:
    """Two may have the same of the twelve, by their ids; five have it once in 20,000 runs."""
    ada = await people.come("Ada", site.url)
    address = await ada.new_document()
    await ada.begin()
    for name in ("Bob", "Cleo", "Dan", "Eve", "Fay"):
        await (await people.come(name, address)).begin()
    cursors = ada.page.locator(".cm-peerCursor")
    await cursors.nth(4).wait_for(state="attached")
    colours = await cursors.evaluate_all(
        "all => all.map(each => getComputedStyle(each).background)"
    )
    assert len(set(colours)) > 1
    await here(ada, 6)


async def sees_cursor(person: Person, name: str, *, line: int) -> None:
    """Wait until somebody's cursor stands in a line, counted from 0."""
    await person.page.wait_for_function(
        """([name, at]) => {
            const cursor = [...document.querySelectorAll(".cm-peerCursor")]
                .find(each => each.textContent === name)?.getBoundingClientRect();
            const line = document.querySelectorAll(".cm-line")[at]?.getBoundingClientRect();
            if (!cursor || !line) return false;
            const middle = (cursor.top + cursor.bottom) / 2;
            return line.top < middle && middle < line.bottom;
        }""",
        arg=[name, line],
    )


async def here(person: Person, count: int) -> None:
    """Wait until the page counts so many people."""
    said = "1 person here" if count == 1 else f"{count} people here"
    await person.page.get_by_role("button", name=said).wait_for()
