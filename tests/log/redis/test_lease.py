"""Who saves: asked for while there is something to save, kept while it is used."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from collab.log.redis import lease as module
from collab.log.redis.lease import Lease
from collab.log.redis.link import NotDone
from collab.tasks import Tasks

if TYPE_CHECKING:
    from collab.log.redis.link import Link
    from collab.log.redis.stream import Stream

PATIENCE_S = 10


class Redis:
    """What a lease needs of it. Each asking is answered by `answer`, and counted."""

    run: str | None = "a run"

    def __init__(self) -> None:
        self.answer: tuple[bool, int] | None = (True, module.LEASE_MS)
        self.asked = 0
        self.granted = 0
        self._heard = asyncio.Event()

    async def lead(self, _server: str, _ttl_ms: int) -> tuple[bool, int]:
        self.asked += 1
        self._heard.set()
        if self.answer is None:
            raise NotDone
        return self.answer

    async def give_up_lead(self, _server: str) -> None: ...

    def grant(self) -> None:
        self.granted += 1
        self._heard.set()

    async def until(self, *, asked: int = 0, granted: int = 0) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.asked < asked or self.granted < granted:
                self._heard.clear()
                await self._heard.wait()


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Redis:
    monkeypatch.setattr(module, "LEASE_MS", 2_400)
    monkeypatch.setattr(module, "MARGIN_MS", 1_000)
    return Redis()


@pytest.fixture
def lease(redis: Redis) -> Lease:
    return Lease("a server", cast("Link", redis), cast("Stream", redis), Tasks(), redis.grant)


async def test_it_is_asked_for_when_there_is_something_to_save(lease: Lease, redis: Redis) -> None:
    assert not lease.held
    lease.want()
    await redis.until(granted=1)
    assert lease.held


async def test_who_uses_it_keeps_it_also_while_all_is_saved(lease: Lease, redis: Redis) -> None:
    """Or it would change hands again and again, and each time somebody saves in vain."""
    lease.want()
    await redis.until(granted=1)
    lease.want()
    lease.done()
    await redis.until(asked=2)
    assert lease.held


async def test_who_is_denied_asks_again_when_the_other_may_be_gone(
    lease: Lease, redis: Redis
) -> None:
    redis.answer = (False, 20)
    lease.want()
    await redis.until(asked=3)
    assert not lease.held
    redis.answer = (True, module.LEASE_MS)
    await redis.until(granted=1)
    assert lease.held


async def test_without_redis_whoever_has_something_saves_it(lease: Lease, redis: Redis) -> None:
    redis.run = redis.answer = None
    lease.want()
    assert lease.held
    await redis.until(granted=1)
