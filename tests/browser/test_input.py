"""Ways of writing that are not one key after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bench.server import running
from tests.building import built

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.server import ServerProcess
    from tests.browser.people import People, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAX_UNITS = 5_000
MAX_MESSAGE_BYTES = 2_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A server whose documents and messages are small."""
    built("dist/index.html")
    async with running(
        tmp_path_factory.mktemp("small"),
        COLLAB_MAX_DOCUMENT_UNITS=str(MAX_UNITS),
        COLLAB_MAX_MESSAGE_BYTES=str(MAX_MESSAGE_BYTES),
    ) as server:
        yield server


CANDIDATES = "😀😂😃😄"
"""They share their high surrogate."""


async def test_an_input_method_composes_one_emoji_over_another_while_others_type(
    site: ServerProcess, people: People
) -> None:
    """T5: CodeMirror's own difference of the two would cut a surrogate pair."""
    ada = await people.come("Ada", site.url)
    bob = await people.come("Bob", await ada.new_document())
    await bob.live()
    await ada.begin()
    await ada.type("\n")
    await bob.sees("\n")
    await bob.begin("Control+Home")
    others = "others type " * 5
    async with asyncio.TaskGroup() as writing:
        writing.create_task(compose(ada, times=5))
        writing.create_task(bob.page.keyboard.type(others, delay=5))
    for person in (ada, bob):
        await person.sees(others + "\n" + "😄" * 5)
        await person.saved()
    assert await ada.page.locator("section.unsent").count() == 0


async def test_where_others_write_into_a_composition_nothing_is_lost_or_refused(
    site: ServerProcess, people: People
) -> None:
    """The browser ends a composition whose very text is changed: a candidate may stay beside."""
    ada = await people.come("Ada", site.url)
    bob = await people.come("Bob", await ada.new_document())
    await bob.live()
    await ada.begin()
    await ada.type("|")
    await bob.sees("|")
    await bob.begin("Control+Home")
    others = "others type " * 5
    async with asyncio.TaskGroup() as writing:
        writing.create_task(compose(ada, times=5))
        writing.create_task(bob.page.keyboard.type(others, delay=5))
    await ada.saved()
    await bob.saved()
    text = await ada.text()
    await bob.sees(text)
    theirs, own = text.split("|")
    assert theirs == others
    assert own.count("😄") >= 5
    assert set(own) <= set(CANDIDATES)
    assert await ada.page.locator("section.unsent").count() == 0


async def compose(person: Person, times: int) -> None:
    """Go through the candidates and take the last, as an input method does."""
    method = await person.context.new_cdp_session(person.page)
    for _ in range(times):
        for candidate in CANDIDATES:
            at = {"selectionStart": 2, "selectionEnd": 2}
            await method.send("Input.imeSetComposition", {"text": candidate, **at})
        await method.send("Input.insertText", {"text": CANDIDATES[-1]})


async def test_a_paste_that_fits_the_document_and_no_message_arrives_whole(
    small: ServerProcess, people: People
) -> None:
    """L2: it is split."""
    ada = await people.come("Ada", small.url)
    bob = await people.come("Bob", await ada.new_document())
    await bob.live()
    pasted = "".join(f"line {n} 🦊\n" for n in range(300))
    assert MAX_MESSAGE_BYTES < len(pasted) < MAX_UNITS
    await paste(ada, pasted)
    await ada.saved()
    await bob.begin()
    await bob.page.wait_for_selector('.cm-line:text-is("line 299 🦊")')
    assert await ada.page.locator("section.unsent").count() == 0


async def test_a_paste_over_the_limit_is_offered_and_not_dropped(
    small: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", small.url)
    bob = await people.come("Bob", await ada.new_document())
    await bob.live()
    await ada.begin()
    await ada.type("kept ")
    await bob.sees("kept ")
    pasted = "too long " * (MAX_UNITS // 8)
    await paste(ada, pasted)
    offered = ada.page.locator("section.unsent textarea")
    await offered.wait_for()
    taken = (await ada.text()).removeprefix("kept ")
    assert taken + await offered.input_value() == pasted
    await ada.begin("Control+a")
    await ada.type("and on it goes")
    for person in (ada, bob):
        await person.sees("and on it goes")
        await person.saved()


async def paste(person: Person, text: str) -> None:
    """From the clipboard, at the end."""
    await person.begin()
    await person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await person.page.evaluate("text => navigator.clipboard.writeText(text)", text)
    await person.page.keyboard.press("Control+v")
