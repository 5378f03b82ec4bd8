"""What one server consists of: built here, started in order, stopped in the reverse order."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from collab.access.fetch import Fetcher
from collab.access.host import HostTokens
from collab.access.jwks import HostKeys
from collab.access.passwords import Passwords
from collab.access.tokens import Tokens
from collab.api import revoking
from collab.api.fields import nearest_line
from collab.api.paces import Paces
from collab.counts import Counts
from collab.errors import Misconfigured
from collab.live.arrivals import Arrivals
from collab.live.pace import Pushes
from collab.live.welcomes import Welcomes
from collab.log.local import LocalLog
from collab.log.redis.links import RedisLinks
from collab.log.redis.log import RedisLog
from collab.rooms import access
from collab.rooms.registry import Registry
from collab.rooms.sweep import sweep
from collab.storage.database import Database, database_at
from collab.storage.guesses import Allowance, Guessed, Guessing
from collab.storage.history import forget_clients
from collab.storage.idempotency import forget_expired
from collab.storage.ids import new_id
from collab.storage.revocations import forget_expired as forget_revocations
from collab.storage.runs import Runs
from collab.storage.tickets import forget_expired as forget_tickets
from collab.storage.upkeep import Upkeep
from collab.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Connection

    from collab.log.contract import Log
    from collab.settings import Settings


log = structlog.get_logger(__name__)

T = TypeVar("T")

WELCOME_HOLD_S = 5.0
"""How long a client that reads slowly, or not at all, holds its turn to be welcomed: others wait no
longer than `open_timeout_s`."""


@dataclass(frozen=True, slots=True)
class Services:
    """`clock` gives seconds since 1970."""

    settings: Settings
    database: Database
    order: Log
    tokens: Tokens
    registry: Registry
    arrivals: Arrivals
    welcomes: Welcomes
    pushes: Pushes
    paces: Paces
    guessing: Guessing
    passwords: Passwords
    counts: Counts
    clock: Callable[[], float]
    requests_under_way: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """The fingerprints of those that bear an idempotency key, by user and key."""
    comparing: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(COMPARING_THREADS, "collab-comparing")
    )
    """For what takes long and nobody else is to wait for."""

    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    async def aside(self, work: Callable[[], T]) -> T:
        """Run what takes long in one of the few threads that do nothing else."""
        return await asyncio.get_running_loop().run_in_executor(self.comparing, work)


COMPARING_THREADS = 2

CLIENTS_KEPT_MS = 30 * 24 * 3600 * 1000
"""How long the fate of a client's last push can be told (H7)."""

HOUSEKEEPING_S = 6 * 3600

SLICE = 1_000
"""How many rows one transaction of the housekeeping removes."""


def host_tokens(settings: Settings) -> HostTokens | None:
    """Where a host application signs people in. Raises `Misconfigured`."""
    if not settings.jwks_url:
        return None
    keys = HostKeys(Fetcher(settings.jwks_url).get, settings.jwks_max_age_s)
    return HostTokens(
        keys,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        name_claim=settings.jwt_name_claim,
        roles_claim=settings.jwt_roles_claim,
        clean=partial(nearest_line, max_units=settings.max_title_units),
    )


async def keep_house(services: Services) -> None:
    """What has to be done now and then."""
    while True:
        now = services.now_ms()
        try:
            await _all(services, partial(forget_clients, before=now - CLIENTS_KEPT_MS, limit=SLICE))
            await _all(services, partial(forget_expired, now=now, limit=SLICE))
            await _all(services, partial(services.guessing.forget_full, limit=SLICE))
            await _all(services, partial(forget_revocations, now=now, limit=SLICE))
            await _all(services, partial(forget_tickets, now=now, limit=SLICE))
        except SQLAlchemyError as error:
            log.warning("housekeeping failed", error=type(error).__name__)
        await asyncio.sleep(HOUSEKEEPING_S)


async def _all(services: Services, forget_some: Callable[[Connection], int]) -> None:
    """In many short transactions, since commits wait for each."""
    while await services.database.write(forget_some) == SLICE:
        pass


def guessing_at(database: Database, settings: Settings, clock: Callable[[], float]) -> Guessing:
    """The allowances that the settings name."""
    every_s = settings.password_guess_every_s
    allowances = {
        Guessed.ADDRESS: Allowance(settings.address_guesses, settings.address_guess_every_s),
        Guessed.USERNAME: Allowance(settings.password_guesses, every_s),
        Guessed.LINK: Allowance(settings.link_guesses, every_s),
    }
    return Guessing(database, allowances, lambda: int(clock() * 1000))


async def finish(writer: Writer, writing: asyncio.Task[None], patience_s: float) -> None:
    """Let the writer save all that was put, for so long. What is given up then was never shown,
    or is committed and perhaps not on the disk.
    """
    writer.stop()
    _, late = await asyncio.wait([writing], timeout=patience_s)
    if late:
        log.error("the database takes too long; what was ordered last is not saved")
        writing.cancel()


@asynccontextmanager
async def ordering(
    settings: Settings,
    database: Database,
    server: str,
    tasks: asyncio.TaskGroup,
    counts: Counts,
) -> AsyncIterator[Log]:
    """What gives pushes their order: this server alone, or Redis for all servers."""
    if settings.redis_url is None:
        yield LocalLog()
        return
    links = RedisLinks(settings.redis_url.get_secret_value(), settings.redis_timeout_s, tasks)
    try:
        await links.start()
        log = RedisLog(links, Runs(database), server, counts)
        try:
            yield log
        finally:
            await log.close()
    finally:
        await links.close()


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """One that lets `Misconfigured` out as it is."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        misconfigured = group.subgroup(Misconfigured)
        if misconfigured is None:
            raise
        raise misconfigured.exceptions[0] from None


@asynccontextmanager
async def running(settings: Settings, clock: Callable[[], float]) -> AsyncIterator[Services]:
    """A server's services, from a migrated database until all that was ordered is saved, or cannot
    be saved in time.

    Raises `Misconfigured`. If the writer or the registry fails, whoever runs in here is cancelled:
    a server whose writer is gone must not look alive.
    """
    host = host_tokens(settings)
    tokens = Tokens(
        settings.signing_secret(),
        settings.token_ttl_s,
        clock,
        [each.get_secret_value() for each in settings.old_secrets],
        host,
    )
    database = database_at(settings.sqlalchemy_url, shared=settings.redis_url is not None)
    server = new_id()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        await database.start()
        await database.migrate()
        counts = Counts()
        upkeep = Upkeep(database, counts)
        writer = Writer(database, upkeep, settings.commit_patience_s, counts)
        tasks = await stack.enter_async_context(task_group())
        order = await stack.enter_async_context(ordering(settings, database, server, tasks, counts))
        registry = Registry(settings, database, order, writer, counts, server, clock)
        upkeeping = tasks.create_task(upkeep.run(), name="upkeep")
        stack.callback(upkeeping.cancel)
        writing = tasks.create_task(writer.run(), name="writer")
        stack.push_async_callback(finish, writer, writing, settings.commit_patience_s)
        if isinstance(order, RedisLog):
            sweeping = tasks.create_task(sweep(registry, order, settings.sweep_s), name="sweep")
            stack.callback(sweeping.cancel)
        beating = tasks.create_task(registry.run(), name="registry")
        stack.push_async_callback(registry.close)
        stack.callback(beating.cancel)
        checking = tasks.create_task(
            access.compare(registry, settings.access_check_s), name="access"
        )
        stack.callback(checking.cancel)
        welcomes = Welcomes(
            settings.max_welcomes, wait_s=settings.open_timeout_s, hold_s=WELCOME_HOLD_S
        )
        pushes = Pushes(settings)
        services = Services(
            settings,
            database,
            order,
            tokens,
            registry,
            Arrivals(settings),
            welcomes,
            pushes,
            Paces(settings, pushes),
            guessing_at(database, settings, clock),
            Passwords(settings.password_memory_kib, settings.password_passes),
            counts,
            clock,
        )
        stack.callback(services.comparing.shutdown, wait=False, cancel_futures=True)
        stack.callback(services.passwords.close)
        housekeeping = tasks.create_task(keep_house(services), name="housekeeping")
        stack.callback(housekeeping.cancel)
        if host is not None:
            fetching = tasks.create_task(host.keys.run(), name="keys")
            stack.callback(fetching.cancel)
        await revoking.read_all(services)
        following = tasks.create_task(revoking.follow(services), name="revocations")
        stack.callback(following.cancel)
        yield services
