"""What sessions are sent, and when."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from collab.log.entry import Ordered, Point
from collab.log.rebase import MAX_BASE_DISTANCE
from collab.rooms import frames
from collab.rooms.containment import Containment
from collab.rooms.fanout import MAX_BATCH_BYTES, Fanout
from collab.rooms.frames import Batch, frame
from collab.rooms.history import SLACK, History
from collab.text import Change, Text

if TYPE_CHECKING:
    from collections.abc import Callable


class Reader:
    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.saved = 0
        self.writable = True
        self.batches: list[Batch] = []
        self.is_behind = False
        self.on_write: Callable[[], None] = lambda: None

    def write(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.on_write()

    def fell_behind(self) -> None:
        self.is_behind = True

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for batch in self.batches for payload in batch.payloads]

    @property
    def revisions(self) -> list[int]:
        """The revisions of the updates that it was sent."""
        return [
            message["revision"] + place
            for message in self.messages
            if message["type"] == "updates"
            for place in range(len(message["updates"]))
        ]


class Document:
    """A history that grows, and its fan-out."""

    def __init__(self) -> None:
        self.history = History(Point(0, "mark 0", 0))
        self.failures = 0
        self.fanout = Fanout(self.history, Text.empty(), Containment(self.fail))

    def fail(self) -> None:
        self.failures += 1

    def grow(self, pushes: int, size: int = 1) -> None:
        for _ in range(pushes):
            revision = self.history.end.revision + 1
            change = Change.replace(0, 0, 0, "x" * size)
            self.history.append(
                Ordered(
                    client="ada",
                    seq=revision,
                    author="ada",
                    at=1,
                    first=revision,
                    weight=0,
                    before=Point(0, "", 0),
                    mark=f"mark {revision}",
                    updates=(Change.empty(0),),
                    changes=(json.dumps(change.to_json()).encode(),),
                    text=Text.empty(),
                )
            )

    def show(self) -> None:
        """Everything, and as saved."""
        self.fanout.show(self.history.end.revision, Text.empty())
        self.fanout.save(self.history.end.revision)


async def flushed() -> None:
    """Let what was scheduled for now happen."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_sessions_at_the_same_position_are_sent_the_same_bytes() -> None:
    document = Document()
    readers = [Reader() for _ in range(5)]
    document.grow(2)
    late = Reader(position=1)
    for reader in (*readers, late):
        document.fanout.add(reader)
    document.show()
    await flushed()
    assert all(reader.batches == readers[0].batches for reader in readers)
    assert len({id(reader.batches[0]) for reader in readers}) == 1
    assert readers[0].batches[0].wire is readers[1].batches[0].wire
    assert (readers[0].revisions, late.revisions) == ([1, 2], [2])


async def test_what_comes_in_before_a_flush_shares_a_message() -> None:
    document, reader = Document(), Reader()
    document.fanout.add(reader)
    for _ in range(10):
        document.grow(1)
        document.show()
    await flushed()
    updates, saved = reader.messages
    assert len(updates["updates"]) == 10
    assert updates["mark"] == "mark 10"
    assert saved == {"type": "saved", "revision": 10}


async def test_u4_one_that_cannot_be_written_to_keeps_its_position_and_others_go_on() -> None:
    document, fast, slow = Document(), Reader(), Reader()
    slow.writable = False
    for reader in (fast, slow):
        document.fanout.add(reader)
    document.grow(3)
    document.show()
    await flushed()
    assert (fast.revisions, slow.batches, slow.position) == ([1, 2, 3], [], 0)
    slow.writable = True
    document.fanout.catch_up(slow)
    assert slow.revisions == [1, 2, 3]
    assert (slow.position, slow.saved) == (3, 3)


async def test_u4_one_that_is_far_behind_is_sent_bounded_messages_while_it_reads() -> None:
    document, reader = Document(), Reader()
    document.grow(40, size=MAX_BATCH_BYTES // 10)
    document.show()

    def stop_after_two() -> None:
        reader.writable = len(reader.batches) % 2 != 0

    reader.on_write = stop_after_two
    rounds = 0
    while reader.position < 40:
        reader.writable = True
        document.fanout.catch_up(reader)
        rounds += 1
    assert reader.revisions == list(range(1, 41))
    assert rounds > 1
    assert all(len(batch.wire) < 2 * MAX_BATCH_BYTES for batch in reader.batches)


async def test_u4_one_behind_what_is_kept_is_told_so() -> None:
    document, reader = Document(), Reader()
    document.grow(MAX_BASE_DISTANCE + SLACK + 1)
    document.show()
    document.fanout.catch_up(reader)
    assert reader.is_behind
    assert reader.batches == []


async def test_a_push_larger_than_a_message_is_sent_whole() -> None:
    document, reader = Document(), Reader()
    document.fanout.add(reader)
    document.grow(1, size=2 * MAX_BATCH_BYTES)
    document.show()
    await flushed()
    assert reader.revisions == [1]


async def test_a_busy_room_waits_after_a_flush_for_as_long_as_its_share_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flush that took 10 ms is followed by none for 70 ms: an eighth of the processor."""
    now = 100.0
    monkeypatch.setattr("collab.rooms.fanout.time.perf_counter", lambda: now)
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def noted(delay: float, *call: Any) -> asyncio.TimerHandle:
        waits.append(delay)
        return call_later(delay, *call)

    monkeypatch.setattr(loop, "call_later", noted)
    document, reader = Document(), Reader()

    def take_10_ms() -> None:
        nonlocal now
        now += 0.010

    reader.on_write = take_10_ms
    document.fanout.add(reader)
    document.grow(1)
    document.show()
    assert waits == []  # a quiet room sends at once
    await flushed()
    document.grow(1)
    document.show()
    document.grow(1)
    document.show()
    assert waits == [pytest.approx(0.070)]
    document.fanout.close()


async def test_a_closed_room_sends_nothing_more() -> None:
    document, reader = Document(), Reader()
    document.fanout.add(reader)
    document.grow(1)
    document.show()
    document.fanout.close()
    document.grow(1)
    document.show()
    await flushed()
    assert reader.batches == []


async def test_s1_what_is_saved_after_it_was_shown_is_told_at_once() -> None:
    """A log of many servers shows what no loss of one can take back, before the database has it."""
    document, reader = Document(), Reader()
    document.fanout.add(reader)
    document.grow(2)
    document.fanout.show(2, Text.empty())
    await flushed()
    assert [message["type"] for message in reader.messages] == ["updates"]
    written = asyncio.Event()
    reader.on_write = written.set
    for saved in (1, 2):
        written.clear()
        document.fanout.save(saved)
        async with asyncio.timeout(10):
            await written.wait()
        assert reader.messages[-1] == {"type": "saved", "revision": saved}
    assert len(reader.messages) == 3


@pytest.mark.parametrize("what", ["flush", "catch up", "beat"])
async def test_a_failure_is_contained_and_told_once(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(frames, "updates", fail)
    monkeypatch.setattr(frames, "beat", fail)
    document, reader = Document(), Reader()
    document.fanout.add(reader)
    document.grow(1)
    match what:
        case "flush":
            document.show()
            await flushed()
        case "catch up":
            document.fanout.visible = 1
            document.fanout.catch_up(reader)
        case "beat":
            document.fanout.beat()
    assert document.failures == 1
    assert reader.batches == []


async def test_u5_a_beat_names_the_position_of_each_session() -> None:
    document, one, other = Document(), Reader(), Reader(position=2)
    document.grow(2)
    document.fanout.add(one)
    document.fanout.add(other)
    document.fanout.visible = 2
    document.fanout.beat()
    assert [
        (reader.messages[0]["revision"], reader.messages[0]["mark"]) for reader in (one, other)
    ] == [
        (0, "mark 0"),
        (2, "mark 2"),
    ]
    assert "crc" not in one.messages[0]
    assert other.messages[0]["crc"] == 0


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_frames_are_what_a_websocket_library_makes(size: int) -> None:
    from websockets.frames import Frame, Opcode

    payload = b"x" * size
    assert frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
