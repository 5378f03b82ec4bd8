"""What people see of a connection that fails, and that nothing they typed is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest
import pytest_asyncio

from bench.server import running
from collab import client
from tests.browser.proxy import way_to
from tests.building import built

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.server import ServerProcess
    from tests.browser.people import People

PATIENCE_S = 20

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def quick(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A server whose heart beats so fast that a silence is noticed within two seconds."""
    built("dist/index.html")
    path = tmp_path_factory.mktemp("quick")
    async with running(path, COLLAB_HEARTBEAT_S="1") as server:
        yield server


async def test_a_hard_cut_is_shown_survived_and_caught_up(
    site: ServerProcess, people: People
) -> None:
    async with way_to(site) as way:
        ada = await people.come("Ada", way.url, network_fails=True)
        address = await ada.new_document()
        bob = await people.come("Bob", address.replace(way.url, site.url))
        await bob.live()
        await ada.begin()
        await ada.type("before ")
        await bob.sees("before ")
        way.close()
        await ada.cut_off()
        await ada.type("meanwhile ")
        await bob.begin("Control+Home")
        await bob.type("elsewhere ")
        await bob.saved()
        assert await ada.page.get_attribute("#status", "data-saved") == "false"
        way.open()
        for person in (ada, bob):
            await person.sees("elsewhere before meanwhile ")
            await person.saved()


async def test_a_cut_at_every_word_loses_nothing_and_doubles_nothing(
    site: ServerProcess, people: People
) -> None:
    async with way_to(site) as way:
        ada = await people.come("Ada", way.url, network_fails=True)
        address = await ada.new_document()
        bob = await people.come("Bob", address.replace(way.url, site.url))
        await bob.live()
        await ada.begin()
        words = [f"word{n} " for n in range(6)]
        for word in words:
            await ada.type(word)
            way.cut()
        for person in (bob, ada):
            await person.sees("".join(words))
            await person.saved()


@pytest.mark.parametrize("browser_knows", [True, False], ids=["offline", "silent"])
async def test_a_stalled_network_is_shown_survived_and_caught_up(
    quick: ServerProcess, people: People, browser_knows: bool
) -> None:
    """Nothing is closed: the connection just says nothing more, as in a tunnel."""
    async with way_to(quick) as way:
        ada = await people.come("Ada", way.url, network_fails=True)
        address = await ada.new_document()
        bob = await people.come("Bob", address.replace(way.url, quick.url))
        await bob.live()
        await ada.begin()
        await ada.type("before ")
        await bob.sees("before ")
        if browser_knows:
            await ada.context.set_offline(True)
        else:
            way.stall()
        await ada.type("meanwhile ")
        await bob.begin("Control+Home")
        await bob.type("elsewhere ")
        await ada.cut_off()
        await bob.saved()
        if browser_knows:
            await ada.context.set_offline(False)
        else:
            way.go_on()
        for person in (ada, bob):
            await person.sees("elsewhere before meanwhile ")
            await person.saved()


async def test_text_that_was_not_sent_survives_a_reload(
    site: ServerProcess, people: People
) -> None:
    async with way_to(site) as way:
        ada = await people.come("Ada", way.url, network_fails=True)
        address = await ada.new_document()
        bob = await people.come("Bob", address.replace(way.url, site.url))
        await bob.live()
        await ada.begin()
        await ada.type("sent ")
        await ada.saved()
        way.close_to_sessions()
        await ada.cut_off()
        await ada.type("unsent ")
        await bob.begin("Control+Home")
        await bob.type("elsewhere ")
        await bob.saved()
        await ada.page.reload()
        await ada.cut_off()
        way.open()
        for person in (ada, bob):
            await person.sees("elsewhere sent unsent ")
            await person.saved()
        await ada.page.reload()
        await ada.sees("elsewhere sent unsent ")
        await bob.sees("elsewhere sent unsent ")


async def test_text_that_arrived_unanswered_is_not_sent_twice_by_a_page_opened_again(
    site: ServerProcess, people: People
) -> None:
    """The tab is closed before it hears that its push was ordered (H7)."""
    async with way_to(site) as way:
        ada = await people.come("Ada", way.url, network_fails=True)
        address = await ada.new_document()
        bob = await people.come("Bob", address.replace(way.url, site.url))
        await bob.live()
        await ada.begin()
        way.stall_answers()
        await ada.type("once ")
        await bob.sees_length(1)  # the first push; the rest waits for its answer
        await ada.page.close()
        way.go_on()
        again = people.know(await ada.context.new_page(), "Ada", network_fails=True)
        await again.page.goto(address)
        for person in (again, bob):
            await person.sees("once ")
            await person.saved()


async def test_a_server_killed_while_people_type_comes_back_with_every_letter(
    people: People, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with running(tmp_path_factory.mktemp("killed")) as server:
        ada = await people.come("Ada", server.url, network_fails=True)
        address = await ada.new_document()
        bob = await people.come("Bob", address, network_fails=True)
        await bob.live()
        await ada.begin()
        await ada.type("|")
        await bob.sees("|")
        await ada.begin("Control+Home")
        await bob.begin()
        one, other = "left " * 20, " right" * 20
        async with asyncio.TaskGroup() as typing:
            typing.create_task(ada.page.keyboard.type(one, delay=15))
            typing.create_task(bob.page.keyboard.type(other, delay=15))
            await ada.page.wait_for_function(
                "() => document.querySelector('.cm-content').textContent.length > 20"
            )
            await server.kill()
            await ada.cut_off()
            await server.start()
        for person in (ada, bob):
            await person.sees(f"{one}|{other}")
            await person.saved()
        assert await ada.page.locator("section.unsent").count() == 0


async def test_a_page_that_slept_catches_up_when_it_wakes(
    quick: ServerProcess, people: People
) -> None:
    """The server has long ended its session, and the page runs no timers meanwhile."""
    ada = await people.come("Ada", quick.url, network_fails=True)
    bob = await people.come("Bob", await ada.new_document())
    await bob.live()
    await ada.begin()
    await ada.type("before ")
    await bob.sees("before ")
    asleep = await ada.context.new_cdp_session(ada.page)
    await asleep.send("Debugger.enable")
    await asleep.send("Debugger.pause")  # a headless page cannot be frozen; this stops as much
    await bob.begin()
    await bob.type("meanwhile ")
    await left_alone(quick, bob.page.url)
    await asleep.send("Debugger.disable")
    await ada.sees("before meanwhile ")
    await ada.begin()
    await ada.type("after")
    for person in (ada, bob):
        await person.sees("before meanwhile after")
        await person.saved()


async def left_alone(server: ServerProcess, address: str) -> None:
    """Wait until the server has one session of the document."""
    headers = {"Authorization": f"Bearer {await client.guest_token(server.url, 'Observer')}"}
    path = f"/v1/documents/{address.rpartition('#')[2]}"
    async with (
        httpx2.AsyncClient(base_url=server.url, headers=headers) as http,
        asyncio.timeout(PATIENCE_S),
    ):
        while (await http.get(path)).json()["editors"] > 1:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.05)
