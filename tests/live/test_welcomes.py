"""Long welcomes are sent one after the other, as far as their clients read them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from collab.live.welcomes import LONG_UNITS, Turn, Welcomes
from collab.rooms.open_room import OpenRoom

if TYPE_CHECKING:
    import pytest

    from tests.serving import Serving


def welcomes() -> Welcomes:
    return Welcomes(2, wait_s=10, hold_s=60)


async def begun(turn: Turn) -> asyncio.Task[None]:
    """Somebody who waits to send their welcome, or may by now."""
    waiting = asyncio.create_task(turn.alone())
    await asyncio.sleep(0)
    return waiting


async def test_a_long_welcome_begins_when_the_one_before_is_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collab.live.welcomes.ALONE_S", 60)
    limits = welcomes()
    async with limits.turn(LONG_UNITS + 1) as first, limits.turn(LONG_UNITS + 1) as second:
        await first.alone()
        waiting = await begun(second)
        assert not waiting.done()
        first.end()
        await waiting


async def test_a_long_welcome_begins_though_the_one_before_is_not_read() -> None:
    limits = welcomes()
    async with limits.turn(LONG_UNITS + 1) as first, limits.turn(LONG_UNITS + 1) as second:
        await first.alone()
        await second.alone()


async def test_a_welcome_that_is_given_up_holds_up_nobody() -> None:
    limits = welcomes()
    async with limits.turn(LONG_UNITS + 1) as first:
        await first.alone()
        async with limits.turn(LONG_UNITS + 1) as second:
            waiting = await begun(second)
            waiting.cancel()
            second.end()
        first.end()
    async with limits.turn(LONG_UNITS + 1) as third, limits.turn(LONG_UNITS + 1) as fourth:
        await third.alone()
        await fourth.alone()


async def test_a_short_welcome_waits_for_no_other() -> None:
    limits = welcomes()
    async with limits.turn(LONG_UNITS + 1) as long, limits.turn(LONG_UNITS) as short:
        await long.alone()
        assert (await begun(short)).done()


async def test_h4_a_text_that_is_not_kept_any_more_is_made_anew(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Much may be typed while a welcome waits for those before it."""
    document_id = await server.document("text")
    ada = await server.join(document_id)
    room, mark_at = server.room(document_id), OpenRoom.visible_mark_at

    async def typed_meanwhile(_turn: Turn) -> None:
        if room.visible_revision == 1:
            await ada.push([4, [0, "!"]])
            await ada.heard(2)

    def forgetful(room: OpenRoom, revision: int) -> str | None:
        return mark_at(room, revision) if revision == room.visible_revision else None

    monkeypatch.setattr(Turn, "alone", typed_meanwhile)
    monkeypatch.setattr(OpenRoom, "visible_mark_at", forgetful)
    bob = await server.join(document_id)
    assert bob.welcome["text"] == "text!"
