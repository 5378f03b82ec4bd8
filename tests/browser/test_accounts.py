"""Signing up, in and out; and that nothing of one person is shown to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.server import running
from tests.browser.people import PASSWORD
from tests.building import built

if TYPE_CHECKING:
    from pathlib import Path

    from bench.server import ServerProcess
    from tests.browser.people import People

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_who_signs_out_comes_back_to_their_documents(
    site: ServerProcess, people: People
) -> None:
    ada = await people.join("Ada", site.url)
    await ada.new_document("Mine")
    await ada.go_to_list()
    await ada.sign_out()
    assert await ada.page.evaluate("Object.keys(localStorage)") == []
    await ada.page.get_by_role("button", name="Sign in").click()
    await ada.sign_in("not the password")
    await ada.page.get_by_text("The username or the password is not right.").wait_for()
    await ada.sign_in()
    await ada.listed("Mine")
    await ada.page.get_by_role("button", name="your account").click()
    await ada.page.get_by_text(f"You are signed in as @{ada.username}.").wait_for()


async def test_a_guest_who_makes_an_account_keeps_their_documents(
    site: ServerProcess, people: People
) -> None:
    ada = await people.come("Ada", site.url)
    await ada.new_document("Begun as a guest")
    await ada.go_to_list()
    await ada.choose("Create an account")
    assert await ada.page.get_by_label("Your name").input_value() == "Ada"
    await ada.page.get_by_label("Username").fill(ada.username)
    await ada.page.get_by_label("New password").fill(PASSWORD)
    await ada.page.get_by_role("button", name="Create", exact=True).click()
    await ada.page.get_by_role("dialog").wait_for(state="detached")
    await ada.sign_out()
    await ada.page.get_by_role("button", name="Sign in").click()
    await ada.sign_in()
    await ada.listed("Begun as a guest")


async def test_what_one_has_not_sent_is_not_shown_to_who_comes_next_and_is_not_lost(
    site: ServerProcess, people: People
) -> None:
    ada = await people.join("Ada", site.url)
    address = await ada.new_document("Shared")
    await ada.begin()
    await ada.type("sent ")
    await ada.saved()
    ada.hold()
    await ada.type("not sent")
    await ada.sees("sent not sent")
    await ada.page.locator("button.people").click()
    await ada.page.get_by_role("button", name="Sign out").click()
    await ada.page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    await ada.page.get_by_label("Your name").wait_for()
    ada.forget()
    bob = people.know(ada.page, "Bob")
    await bob.introduce()
    await bob.page.goto(address)
    await bob.live()
    await bob.sees("sent ")
    await bob.go_to_list()
    await bob.choose("Sign in")
    await ada.sign_in()
    await ada.listed("Shared")
    await ada.page.goto(address)
    await ada.sees("sent not sent")
    await ada.saved()


async def test_who_is_signed_out_from_elsewhere_keeps_what_they_typed_and_goes_on(
    site: ServerProcess, people: People
) -> None:
    ada = await people.join("Ada", site.url)
    address = await ada.new_document("Two places")
    elsewhere = people.know(await people.page(), "Ada elsewhere", refused=True)
    elsewhere.username = ada.username
    await elsewhere.page.goto(site.url)
    await elsewhere.page.get_by_role("button", name="Sign in").click()
    await elsewhere.sign_in()
    await elsewhere.listed("Two places")
    ada.hold()
    await ada.begin()
    await ada.type("on its way")
    await elsewhere.choose("Change your password")
    await elsewhere.page.get_by_label("Your password until now").fill("not this one")
    await elsewhere.page.get_by_label("New password").fill("another horse")
    await elsewhere.page.get_by_role("button", name="Change it").click()
    await elsewhere.page.get_by_text("Your password until now is another one.").wait_for()
    await elsewhere.page.get_by_label("Your password until now").fill(PASSWORD)
    await elsewhere.page.get_by_role("button", name="Change it").click()
    await ada.is_told("You are signed out.")
    await ada.is_told("What you typed is kept on this device")
    ada.forget()
    await ada.page.locator(".banner").get_by_role("button", name="Sign in").click()
    await ada.sign_in("another horse")
    await ada.saved()
    await ada.sees("on its way")
    await elsewhere.page.goto(address)
    await elsewhere.sees("on its way")


async def test_only_what_the_server_lets_people_do_is_offered(
    people: People, tmp_path: Path
) -> None:
    built("dist/index.html")
    async with running(tmp_path, COLLAB_GUESTS="false", COLLAB_REGISTRATION="false") as server:
        ada = people.know(await people.page(), "Ada", refused=True)
        await ada.page.goto(server.url)
        await ada.page.get_by_label("Password").wait_for()
        await ada.page.keyboard.press("Escape")
        await ada.page.get_by_label("Password").wait_for()
        form = ada.page.get_by_role("dialog")
        assert [await each.inner_text() for each in await form.get_by_role("button").all()] == [
            "Sign in"
        ]
        await ada.sign_in()
        await ada.page.get_by_text("The username or the password is not right.").wait_for()
