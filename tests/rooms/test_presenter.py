"""Who is told of whom, and that updates come between."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from collab.log.entry import Point, first_mark
from collab.rooms.containment import Containment
from collab.rooms.history import History
from collab.rooms.presence import Presence
from collab.rooms.presenter import TOLD_AT_ONCE, Presenter

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.rooms.frames import Batch


class Watcher:
    color = "#000000"
    writable = True

    def __init__(self, client: str, on_write: Callable[[str], None]) -> None:
        self.client = self.name = client
        self.presence = 0
        self._on_write = on_write

    def write(self, _batch: Batch) -> None:
        self._on_write(self.client)


async def test_a3_what_is_due_meanwhile_comes_before_everybody_is_told() -> None:
    neighbours: Any = SimpleNamespace(due=False, join=lambda *_: None, leave=lambda *_: None)
    presence = Presence(History(Point(0, first_mark("d"), 0)))
    presenter = Presenter(presence, neighbours, 1_000, lambda: (0, 0), Containment(lambda: None))
    told: list[str] = []
    done = asyncio.Event()

    def write(client: str) -> None:
        if not told:
            asyncio.get_running_loop().call_soon(told.append, "an update")
            presenter.leave(leaving)
        told.append(client)
        if client == everybody[-1].client:
            done.set()

    everybody = [Watcher(f"client {n}", write) for n in range(2 * TOLD_AT_ONCE + 1)]
    leaving = everybody[-2]
    for watcher in everybody:
        presenter.watch(watcher)
    presenter.join(everybody[-1], 1)
    presenter.join(everybody[0], 1)
    async with asyncio.timeout(10):
        await done.wait()
    presenter.close()
    assert told.index("an update") == TOLD_AT_ONCE
    told.remove("an update")
    assert told == [each.client for each in everybody if each is not leaving]
