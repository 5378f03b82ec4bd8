"""The rooms that are open on this server: opened once, closed when idle."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collab.errors import Damaged, NotFound, NotReady, Problem, TooMany
from collab.rooms.open_room import OpenRoom
from collab.rooms.room import Room
from collab.storage import history

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from collab.log.contract import Log
    from collab.settings import Settings
    from collab.storage.database import Database
    from collab.storage.writer import Writer

log = structlog.get_logger(__name__)

TICKS_PER_HEARTBEAT = 8


class Registry:
    """Opens rooms and closes them, and makes their hearts beat for as long as `run` runs."""

    def __init__(self, settings: Settings, database: Database, log: Log, writer: Writer) -> None:
        self._settings = settings
        self._database = database
        self._log = log
        self._writer = writer
        self.sessions = 0
        self._closed = False
        self._rooms: dict[str, OpenRoom] = {}
        self._opening: dict[str, asyncio.Task[OpenRoom]] = {}
        self._deleted: set[str] = set()  # while they were being opened
        self._idle_since: dict[str, float] = {}

    @asynccontextmanager
    async def room(self, document_id: str) -> AsyncIterator[OpenRoom]:
        """The document's room, kept open meanwhile.

        Raises `NotFound`, `TooMany`, or `NotReady` when it cannot be opened in time.
        """
        room = self._rooms.get(document_id)
        if room is None:
            room = await self._join_opening(document_id)
        room.holders += 1
        try:
            yield room
        finally:
            room.holders -= 1

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one more session on this server. Raises `TooMany` when there is none."""
        if self.sessions >= self._settings.max_sessions:
            raise TooMany("this server has as many editors as it may", retry_after_ms=5_000)
        self.sessions += 1
        try:
            yield
        finally:
            self.sessions -= 1

    def peek(self, document_id: str) -> OpenRoom | None:
        """The document's room if it is open."""
        return self._rooms.get(document_id)

    def editors(self, document_id: str) -> int:
        """How many sessions the document has here."""
        room = self._rooms.get(document_id)
        return 0 if room is None else len(room.sessions())

    # -- Opening ------------------------------------------------------------------------------

    async def _join_opening(self, document_id: str) -> OpenRoom:
        """Concurrent joins share one opening, which goes on when one of them gives up."""
        if self._closed:
            raise NotReady("the server is going down")
        opening = self._opening.get(document_id)
        if opening is None:
            if len(self._rooms) + len(self._opening) >= self._settings.max_rooms:
                raise TooMany("this server has as many documents open as it may")
            opening = asyncio.create_task(self._open(document_id), name=document_id)
            self._opening[document_id] = opening
            opening.add_done_callback(self._opened)
        try:
            async with asyncio.timeout(self._settings.open_timeout_s):
                return await asyncio.shield(opening)
        except TimeoutError:
            raise NotReady("the document could not be opened in time") from None
        except asyncio.CancelledError:
            if opening.cancelled():
                raise NotReady("the server is going down") from None
            raise

    def _opened(self, opening: asyncio.Task[OpenRoom]) -> None:
        del self._opening[opening.get_name()]
        self._deleted.discard(opening.get_name())
        if not opening.cancelled():
            opening.exception()  # whoever waits is told; nobody may wait any more

    async def _open(self, document_id: str) -> OpenRoom:
        async def read() -> OpenRoom:
            saved = await history.load(self._database, document_id)
            return OpenRoom(
                document_id,
                Room.restore(saved),
                self._writer,
                max_units=self._settings.max_document_units,
                presence_hz=self._settings.presence_hz,
                on_broken=self._discard,
            )

        try:
            room, feed = await self._log.open(document_id, read)
        except Damaged as error:
            log.exception("a document is damaged", document=document_id, error=error.message)
            raise
        except Problem:
            raise
        except (SQLAlchemyError, OSError) as error:
            log.warning("cannot open a document", error=type(error).__name__)
            raise NotReady("the database does not answer") from error
        room.feed = feed
        if document_id in self._deleted:  # after it was read
            room.close()
            raise NotFound("there is no such document")
        self._rooms[document_id] = room
        return room

    # -- Closing ------------------------------------------------------------------------------

    def forget(self, document_id: str) -> None:
        """The document is deleted, as the database has it: end its sessions (X2).

        What was ordered and not saved is given up, since the writer finds no row for it; its
        authors' sessions are among those that end here.
        """
        if document_id in self._opening:
            self._deleted.add(document_id)
        room = self._rooms.get(document_id)
        if room is None:
            return
        self._discard(room)
        room.delete()

    def _discard(self, room: OpenRoom) -> None:
        if self._rooms.get(room.document_id) is room:
            del self._rooms[room.document_id]
            self._idle_since.pop(room.document_id, None)

    def _close_idle(self, now: float) -> None:
        for room in tuple(self._rooms.values()):
            if not room.idle:
                self._idle_since.pop(room.document_id, None)
                continue
            since = self._idle_since.get(room.document_id)
            if since is None:
                self._idle_since[room.document_id] = now
            elif now - since >= self._settings.room_idle_s:
                room.close()
                self._discard(room)

    # -- The heart ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Beats, checks of sessions, and idle rooms, all from one timer."""
        tick = 0
        while True:
            await asyncio.sleep(self._settings.heartbeat_s / TICKS_PER_HEARTBEAT)
            tick += 1
            now = time.monotonic()
            for room in tuple(self._rooms.values()):
                room.check(now)
                # Rooms beat at different ticks, so that not all beat at once.
                if (tick + hash(room.document_id)) % TICKS_PER_HEARTBEAT == 0:
                    room.beat()
            self._close_idle(now)

    async def close(self) -> None:
        """Stop opening, say goodbye, and close every room. What was put is still the writer's."""
        self._closed = True
        openings = tuple(self._opening.values())
        for opening in openings:
            opening.cancel()
        if openings:
            await asyncio.wait(openings)
        for room in tuple(self._rooms.values()):
            for session in room.sessions():
                session.say_goodbye()
            room.close()
            self._discard(room)
