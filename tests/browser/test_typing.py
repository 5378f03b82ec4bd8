"""People who write in one document at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.server import ServerProcess
    from tests.browser.people import People

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_pages_that_type_at_once_converge_and_a_reload_finds_the_text(
    site: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", site.url)
    bob = await people.come("Bob", await ada.new_document())
    await ada.begin()
    await ada.type("Shared: ")
    await bob.sees("Shared: ")
    await bob.begin()
    await ada.begin("Control+Home")
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


async def test_three_pages_that_type_in_one_place_end_with_the_same_text(
    site: ServerProcess, people: People
) -> None:
    """Whose letters come first is the order's to say; every one of them is there."""
    ada = await people.come("Ada", site.url)
    address = await ada.new_document()
    everybody = [ada, *[await people.come(name, address) for name in ("Bob", "Cleo")]]
    written = ["a" * 30, "b" * 30, "c" * 30]
    for person in everybody:
        await person.live()
        await person.begin()
    async with asyncio.TaskGroup() as typing:
        for person, text in zip(everybody, written, strict=True):
            typing.create_task(person.type(text))
    for person in everybody:
        await person.saved()
        await person.sees_length(90)
    text = await ada.text()
    assert sorted(text) == sorted("".join(written))
    await asyncio.gather(*(person.sees(text) for person in everybody))


async def test_undo_takes_back_ones_own_and_leaves_what_others_wrote(
    site: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", site.url)
    bob = await people.come("Bob", await ada.new_document())
    await bob.live()
    await ada.begin()
    await ada.type("mine")
    await bob.sees("mine")
    await bob.begin("Control+Home")
    await bob.type("yours and ")
    await ada.sees("yours and mine")
    await ada.begin()
    await ada.page.keyboard.press("Control+z")
    for person in (ada, bob):
        await person.sees("yours and ")
    await ada.page.keyboard.press("Control+y")
    for person in (ada, bob):
        await person.sees("yours and mine")
