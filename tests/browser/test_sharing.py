"""Who may do what with a document, and how those who are in it hear of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.server import ServerProcess
    from tests.browser.people import People, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

OFFER = "Save as a document of my own"


async def share(owner: Person) -> None:
    """Open the share dialog."""
    await owner.page.get_by_role("button", name="Share").click()
    await owner.page.get_by_role("heading", name="Share this document").wait_for()


async def done(person: Person) -> None:
    await person.page.get_by_role("button", name="Done").click()


async def give(owner: Person, somebody: Person, role: str) -> None:
    """By their username, in the share dialog."""
    await owner.page.get_by_label("Add somebody").fill(f"@{somebody.username}")
    await owner.page.get_by_label("Their role").select_option(label=role)
    await owner.page.get_by_role("button", name="Add", exact=True).click()
    await owner.page.get_by_label(f"Role of {somebody.name}").wait_for()


async def change(owner: Person, somebody: Person, role: str) -> None:
    await owner.page.get_by_label(f"Role of {somebody.name}").select_option(label=role)
    await owner.page.get_by_text(f"{somebody.name}: {role}.").wait_for()


async def together(people: People, site: ServerProcess) -> tuple[Person, Person]:
    """Ada's document, which she shared with Bob as an editor, and both in it."""
    ada = await people.join("Ada", site.url)
    bob = await people.join("Bob", site.url)
    address = await ada.new_document("Plan")
    await share(ada)
    await give(ada, bob, "Editor")
    await bob.page.goto(address)
    await bob.live()
    return ada, bob


async def test_whoever_is_made_a_viewer_while_typing_is_told_and_keeps_the_text(
    closed_site: ServerProcess, people: People
) -> None:
    """X2, P5: and an editor again, without loading the page anew."""
    ada, bob = await together(people, closed_site)
    await bob.begin()
    await bob.type("taken ")
    await bob.saved()
    bob.hold()
    await bob.type("too late")
    await change(ada, bob, "Viewer")
    await bob.page.get_by_text("You may only read this document now.").wait_for()
    bob.let_go()
    await bob.page.get_by_role("heading", name="Your last changes were not taken").wait_for()
    assert await bob.page.get_by_label("Your text").input_value() == "too late"
    await bob.sees("taken ")
    await bob.page.get_by_text("Read only", exact=True).wait_for()
    await bob.begin()
    await bob.type("nothing")
    await bob.page.keyboard.press("Control+a")
    assert str(await bob.page.evaluate("getSelection().toString()")).strip() == "taken"
    await bob.sees("taken ")

    await done(ada)
    await ada.page.get_by_text("2 people here").wait_for(state="attached")  # a viewer is seen

    await share(ada)
    await change(ada, bob, "Editor")
    await done(ada)
    await bob.page.get_by_text("You may write in this document now.").wait_for()
    await bob.begin()
    await bob.type("again")
    await ada.sees("taken again")

    await bob.page.get_by_role("button", name=OFFER).click()
    await bob.page.get_by_role("button", name="Open").click()
    await bob.sees("too late")
    await bob.go_to_list()
    await bob.listed("From “Plan”", "Plan")


async def test_whoever_is_removed_is_told_and_keeps_the_text(
    closed_site: ServerProcess, people: People
) -> None:
    """X2."""
    ada, bob = await together(people, closed_site)
    bob.hold()
    await bob.begin()
    await bob.type("too late")
    await ada.page.get_by_role("button", name="Remove Bob").click()
    await bob.is_told("You have no access to this document any more.")
    bob.forget()
    assert await bob.page.get_by_label("Your text").input_value() == "too late"
    await bob.page.reload()
    await bob.is_told("or you have no access to it")
    assert await bob.page.get_by_label("Your text").input_value() == "too late"
    await bob.page.get_by_role("button", name=OFFER).click()
    await bob.page.get_by_role("button", name="Open").click()
    await bob.sees("too late")


async def test_a_document_that_is_deleted_leaves_what_was_not_sent(
    closed_site: ServerProcess, people: People
) -> None:
    """X2."""
    ada, bob = await together(people, closed_site)
    bob.hold()
    await bob.begin()
    await bob.type("too late")
    await done(ada)
    await ada.go_to_list()
    await ada.page.get_by_role("button", name="Delete Plan").click()
    await ada.page.reload()  # what is not undone when a page is left is deleted
    await bob.is_told("This document was deleted.")
    bob.forget()
    assert await bob.page.get_by_label("Your text").input_value() == "too late"


async def test_a_link_lets_in_whoever_knows_its_password_until_it_is_revoked(
    closed_site: ServerProcess, people: People
) -> None:
    ada = await people.join("Ada", closed_site.url)
    await ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    address = await ada.new_document("Letter")
    await ada.begin()
    await ada.type("Dear all")
    await ada.saved()
    await share(ada)
    await ada.page.get_by_label("Expires").select_option(label="In a day")
    await ada.page.get_by_label("Password").fill("open, please")
    await ada.page.get_by_role("button", name="Make a link").click()
    await ada.page.get_by_role("button", name="Copy link").click()
    await ada.page.get_by_role("button", name="Copied").wait_for()
    link = str(await ada.page.evaluate("navigator.clipboard.readText()"))
    assert re.fullmatch(re.escape(closed_site.url) + r"/#link=[\w-]+", link)

    cleo = people.know(await people.page(), "Cleo", refused=True)
    await cleo.page.goto(link)
    await cleo.introduce()
    await cleo.page.get_by_label("Password of the link").fill("a guess")
    await cleo.page.get_by_role("button", name="Open").click()
    await cleo.page.get_by_text("That is not the password of this link.").wait_for()
    await cleo.page.get_by_label("Password of the link").fill("open, please")
    await cleo.page.get_by_role("button", name="Open").click()
    await cleo.sees("Dear all")
    await cleo.page.get_by_text("Read only", exact=True).wait_for()
    assert cleo.page.url == address
    await cleo.go_to_list()
    await cleo.listed("Letter")
    await cleo.page.get_by_role("link", name="Letter").click()
    await cleo.live()

    await done(ada)
    await share(ada)
    await ada.page.get_by_label("Role of Cleo").wait_for()
    await ada.page.get_by_role("button", name="Revoke").click()
    await ada.page.get_by_label("Role of Cleo").wait_for(state="detached")
    await cleo.is_told("You have no access to this document any more.")
    await cleo.page.goto(link)
    await cleo.page.get_by_text("This link does not work, or not any more.").wait_for()


async def test_an_address_alone_opens_what_anyone_may_read_and_nothing_else(
    closed_site: ServerProcess, people: People
) -> None:
    ada = await people.join("Ada", closed_site.url)
    bob = await people.join("Bob", closed_site.url)
    address = await ada.new_document("Notice")
    await bob.page.goto(address)
    await bob.is_told("or you have no access to it")
    await share(ada)
    await ada.page.get_by_label("Anyone with the address").select_option(label="Viewer")
    await ada.page.get_by_text("Anyone with the address: Viewer.").wait_for()
    await bob.page.get_by_role("button", name="Reload").click()
    await bob.live()
    await bob.page.get_by_text("Read only", exact=True).wait_for()
    await share(bob)
    await bob.page.get_by_text("You may read.").wait_for()
    assert await bob.page.get_by_label("Anyone with the address").is_disabled()
    assert await bob.page.get_by_role("heading", name="People").count() == 0

    await ada.page.get_by_label("Anyone with the address").select_option(label="No access")
    await bob.is_told("You have no access to this document any more.")


async def test_whoever_has_no_access_may_sign_in_as_somebody_who_has(
    closed_site: ServerProcess, people: People
) -> None:
    ada = await people.join("Ada", closed_site.url)
    address = await ada.new_document("Hers")
    guest = people.know(await people.page(), "Guest", refused=True)
    await guest.page.goto(address)
    await guest.introduce()
    await guest.page.get_by_role("button", name="Sign in as somebody else").click()
    guest.username = ada.username
    await guest.sign_in()
    await guest.live()
    assert await guest.page.locator("#title").inner_text() == "Hers"


async def test_a_document_is_handed_over_and_its_former_owner_may_leave(
    closed_site: ServerProcess, people: People
) -> None:
    ada, bob = await together(people, closed_site)
    await ada.page.get_by_label("Role of Bob").select_option(label="Owner…")
    await ada.page.get_by_role("button", name="Hand it over").click()
    await ada.page.get_by_text("You may read and write.").wait_for()
    await ada.page.get_by_role("button", name="Leave this document").click()
    await ada.page.get_by_role("button", name="Leave", exact=True).click()
    await ada.listed()
    await share(bob)
    await bob.page.get_by_text("It is yours").wait_for()
    await bob.page.get_by_role("dialog").get_by_text("Bob (you)").wait_for()
    assert await bob.page.get_by_label("Role of Ada").count() == 0


async def test_a_username_that_nobody_has_is_said(
    closed_site: ServerProcess, people: People
) -> None:
    ada = await people.join("Ada", closed_site.url)
    await ada.new_document("Alone")
    await share(ada)
    who = ada.page.get_by_label("Add somebody")
    await who.fill("nobody.at.all")
    await ada.page.get_by_role("button", name="Add", exact=True).click()
    await ada.page.locator(".told.failure").wait_for()
    assert await who.input_value() == "@nobody.at.all"
