"""The text of a fresh start (H4): made once for all who come at about the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from collab.log.entry import encode_json
from collab.rooms.frames import DEFLATED_FROM_BYTES, deflate

if TYPE_CHECKING:
    from collections.abc import Callable

    from collab.tasks import Tasks
    from collab.text import Text

LONG_UNITS = 64 * 1024
"""A text that is longer is encoded in a thread."""

LEVEL = 6


class Snapshot(NamedTuple):
    """A text at a revision: as a JSON string, and as the end of a deflated message, `"text"}`, if
    somebody asked for it and it is worth it.
    """

    revision: int
    mark: str
    json: bytes
    deflated: bytes | None


class Snapshots:
    """Of one room; `visible` gives the visible revision, its mark, and its text.

    One is made at a time. Who comes meanwhile waits for it, and for the next one if what they may
    have seen is not in it yet.
    """

    def __init__(self, visible: Callable[[], tuple[int, str, Text]], tasks: Tasks) -> None:
        self._visible = visible
        self._tasks = tasks
        self._last: Snapshot | None = None
        self._used = False
        self._making: asyncio.Task[None] | None = None

    async def take(self, *, deflated: bool) -> Snapshot:
        """One that is not older than this call. The one that is returned is kept in the history
        until the next turn of the loop at least.
        """
        wanted = self._visible()[0]
        while True:
            last = self._last
            if last is not None and last.revision >= wanted and self._has(last, deflated):
                self._used = True
                return last
            if len(self._visible()[2]) <= LONG_UNITS:
                self._last = _make(*self._visible(), deflated=deflated)
                continue
            if self._making is None or self._making.done():
                self._making = self._tasks.start(
                    self._make_in_thread(*self._visible(), deflated=deflated)
                )
            making = self._making
            await asyncio.wait([making])
            if not making.cancelled():  # as when the room is closed
                making.result()

    def tidy(self) -> None:
        """Forget one that nobody took since this was called last."""
        if not self._used:
            self._last = None
        self._used = False

    def _has(self, snapshot: Snapshot, deflated: bool) -> bool:
        short = len(snapshot.json) < DEFLATED_FROM_BYTES
        return not deflated or short or snapshot.deflated is not None

    async def _make_in_thread(
        self, revision: int, mark: str, text: Text, *, deflated: bool
    ) -> None:
        self._last = await asyncio.to_thread(_make, revision, mark, text, deflated=deflated)


def _make(revision: int, mark: str, text: Text, *, deflated: bool) -> Snapshot:
    json = encode_json(str(text))
    if not deflated or len(json) < DEFLATED_FROM_BYTES:
        return Snapshot(revision, mark, json, None)
    return Snapshot(revision, mark, json, deflate(json + b"}", LEVEL, last=True))
