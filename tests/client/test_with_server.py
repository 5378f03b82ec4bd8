"""The client and the real server."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from collab import client
from collab.errors import NotFound, Problem, Unauthorized

if TYPE_CHECKING:
    from tests.serving import Serving


async def test_a_document_is_made_typed_into_and_read(server: Serving) -> None:
    """H4, P3, S1."""
    token = await client.guest_token(server.url, "Ada")
    document_id = await client.create_document(server.url, token, "Notes", "Hello 😀")
    async with client.connect(server.url, document_id, token=token) as editor:
        assert str(editor.text) == "Hello 😀"
        editor.insert(5, ",")
        editor.replace(7, 9, "wörld\n")
        await editor.saved()
        assert editor.is_saved
    assert await client.read_text(server.url, token, document_id) == "Hello, wörld\n"


async def test_what_a_request_asks_in_vain_is_raised(server: Serving) -> None:
    token = await client.guest_token(server.url, "Ada")
    with pytest.raises(NotFound):
        await client.read_text(server.url, token, "no such document")
    with pytest.raises(Unauthorized):
        await client.create_document(server.url, "no token", "Notes")
    with pytest.raises(Problem):
        await client.guest_token(server.url, "")
    with pytest.raises(NotFound):
        async with client.connect(server.url, "no such document", token=token):
            pass


async def test_a_server_that_is_not_there_is_an_oserror() -> None:
    with pytest.raises(OSError, match="refused"):
        await client.guest_token("http://127.0.0.1:1", "Ada")


async def test_several_people_typing_at_once_end_with_the_same_text(server: Serving) -> None:
    """T8, U2: pushes meet in flight, in every order that the network makes."""
    choose = random.Random(7)
    document_id = await server.document("start\n")
    async with AsyncExitStack() as editors:
        everyone = [
            await editors.enter_async_context(
                client.connect(server.url, document_id, token=await server.token(name))
            )
            for name in ("Ada", "Bob", "Cyd")
        ]

        async def type_much(editor: client.Editor) -> None:
            for _ in range(150):
                length = len(editor.text)
                at = choose.randint(0, length)
                if length > 100 and choose.random() < 0.5:
                    editor.delete(at, min(length, at + choose.randint(0, 9)))
                else:
                    editor.insert(at, choose.choice(["a", "bc\n", "ä"]))
                if choose.random() < 0.2:
                    await editor.confirmed()

        async with asyncio.TaskGroup() as tasks:
            for editor in everyone:
                tasks.create_task(type_much(editor))
        for editor in everyone:
            await editor.confirmed()
        last = max(editor.revision for editor in everyone)
        for editor in everyone:
            await editor.at(last)
        assert {str(editor.text) for editor in everyone} == {await server.text(document_id)}


async def test_a_paste_larger_than_a_push_arrives_whole(server: Serving) -> None:
    """L2."""
    token, document_id = await server.token(), await server.document("[]")
    paste = "wide ﷽ text \x01\n" * 60_000
    async with client.connect(server.url, document_id, token=token) as editor:
        editor.insert(1, paste)
        await editor.confirmed()
    assert await server.text(document_id) == f"[{paste}]"
