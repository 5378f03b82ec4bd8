"""The faults: what is done to a site while people type, and what must go on meanwhile.

Each returns when it is over, or says when it is (`People.over`) and puts things right after that.
From then on everybody's typing must work again. Raises `Broken` where something was not as it says.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.drill.people import Broken
from bench.drill.site import Plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from bench.drill.people import People
    from bench.drill.site import Site
    from bench.server import ServerProcess

SHARED = Plan(servers=2)
ALONE = Plan(servers=1)
FLUSHED = Plan(servers=2, redis=(("appendonly", "yes"), ("appendfsync", "always")))
UNSAVED_BYTES = 1_048_576
LITTLE_UNSAVED = Plan(servers=2, settings=(("COLLAB_MAX_UNSAVED_BYTES", str(UNSAVED_BYTES)),))

A_WHILE_S = 2.0
"""Long enough that people type a few tokens."""


@dataclass(frozen=True)
class Fault:
    """`name` is for the command line, `title` for people; `short`: a part of the short form;
    `may_lose`: what was acknowledged and not saved.
    """

    name: str
    title: str
    plan: Plan
    strike: Callable[[Site, People], Awaitable[None]]
    short: bool = False
    may_lose: bool = False


FAULTS: list[Fault] = []


def fault(
    title: str, plan: Plan = SHARED, *, short: bool = False, may_lose: bool = False
) -> Callable[[Callable[[Site, People], Awaitable[None]]], None]:
    def enlist(strike: Callable[[Site, People], Awaitable[None]]) -> None:
        name = strike.__name__.replace("_", "-")
        FAULTS.append(Fault(name, title, plan, strike, short, may_lose))

    return enlist


# -- Servers --------------------------------------------------------------------------------------


@fault("one of two servers killed (`kill -9`), later started again", short=True)
async def kill_one(site: Site, people: People) -> None:
    await site.servers[0].kill()
    people.over()
    await people.all_acknowledged(3)
    await site.servers[0].start()
    await people.all_acknowledged(3)


@fault("all servers killed at once (`kill -9`), and started again")
async def kill_all(site: Site, people: People) -> None:
    _kill_servers(site)
    await _start_all(site)


@fault("one of two servers stopped for 20 s (SIGSTOP), woken with stale rooms")
async def pause_one(site: Site, people: People) -> None:
    site.servers[0].pause()
    await asyncio.sleep(20)
    await people.all_acknowledged(1)  # all have gone to the other server
    site.servers[0].resume()


@fault("all servers restarted, one after the other (SIGTERM)", short=True)
async def rolling_restart(site: Site, people: People) -> None:
    for server in site.servers:
        code = await server.stop()
        if code != 0:
            raise Broken(f"SIGTERM ended a server with {code}")
        await server.start()


# -- Redis ----------------------------------------------------------------------------------------


@fault("Redis killed, and started again empty", short=True)
async def redis_empty(site: Site, people: People) -> None:
    site.redis.kill()
    site.redis.empty()
    await asyncio.to_thread(site.redis.start)


@fault("Redis stopped for 10 s (SIGSTOP)")
async def redis_paused(site: Site, people: People) -> None:
    site.redis.pause()
    await asyncio.sleep(10)
    site.redis.resume()


@fault("Redis killed, and started from an append-only file that is 3 s behind")
async def redis_behind(site: Site, people: People) -> None:
    """The streams are there and lack their ends."""
    with tempfile.TemporaryDirectory(prefix="collab-drill-") as folder:
        older = shutil.copytree(site.redis.append_only, Path(folder) / "older")
        await asyncio.sleep(3)
        site.redis.kill()
        site.redis.empty()
        shutil.copytree(older, site.redis.append_only)
    await asyncio.to_thread(site.redis.start)


@fault("Redis's Pub/Sub connections killed, 20 times", short=True)
async def subscribers_killed(site: Site, people: People) -> None:
    killed = 0
    for _ in range(20):
        killed += await asyncio.to_thread(site.redis.execute, "CLIENT", "KILL", "TYPE", "pubsub")
        await people.all_acknowledged(1)
    if killed < 20:
        raise Broken(f"only {killed} connections were there to be killed")


@fault("one of two servers cut off from Redis: connections refused for 8 s", short=True)
async def cut_off_refused(site: Site, people: People) -> None:
    site.ways[0].close()
    await _others_go_on(people, 8)
    site.ways[0].open()


@fault("one of two servers cut off from Redis: connections reset 20 times in 8 s")
async def cut_off_reset(site: Site, people: People) -> None:
    for _ in range(20):
        site.ways[0].cut()
        await _others_go_on(people, 0.4)


@fault("one of two servers cut off from Redis: no answers for 8 s, then all that was on the way")
async def cut_off_silent(site: Site, people: People) -> None:
    site.ways[0].stall()
    await _others_go_on(people, 8)
    site.ways[0].go_on()


# -- The database ---------------------------------------------------------------------------------


@fault("PostgreSQL stopped for 60 s")
async def postgres_stopped(site: Site, people: People) -> None:
    """Typing goes on, and saved stands still."""
    await asyncio.to_thread(site.postgres.stop, "immediate")
    await people.all_acknowledged(1)  # what was on its way is heard
    saved = people.saved
    for _ in range(12):
        await asyncio.sleep(5)
        await people.all_acknowledged(1)
    if people.saved != saved:
        raise Broken("something was called saved while PostgreSQL was stopped")
    await asyncio.to_thread(site.postgres.start)


@fault("PostgreSQL stopped until the limit on what is unsaved is reached", LITTLE_UNSAVED)
async def unsaved_limit(site: Site, people: People) -> None:
    """Typing goes on until the limit, and again when PostgreSQL is back."""
    await asyncio.to_thread(site.postgres.stop, "immediate")
    await people.all_acknowledged(1)
    await people.nothing_acknowledged(A_WHILE_S)
    await asyncio.to_thread(site.postgres.start)


# -- Everything at once ---------------------------------------------------------------------------


@fault("Redis and all servers killed at once; Redis flushes each entry to its file", FLUSHED)
async def everything_killed(site: Site, people: People) -> None:
    _kill_everything(site)
    await asyncio.to_thread(site.redis.start)
    await _start_all(site)


@fault("Redis and all servers killed at once, and Redis is empty", may_lose=True)
async def everything_lost(site: Site, people: People) -> None:
    """What was not saved is gone. What remains is the same for all."""
    await _lose_everything(site)


@fault("the same, 5 s after PostgreSQL was stopped", may_lose=True)
async def everything_lost_unsaved(site: Site, people: People) -> None:
    await asyncio.to_thread(site.postgres.stop, "immediate")
    await asyncio.sleep(5)
    await _lose_everything(site)


# -- One server alone -----------------------------------------------------------------------------


@fault("one server alone, with SQLite, killed (`kill -9`) and started again", ALONE)
async def kill_alone(site: Site, people: People) -> None:
    await site.servers[0].kill()
    await site.servers[0].start()


@fault("one server alone, with SQLite: its disk fails for 8 s", ALONE)
async def failing_disk(site: Site, people: People) -> None:
    """Nothing is acknowledged that the disk does not have."""
    with _failing_disk(site.servers[0]):
        await people.nothing_acknowledged(A_WHILE_S)
        await asyncio.sleep(6)


# -- How it is done -------------------------------------------------------------------------------


def _kill_servers(site: Site) -> None:
    for server in site.servers:
        os.kill(server.pid, signal.SIGKILL)


def _kill_everything(site: Site) -> None:
    _kill_servers(site)
    site.redis.kill()


async def _lose_everything(site: Site) -> None:
    _kill_everything(site)
    site.redis.empty()
    await asyncio.to_thread(site.postgres.start)
    await asyncio.to_thread(site.redis.start)
    await _start_all(site)


async def _start_all(site: Site) -> None:
    async with asyncio.TaskGroup() as tasks:
        for server in site.servers:
            await server.kill()  # it has ended, or is about to
            tasks.create_task(server.start(), name="start")


async def _others_go_on(people: People, seconds: float) -> None:
    """Let the time pass; somebody in each document types on meanwhile."""
    await asyncio.sleep(seconds / 2)
    await people.somebody_acknowledged()
    await asyncio.sleep(seconds / 2)


@contextmanager
def _failing_disk(server: ServerProcess) -> Iterator[None]:
    """No file may grow beyond a few pages: the kernel fails each write there."""
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)
