"""What a drill takes place on: servers, what they share, and a load balancer before them."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import postgres, redis
from bench.drill.balancer import balanced
from bench.drill.verdict import Copy, Saved
from bench.rest import rest
from bench.server import ServerProcess
from collab.client import create_document, guest_token, read_text
from collab.storage import history
from collab.storage.database import database_at
from tests.browser.proxy import Way, passing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bench.postgres import PostgresServer
    from bench.redis import RedisServer
    from collab.storage.database import Database

SETTINGS = {
    "COLLAB_HEARTBEAT_S": "2",
    "COLLAB_COMMIT_PATIENCE_S": "2",
    "COLLAB_LOG_LEVEL": "warning",
}
"""Short times, so that people find out soon that their server does not answer any more."""

ALL = 10_000_000  # updates


@dataclass(frozen=True)
class Plan:
    """What a site consists of. Several servers share PostgreSQL and Redis; one has SQLite."""

    servers: int = 2
    settings: tuple[tuple[str, str], ...] = ()
    redis: tuple[tuple[str, str], ...] = (("appendonly", "yes"),)


@dataclass
class Site:
    """`url` is the load balancer's. Each server has a way of its own to Redis."""

    url: str
    token: str
    database_url: str
    servers: list[ServerProcess]
    ways: list[Way]
    _redis: RedisServer | None
    _postgres: PostgresServer | None

    @property
    def redis(self) -> RedisServer:
        assert self._redis is not None, "one server alone has no Redis"
        return self._redis

    @property
    def postgres(self) -> PostgresServer:
        assert self._postgres is not None, "one server alone has no PostgreSQL"
        return self._postgres

    async def documents(self, count: int) -> list[str]:
        """New ones."""
        return [
            await create_document(self.servers[0].url, self.token, f"Drill {number}")
            for number in range(count)
        ]

    async def shown(self, document: str) -> dict[str, Copy]:
        """A document as each server shows it, while nobody types."""
        copies = {}
        for number, server in enumerate(self.servers, 1):
            with rest(server.url, self.token) as api:
                found = await asyncio.to_thread(api.get, f"/v1/documents/{document}")
            text = await read_text(server.url, self.token, document)
            copies[f"server {number}"] = Copy(found.json["revision"], text)
        return copies

    async def saved(self, documents: Sequence[str]) -> dict[str, Saved]:
        """The documents as the database has them."""
        async with self._database() as database:
            return {document: await _read(database, document) for document in documents}

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        """The database, past all servers. One in a file is for one at a time: its server is killed
        meanwhile, so that it has no time to save what it called saved before.
        """
        database = database_at(self.database_url)
        if self._postgres is None:
            await self.servers[0].kill()
            await database.start()
        try:
            yield database
        finally:
            await database.close()
            if self._postgres is None:
                await self.servers[0].start()


@asynccontextmanager
async def site(folder: Path, plan: Plan) -> AsyncIterator[Site]:
    """A site whose servers are ready, and which is gone in the end. An error is told with the ends
    of their logs.
    """
    secret = secrets.token_urlsafe(48)
    async with AsyncExitStack() as stack:
        shared_redis, shared_postgres = None, None
        ways, servers = [], []
        database_url = f"sqlite:///{folder / 'collab.db'}"
        if plan.servers > 1:
            shared_postgres = stack.enter_context(postgres.private_server())
            database_url = shared_postgres.url()
            shared_redis = stack.enter_context(redis.private_server(tls=False, **dict(plan.redis)))
        for number in range(1, plan.servers + 1):
            settings = {
                **SETTINGS,
                **dict(plan.settings),
                "COLLAB_SECRET": secret,
                "COLLAB_DATABASE_URL": database_url,
            }
            if shared_redis is not None:
                to_redis = await stack.enter_async_context(passing(_way_to(shared_redis)))
                ways.append(to_redis)
                settings["COLLAB_REDIS_URL"] = f"redis://127.0.0.1:{to_redis.port}"
            home = folder / f"server {number}"
            home.mkdir(parents=True)
            server = ServerProcess(home, settings)
            await server.start()
            stack.push_async_callback(server.kill)
            servers.append(server)
        way = await stack.enter_async_context(balanced(servers))
        token = await guest_token(servers[0].url, "drill")
        try:
            yield Site(way.url, token, database_url, servers, ways, shared_redis, shared_postgres)
        except Exception as error:
            for server in servers:
                error.add_note(f"{server.log} ends:\n{server.log_tail()}")
            raise


async def _read(database: Database, document: str) -> Saved:
    found = await history.load(database, document)
    updates = await history.updates(database, document, 0, ALL)
    return Saved(Copy(found.end.revision, str(found.text)), updates)


def _way_to(server: RedisServer) -> Way:
    return Way(lambda: server.port)
