"""The rooms that are open on this server: opened once, closed when idle."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING
from zlib import crc32

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collab.counts import Counts
from collab.errors import Damaged, NotFound, NotReady, Problem, TooMany, Unavailable
from collab.rooms.access import Access
from collab.rooms.budget import Budget
from collab.rooms.clock import HybridClock
from collab.rooms.open_room import OpenRoom
from collab.rooms.places import RETRY_AFTER_MS, Places
from collab.rooms.reordering import Lost, reorder
from collab.rooms.room import Room
from collab.storage import history

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from collab.log.contract import Feed, Log
    from collab.settings import Settings
    from collab.storage.database import Database
    from collab.storage.writer import Writer

log = structlog.get_logger(__name__)

TICKS_PER_HEARTBEAT = 8

SAFE_EVERY_S = 0.05

CHECK_AFTER_S = 0.25
"""After somebody has signed out: with all sessions that a server may have, a look takes a few
hundredths of a second, and people sign out many times a second.
"""

OPEN_AGAIN_S = 2.0
"""How often a document is opened to order again what was lost, where that fails."""


class Registry:
    """Opens rooms and closes them, and makes their hearts beat for as long as `run` runs."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        log: Log,
        writer: Writer,
        counts: Counts | None = None,
        server: str = "alone",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`server` is this server's name among all that ever ran; `clock` gives seconds since
        1970.
        """
        self._settings = settings
        self._database = database
        self._log = log
        self._writer = writer
        self._counts = Counts() if counts is None else counts
        self._server = server
        self._openings = itertools.count()
        self.clock = HybridClock(log.now_s)
        self.places = Places(settings)
        self.access = Access(database, clock)
        self.budget = Budget(
            settings.max_memory_bytes, settings.max_unsaved_bytes, self._close_idle
        )
        self._closed = False
        self._checking: asyncio.TimerHandle | None = None
        self._rooms: dict[str, OpenRoom] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._open_again_at: dict[str, float] = {}
        self._lost: dict[str, list[Lost]] = {}  # by rooms that were adrift
        self._deleted: set[str] = set()  # while they were being opened
        self._left_at: dict[str, float] = {}  # of rooms that nobody holds

    @asynccontextmanager
    async def room(self, document_id: str) -> AsyncIterator[OpenRoom]:
        """The document's room, kept open meanwhile. Raises what `hold` does."""
        room = await self.hold(document_id)
        try:
            yield room
        finally:
            self.release(room)

    async def hold(self, document_id: str) -> OpenRoom:
        """The document's room, kept open until it is released.

        Raises `NotFound`, `TooMany`, or `NotReady` when it cannot be opened in time.
        """
        room = self._rooms.get(document_id)
        while room is None:  # it may be closed again before we learn that it is open
            await self._join_opening(document_id)
            room = self._rooms.get(document_id)
        room.holders += 1
        self._left_at.pop(document_id, None)
        return room

    def release(self, room: OpenRoom) -> None:
        room.holders -= 1
        if not room.holders and self._rooms.get(room.document_id) is room:
            self._left_at[room.document_id] = time.monotonic()

    @property
    def sessions(self) -> int:
        return self.places.taken

    @property
    def rooms(self) -> int:
        """How many documents are open."""
        return len(self._rooms)

    def is_adrift(self, document_id: str) -> bool:
        """Whether this server has something of the document that has still to be ordered again."""
        return document_id in self._lost

    def peek(self, document_id: str) -> OpenRoom | None:
        """The document's room if it is open."""
        return self._rooms.get(document_id)

    def editors(self, document_id: str) -> int:
        """How many sessions the document has, on all servers if it is open here."""
        room = self._rooms.get(document_id)
        return 0 if room is None else room.presenter.everybody

    # -- Access -------------------------------------------------------------------------------

    async def access_changed(self, document_id: str) -> None:
        """Who may do what with a document has changed, as the database has it: everybody's standing
        is looked at again, on every server (X2); on this one before it returns, if that is soon.
        """
        room = self._rooms.get(document_id)
        if room is not None:
            room.access_changed()
        await self._log.access_changed(document_id)
        if room is not None:
            await room.standings.looked()

    def occupied(self) -> list[str]:
        """The documents that somebody is in."""
        return [document_id for document_id, room in self._rooms.items() if room.standings]

    def compare_access(self, document_id: str, version: int | None) -> None:
        """The database has this version of access to a document; None: it is gone."""
        room = self._rooms.get(document_id)
        if room is None:
            return
        if version is None:
            room.deleted()
        else:
            room.standings.compare(version)

    # -- Opening ------------------------------------------------------------------------------

    async def _join_opening(self, document_id: str) -> None:
        """Concurrent joins share one opening, which goes on when one of them gives up."""
        if self._closed:
            raise NotReady("the server is going down")
        opening = self._opening.get(document_id)
        if opening is None:
            self._check_room_for_one_more()
            opening = self._start_opening(document_id)
        try:
            async with asyncio.timeout(self._settings.open_timeout_s):
                await asyncio.shield(opening)
        except TimeoutError:
            raise NotReady("the document could not be opened in time") from None
        except asyncio.CancelledError:
            if opening.cancelled():
                raise NotReady("the server is going down") from None
            raise

    def _start_opening(self, document_id: str) -> asyncio.Task[None]:
        opening = asyncio.create_task(self._open(document_id), name="opening")
        self._opening[document_id] = opening
        opening.add_done_callback(partial(self._opened, document_id))
        return opening

    def _check_room_for_one_more(self) -> None:
        """Raises `TooMany` where the limits allow no more open documents."""
        if self._is_full():
            self._close_idle()
        if self._is_full():
            raise TooMany(
                "this server has as many documents open as it may", retry_after_ms=RETRY_AFTER_MS
            )
        self._check_memory()

    def _is_full(self) -> bool:
        return len(self._rooms) + len(self._opening) >= self._settings.max_rooms

    def _check_memory(self) -> None:
        if not self.budget.has_memory():
            raise TooMany("this server's memory is full", retry_after_ms=RETRY_AFTER_MS)

    def _opened(self, document_id: str, opening: asyncio.Task[None]) -> None:
        del self._opening[document_id]
        self._deleted.discard(document_id)
        if not opening.cancelled():
            opening.exception()  # whoever waits is told; nobody may wait any more

    async def _open(self, document_id: str) -> None:
        made = list[OpenRoom]()

        async def read() -> OpenRoom:
            while made:
                made.pop().close()
            made.append(await self._read(document_id))
            return made[-1]

        try:
            room, feed = await self._follow(document_id, read)
            room.open(feed)
            await self._order_again(room, feed)
            made.clear()
        except NotFound:
            self._lost.pop(document_id, None)
            self._open_again_at.pop(document_id, None)
            raise
        finally:
            while made:
                made.pop().close()
        self._rooms[document_id] = room
        self._left_at[document_id] = time.monotonic()

    async def _read(self, document_id: str) -> OpenRoom:
        self._counts.readings += 1
        saved = await history.load(self._database, document_id)
        return OpenRoom(
            document_id,
            await asyncio.to_thread(Room.restore, saved),
            self._writer,
            self.budget,
            self.access,
            max_units=self._settings.max_document_units,
            presence_hz=self._settings.presence_hz,
            on_broken=self._discard,
            on_adrift=self._keep_lost,
            counts=self._counts,
            server=f"{self._server}.{next(self._openings)}",
            clock=self.clock,
            heartbeat_s=self._settings.heartbeat_s,
        )

    async def _follow(
        self, document_id: str, read: Callable[[], Awaitable[OpenRoom]]
    ) -> tuple[OpenRoom, Feed]:
        """Raises `Problem`."""
        try:
            # A room that broke may have left work there, or a commit whose fate nobody knows.
            await self._writer.settle(document_id)
            room, feed = await self._log.open(document_id, read)
        except Damaged as error:
            log.exception("a document is damaged", document=document_id, error=error.message)
            raise
        except Problem:
            raise
        except (SQLAlchemyError, OSError) as error:
            log.warning("cannot open a document", error=type(error).__name__)
            raise NotReady("the database does not answer") from error
        try:
            if document_id in self._deleted:  # after it was read
                raise NotFound("there is no such document")
            room.check_open()  # it may have heard by its log that it is deleted
            self._check_memory()  # others were opened meanwhile
        except Problem:
            feed.close()
            raise
        except Unavailable as error:
            feed.close()
            raise NotReady(error.message) from None
        return room, feed

    def _keep_lost(self, room: OpenRoom) -> None:
        """What it has heard is not all in the order: that is ordered again when it is read anew."""
        lost = Lost(room.history, room.saved_revision)
        self._lost.setdefault(room.document_id, []).append(lost)

    async def _order_again(self, room: OpenRoom, feed: Feed) -> None:
        """Raises `NotReady` while it cannot."""
        lost = self._lost.get(room.document_id, [])
        try:
            while lost:
                await reorder(self._database, room, feed, lost[0])
                del lost[0]
        except (Unavailable, SQLAlchemyError, OSError) as error:
            raise NotReady("what was lost cannot be ordered again now") from error
        self._lost.pop(room.document_id, None)
        self._open_again_at.pop(room.document_id, None)

    def _open_what_was_lost(self) -> None:
        """Somebody may wait for it on another server, and nobody here."""
        for document_id in self._lost:
            if document_id not in self._opening and self._may_open_again(document_id):
                self._start_opening(document_id)

    def _may_open_again(self, document_id: str) -> bool:
        """What could not be ordered again is tried now and then."""
        now = time.monotonic()
        if document_id in self._rooms or now < self._open_again_at.get(document_id, 0.0):
            return False
        self._open_again_at[document_id] = now + OPEN_AGAIN_S
        return True

    # -- Closing ------------------------------------------------------------------------------

    async def remove(self, document_id: str) -> None:
        """The document is deleted, as the database has it: end its sessions everywhere (X2)."""
        self.forget(document_id)
        await self._log.remove(document_id)

    def forget(self, document_id: str) -> None:
        """The same, on this server alone.

        What was ordered and not saved is given up, since the writer finds no row for it; its
        authors' sessions are among those that end here.
        """
        if document_id in self._opening:
            self._deleted.add(document_id)
        room = self._rooms.get(document_id)
        if room is not None:
            room.deleted()

    def _discard(self, room: OpenRoom) -> None:
        document_id = room.document_id
        if self._rooms.get(document_id) is room:
            del self._rooms[document_id]
            self._left_at.pop(document_id, None)

    def _close_idle(self, left_before: float = math.inf) -> None:
        """Close what is idle and was left before a time, by the monotonic clock."""
        for document_id, left_at in tuple(self._left_at.items()):
            room = self._rooms[document_id]
            if room.idle and left_at <= left_before:
                self._discard(room)
                room.close()

    # -- The heart ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Beats, checks of sessions, and idle rooms, all from one timer."""
        tick = 0
        while True:
            await asyncio.sleep(self._settings.heartbeat_s / TICKS_PER_HEARTBEAT)
            tick += 1
            self._tick(tick, time.monotonic())

    def check_sessions(self) -> None:
        """Something may have ended some of them just now: look soon, once for all that does."""
        if self._checking is None and not self._closed:
            loop = asyncio.get_running_loop()
            self._checking = loop.call_later(CHECK_AFTER_S, self._check_sessions)

    def _check_sessions(self) -> None:
        self._checking = None
        now = time.monotonic()
        for room in tuple(self._rooms.values()):
            room.attendance.check(now)

    def _tick(self, tick: int, now: float) -> None:
        for room in tuple(self._rooms.values()):
            room.check(now)
            # Rooms beat at different ticks, so that not all beat at once.
            if (tick + crc32(room.document_id.encode())) % TICKS_PER_HEARTBEAT == 0:
                room.beat()
        self._close_idle(now - self._settings.room_idle_s)
        self._open_what_was_lost()

    async def close(self) -> None:
        """Stop opening, say goodbye, and close every room. What was put is still the writer's.

        Where the log is many servers', a room follows it until it is saved: Redis may have lost
        just now what nobody but this server has.
        """
        self._closed = True
        if self._checking is not None:
            self._checking.cancel()
        await self._stop_opening()
        for room in tuple(self._rooms.values()):
            room.say_goodbye()
        deadline = time.monotonic() + self._settings.shutdown_s
        while time.monotonic() < deadline and not self._safe:
            self._open_what_was_lost()
            await asyncio.sleep(SAFE_EVERY_S)
        await self._stop_opening()
        for room in tuple(self._rooms.values()):
            self._discard(room)
            room.close()

    @property
    def _safe(self) -> bool:
        return not self._lost and all(room.safe for room in self._rooms.values())

    async def _stop_opening(self) -> None:
        openings = tuple(self._opening.values())
        for opening in openings:
            opening.cancel()
        if openings:
            await asyncio.wait(openings)
