"""Tells sessions and servers of one another's presence, with a budget of its own (A2, A3)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from collab.rooms.frames import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from collab.rooms.containment import Containment
    from collab.rooms.neighbours import Neighbours
    from collab.rooms.presence import News, Presence, Ranges

FLUSH_SHARE = 1 / 10
"""The share of the processor that a room's presence takes at most."""

TOLD_AT_ONCE = 25
"""How many sessions are told in one turn of the event loop. Each is told of all but itself: where
many are, that is much to write, and updates are not to wait for all of it.
"""

BYTES_PER_S = 250_000
"""What a room's presence sends to other servers at most."""


class Watcher(Protocol):
    """A session, as its room's presence sees it."""

    presence: int
    """The version of everybody's presence that it was last told."""

    @property
    def client(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def color(self) -> str: ...

    @property
    def writable(self) -> bool: ...

    def write(self, batch: Batch) -> None: ...


class Presenter:
    """One room's presence and who is told of it: the sessions here, and the neighbours.

    `visible` gives the visible revision and the length of its text.
    """

    def __init__(
        self,
        presence: Presence,
        neighbours: Neighbours,
        hz: float,
        visible: Callable[[], tuple[int, int]],
        containment: Containment,
    ) -> None:
        self._presence = presence
        self._neighbours = neighbours
        self._contained = containment
        self._closed = False
        self._interval_s = 1 / hz
        self._visible = visible
        self._watchers: dict[Watcher, None] = {}
        self._present: set[Watcher] = set()
        self._timer: asyncio.Handle | None = None
        self._quiet_until = 0.0
        self._told = 0  # the version that was told last

    @property
    def everybody(self) -> int:
        """How many are present, on all servers."""
        return len(self._presence)

    def everybody_but(self, client: str) -> list[bytes]:
        """The welcome's list, each peer in JSON."""
        peers: dict[str, bytes] = {}
        with self._contained:
            peers = self._presence.news(-1, *self._visible()).peers
        return [peer for name, peer in peers.items() if name != client]

    def watch(self, watcher: Watcher) -> None:
        """It was just told of everybody, and nobody is told of it yet."""
        watcher.presence = self._presence.version
        self._watchers[watcher] = None

    def join(self, watcher: Watcher, arrival: int) -> None:
        """From now on it is present."""
        self._present.add(watcher)
        self._presence.join(watcher.client, watcher.name, watcher.color)
        self._neighbours.join(watcher.client, arrival)
        self.wake()

    def leave(self, watcher: Watcher) -> None:
        self._watchers.pop(watcher, None)
        if watcher in self._present:
            self._present.remove(watcher)
            self._presence.leave(watcher.client)
            self._neighbours.leave(watcher.client)
            self.wake()

    def move(self, watcher: Watcher, revision: int, ranges: Ranges) -> None:
        with self._contained:
            self._presence.move(watcher.client, revision, ranges)
            self._neighbours.move(watcher.client)
            self.wake()

    def catch_up(self, watcher: Watcher) -> None:
        """Tell a session what it missed while it could not be written to."""
        with self._contained:
            self._tell((watcher,))

    def close(self) -> None:
        """Tell nobody anything more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def wake(self) -> None:
        """Something may have changed."""
        unheard = self._watchers and self._presence.version > self._told
        if self._timer is None and not self._closed and (unheard or self._neighbours.due):
            wait = max(self._quiet_until - time.perf_counter(), 0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._flush)

    def _flush(self) -> None:
        started, published = time.perf_counter(), 0
        self._told = self._presence.version
        with self._contained:
            if self._neighbours.due:
                published = self._neighbours.publish()
        self._quiet_until = started + max(self._interval_s, published / BYTES_PER_S)
        self._go_on(tuple(self._watchers), started, time.perf_counter() - started)

    def _go_on(self, watchers: Sequence[Watcher], began: float, took: float) -> None:
        """Tell some of them, and the rest in the turns that follow."""
        self._timer = None
        started = time.perf_counter()
        with self._contained:
            self._tell(each for each in watchers[:TOLD_AT_ONCE] if each in self._watchers)
        took += time.perf_counter() - started
        rest = watchers[TOLD_AT_ONCE:]
        if rest and not self._closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_soon(self._go_on, rest, began, took)
            return
        self._quiet_until = max(self._quiet_until, began + took / FLUSH_SHARE)
        self.wake()  # what was too much for one message, or came meanwhile

    def _tell(self, watchers: Iterable[Watcher]) -> None:
        version = self._presence.version
        news: dict[int, News] = {}
        shared: dict[tuple[int, str], Batch | None] = {}
        for watcher in watchers:
            since = watcher.presence
            if since >= version or not watcher.writable:
                continue
            if since not in news:
                news[since] = self._presence.news(since, *self._visible())
            own = watcher.client if watcher.client in news[since].peers else ""
            if (since, own) not in shared:
                message = news[since].message(besides=own)
                shared[since, own] = None if message is None else Batch(message)
            batch = shared[since, own]
            watcher.presence = version
            if batch is not None:
                watcher.write(batch)
