"""The text of a fresh start is made once for all who come for it."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import TYPE_CHECKING

import pytest

from collab.rooms import snapshot as module
from collab.rooms.frames import Welcome
from collab.rooms.snapshot import LONG_UNITS, Snapshot, Snapshots
from collab.tasks import Tasks
from collab.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator


class Shown:
    """What a room shows, and how often its text was encoded."""

    def __init__(self, tasks: Tasks) -> None:
        self.revision = 1
        self.text = "a longer text, " * LONG_UNITS
        self.made: list[int] = []
        self.snapshots = Snapshots(
            lambda: (self.revision, f"mark {self.revision}", Text.of(self.text)), tasks
        )

    def count(self, patch: pytest.MonkeyPatch) -> None:
        make = module._make

        def counted(revision: int, mark: str, text: Text, *, deflated: bool) -> Snapshot:
            self.made.append(revision)
            return make(revision, mark, text, deflated=deflated)

        patch.setattr(module, "_make", counted)


@pytest.fixture
def tasks() -> Iterator[Tasks]:
    made = Tasks()
    yield made
    made.cancel()


@pytest.fixture
def shown(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> Shown:
    made = Shown(tasks)
    made.count(monkeypatch)
    return made


async def test_all_who_come_at_once_for_a_long_text_share_one(shown: Shown) -> None:
    taken = await asyncio.gather(*(shown.snapshots.take(deflated=True) for _ in range(150)))
    assert shown.made == [1]
    assert all(each is taken[0] for each in taken)


async def test_who_comes_while_an_older_one_is_made_gets_what_is_shown_by_then(
    shown: Shown,
) -> None:
    early = asyncio.create_task(shown.snapshots.take(deflated=False))
    await asyncio.sleep(0)
    shown.revision = 2
    late = asyncio.create_task(shown.snapshots.take(deflated=False))
    assert ((await early).revision, (await late).revision) == (1, 2)
    assert shown.made == [1, 2]


async def test_one_that_was_made_for_who_inflates_nothing_is_made_again_deflated(
    shown: Shown,
) -> None:
    plain = await shown.snapshots.take(deflated=False)
    deflated = await shown.snapshots.take(deflated=True)
    assert (plain.deflated, shown.made) == (None, [1, 1])
    assert deflated.deflated is not None
    assert await shown.snapshots.take(deflated=False) is deflated


async def test_one_that_cannot_be_made_fails_for_who_asked(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "_make", fail)
    with pytest.raises(MemoryError):
        await shown.snapshots.take(deflated=False)


async def test_one_outlives_the_tasks_of_its_room(shown: Shown, tasks: Tasks) -> None:
    """A room may be closed meanwhile: the session is told when it joins."""
    waiting = asyncio.create_task(shown.snapshots.take(deflated=False))
    await asyncio.sleep(0)
    tasks.cancel()
    assert (await waiting).revision == 1


async def test_one_that_nobody_takes_any_more_is_forgotten(shown: Shown) -> None:
    await shown.snapshots.take(deflated=False)
    shown.snapshots.tidy()
    await shown.snapshots.take(deflated=False)
    assert shown.made == [1]
    shown.snapshots.tidy()
    shown.snapshots.tidy()
    await shown.snapshots.take(deflated=False)
    assert shown.made == [1, 1]


@pytest.mark.parametrize("text", ["short", " ".join(map(str, range(1_000)))])
async def test_h4_a_deflated_welcome_is_one_message_of_all_its_parts(
    shown: Shown, text: str
) -> None:
    shown.text = text
    welcome = Welcome(b'{"type":"welcome"}', await shown.snapshots.take(deflated=True))
    plain, deflated = b"".join(welcome.wire), b"".join(welcome.deflated)
    assert json.loads(welcome.payload) == {"type": "welcome", "text": text}
    assert plain.endswith(welcome.payload)
    if len(text) < 1_000:
        assert deflated == plain
        return
    size = int.from_bytes(deflated[2:4], "big")
    assert (deflated[:2], len(deflated)) == (b"\xc1\x7e", 4 + size)
    inflated = zlib.decompressobj(-15).decompress(deflated[4:] + b"\x00\x00\xff\xff")
    assert inflated == welcome.payload
