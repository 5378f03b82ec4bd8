"""What a room's sessions are shown, and when.

Sessions hold no updates of their own: each has a position in the room's history, and the same bytes
go to all that stand at the same one. A session that cannot be written to keeps its position, and
goes on from there when it can. A quiet room sends at once. A busy one waits after each flush in
proportion to what the flush took, so that fan-out never takes more than its share of the processor,
and what comes in meanwhile shares a message. How far the history is saved is told with the next
updates, or by itself where none come soon.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from collab.counts import Counts
from collab.rooms import frames
from collab.rooms.frames import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from collab.rooms.containment import Containment
    from collab.rooms.history import History
    from collab.text import Text

MAX_BATCH_BYTES = 256 * 1024
"""How much of the history goes into one message; a single push may be larger."""

FLUSH_SHARE = 1 / 8
"""The share of the processor that a room's flushes take at most. What a flush takes hardly depends
on how much it sends: two hundred who type wait a hundredth of a second for it, a thousand a tenth.
"""

MAX_WAIT_S = 0.1
"""The longest that an update waits for a flush."""

SAVED_SHARE = 1 / 32
"""The share that telling what is saved takes at most, where there is nothing else to tell."""

MIN_SAVED_WAIT_S = 0.05
"""The least time between two messages that tell nothing else: where people type on, it is told with
the next update.
"""

MAX_SAVED_WAIT_S = 1.0

MAX_CRC_UNITS = 1_000_000
"""The longest text whose checksum goes into beats."""


class Reader(Protocol):
    """A session, as the fan-out sees it. The fan-out alone moves `position` and `saved`."""

    position: int
    """The revision up to which it has been sent updates."""
    saved: int
    """The saved revision that it was last told."""

    @property
    def writable(self) -> bool: ...

    def write(self, batch: Batch) -> None: ...

    def fell_behind(self) -> None:
        """Its position is no longer kept: the session ends (U4)."""


Batches = dict[tuple[int, int], tuple[Batch, int]]
"""Position and saved revision of a session: what to send it, and the position after that."""


class Fanout:
    """The sessions of one room, and how far the history may be shown."""

    def __init__(
        self,
        history: History,
        text: Text,
        containment: Containment,
        counts: Counts | None = None,
    ) -> None:
        """All of `history`, whose end is `text`, may be shown and is saved."""
        self._history = history
        self.visible = self.saved = history.end.revision
        self.text = text
        self._contained = containment
        self._counts = Counts() if counts is None else counts
        self._closed = False
        self._readers: dict[Reader, None] = {}
        self._timer: asyncio.Handle | None = None
        self._quiet_until = 0.0
        self._saved_timer: asyncio.Handle | None = None
        self._saved_quiet_until = 0.0
        self._crc: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Reader]:
        return iter(tuple(self._readers))

    def add(self, reader: Reader) -> None:
        self._readers[reader] = None

    def discard(self, reader: Reader) -> None:
        self._readers.pop(reader, None)

    def show(self, revision: int, text: Text) -> None:
        """The history may be shown up to `revision`, whose text is `text`."""
        self.visible, self.text = revision, text
        self._wake()

    def save(self, revision: int) -> None:
        """The database has the history up to `revision`, which is not beyond what is shown."""
        self.saved = revision
        if self._timer is None and self._saved_timer is None and self._readers and not self._closed:
            self._saved_timer = _after(self._saved_quiet_until, self._tell_saved)

    def close(self) -> None:
        """Send nothing more."""
        self._closed = True
        for timer in (self._timer, self._saved_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._saved_timer = None

    def catch_up(self, reader: Reader) -> None:
        """Send a session what it lacks, while it can be written to."""
        with self._contained:
            self._send(reader, {})

    def _wake(self) -> None:
        if self._timer is None and self._readers and not self._closed:
            self._timer = _after(self._quiet_until, self._flush)

    def _flush(self) -> None:
        self._timer = None
        took = self._send_all()
        self._quiet_until = time.perf_counter() + min(took * (1 / FLUSH_SHARE - 1), MAX_WAIT_S)

    def _tell_saved(self) -> None:
        self._saved_timer = None
        if self._timer is not None:
            return  # it is told with the updates
        took = self._send_all()
        wait = min(max(took / SAVED_SHARE, MIN_SAVED_WAIT_S), MAX_SAVED_WAIT_S)
        self._saved_quiet_until = time.perf_counter() + wait

    def _send_all(self) -> float:
        """Returns how many seconds it took."""
        started = time.perf_counter()
        shared: Batches = {}
        with self._contained:
            for reader in self:
                self._send(reader, shared)
        return time.perf_counter() - started

    def _send(self, reader: Reader, shared: Batches) -> None:
        """`shared` holds what was made for other sessions in the same flush."""
        while (reader.position < self.visible or reader.saved < self.saved) and reader.writable:
            if reader.position < self._history.start:
                reader.fell_behind()
                return
            place = reader.position, reader.saved
            if place not in shared:
                shared[place] = self._batch(*place)
            batch, reader.position = shared[place]
            self._counts.deliveries += reader.position - place[0]
            if reader.position == self.visible:
                reader.saved = self.saved
            reader.write(batch)

    def beat(self) -> None:
        """Send each session its beat (U5)."""
        beats: dict[int, Batch | None] = {}
        with self._contained:
            for reader in self:
                if reader.position not in beats:
                    beats[reader.position] = self._beat(reader.position)
                batch = beats[reader.position]
                if batch is None:
                    reader.fell_behind()
                elif reader.writable:
                    reader.write(batch)

    def _beat(self, position: int) -> Batch | None:
        """The beat for sessions at a position; None if it is no longer kept."""
        mark = self._history.mark_at(position)
        if mark is None:
            return None
        return Batch(frames.beat(position, mark, self.saved, self._checksum(position)))

    def _batch(self, position: int, saved: int) -> tuple[Batch, int]:
        """The next messages for a session at a position, and the position after them."""
        payloads, end = [], position
        if position < self.visible:
            items, end, mark = self._history.items(position, self.visible, MAX_BATCH_BYTES)
            payloads.append(frames.updates(position + 1, mark, items))
        if end == self.visible and saved < self.saved:
            payloads.append(frames.saved(self.saved))
        return Batch(*payloads), end

    def _checksum(self, revision: int) -> int | None:
        """The checksum of the text that is shown (U6), if it is the one at `revision`."""
        if revision != self.visible or len(self.text) > MAX_CRC_UNITS:
            return None
        if self._crc is None or self._crc[0] != revision:
            self._crc = revision, self.text.crc32()
        return self._crc[1]


def _after(until: float, call: Callable[[], None]) -> asyncio.Handle:
    """Call it at a time of `time.perf_counter`, soon if that is past."""
    loop = asyncio.get_running_loop()
    wait = until - time.perf_counter()
    return loop.call_later(wait, call) if wait > 0 else loop.call_soon(call)
