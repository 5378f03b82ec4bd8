"""What the database says of who may do what, and whether it says something else by now (X2)."""

from __future__ import annotations

import asyncio
import random
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collab.storage import access

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from sqlalchemy import Connection

    from collab.access.roles import Standing
    from collab.rooms.registry import Registry
    from collab.storage.database import Database

log = structlog.get_logger(__name__)

LOOKS_AT_ONCE = 8
"""How many rooms look again at once: what changes for many documents does not crowd out others."""

LOOK_S = 5.0
CHUNK = 500
"""How many documents or users one statement asks for."""


class Found(NamedTuple):
    """What one reading found: how often access had changed by then, None for a document that is
    gone, and everybody's standing then or a little later.
    """

    version: int | None
    standings: dict[str, Standing]


class Access:
    """As the database has it. Every call raises `SQLAlchemyError` or `OSError` where that does not
    answer, soon enough. `clock` gives seconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._turns = asyncio.Semaphore(LOOKS_AT_ONCE)

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    async def look(self, document_id: str, user_ids: Collection[str]) -> Found:
        def read(connection: Connection) -> Found:
            # The version first: if it changes in between, the standings are newer and not older.
            version = access.versions(connection, [document_id]).get(document_id)
            found: dict[str, Standing] = {}
            for some in _chunks(user_ids):
                found |= access.standings(connection, document_id, some, self.now_ms())
            return Found(version, found)

        async with asyncio.timeout(LOOK_S):
            return await self._database.look_up(read)

    async def look_in_turn(self, document_id: str, user_ids: Collection[str]) -> Found:
        """The same, for who can wait a little."""
        async with self._turns:
            return await self.look(document_id, user_ids)

    async def versions(self, document_ids: Collection[str]) -> dict[str, int]:
        """How often access to each document has changed; those that are gone are not in it."""
        async with asyncio.timeout(LOOK_S):
            return await self._database.look_up(
                lambda connection: access.versions(connection, document_ids)
            )


async def compare(registry: Registry, every_s: float) -> None:
    """Look now and then whether access to the open documents has changed, or they are gone: what
    is told of it may be lost on the way.
    """
    while True:
        # At random, so that servers that started together do not look together.
        await asyncio.sleep(every_s * random.uniform(0.8, 1.0))  # noqa: S311 - spread only
        for some in _chunks(registry.occupied()):
            try:
                versions = await registry.access.versions(some)
            except (SQLAlchemyError, OSError) as error:
                log.warning("cannot compare who may do what", error=type(error).__name__)
                break
            for document_id in some:
                registry.compare_access(document_id, versions.get(document_id))


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    left = iter(ids)
    while some := list(islice(left, CHUNK)):
        yield some
