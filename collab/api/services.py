"""What one server consists of: built here, started in order, stopped in the reverse order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collab.access.tokens import Tokens
from collab.log.local import LocalLog
from collab.rooms.registry import Registry
from collab.storage.database import Database
from collab.storage.history import forget_clients
from collab.storage.migrations import migrate
from collab.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from collab.settings import Settings


log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """`clock` gives seconds since 1970."""

    settings: Settings
    database: Database
    tokens: Tokens
    registry: Registry
    clock: Callable[[], float]

    def now_ms(self) -> int:
        return int(self.clock() * 1000)


CLIENTS_KEPT_MS = 30 * 24 * 3600 * 1000
"""How long the fate of a client's last push can be told (H7)."""

HOUSEKEEPING_S = 6 * 3600


async def keep_house(services: Services) -> None:
    """What has to be done now and then."""
    while True:
        before = services.now_ms() - CLIENTS_KEPT_MS
        try:
            await services.database.write(partial(forget_clients, before=before))
        except SQLAlchemyError as error:
            log.warning("housekeeping failed", error=type(error).__name__)
        await asyncio.sleep(HOUSEKEEPING_S)


@asynccontextmanager
async def running(settings: Settings, clock: Callable[[], float]) -> AsyncIterator[Services]:
    """A server's services, from a migrated database until all that was ordered is saved.

    Raises `Misconfigured`. If the writer or the registry fails, whoever runs in here is cancelled:
    a server whose writer is gone must not look alive.
    """
    tokens = Tokens(settings.signing_secret(), settings.token_ttl_s, clock)
    database = Database(settings.sqlalchemy_url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        await database.start()
        await asyncio.to_thread(migrate, database.path)
        writer = Writer(database, settings.commit_patience_s)
        registry = Registry(settings, database, LocalLog(), writer)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(writer.run(), name="writer")
        stack.callback(writer.stop)
        beating = tasks.create_task(registry.run(), name="registry")
        stack.push_async_callback(registry.close)
        stack.callback(beating.cancel)
        services = Services(settings, database, tokens, registry, clock)
        housekeeping = tasks.create_task(keep_house(services), name="housekeeping")
        stack.callback(housekeeping.cancel)
        yield services
