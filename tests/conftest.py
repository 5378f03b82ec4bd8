"""Fixtures that many tests share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadGroupScheduling

from bench import postgres as postgres_servers
from bench import redis as redis_servers
from collab.cli import spare_the_collector
from tests.peer import Peer
from tests.postgres import Postgres
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bench.redis import RedisServer


MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 2 * 1024**3


def pytest_configure() -> None:
    """Files of tests lie in memory where there is enough of it: whether a disk keeps what it was
    given is not what they test. Tracebacks in the log are plain: to make a pretty one takes
    seconds.
    """
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback


# A machine may be busy with other things: no law says how fast an example is found or tried.
settings.register_profile("laws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")

LONG = (
    "tests/test_drill.py",
    "tests/browser/",
    "tests/whole/",
    "tests/test_workers.py",
    "tests/simulation/",
    "tests/test_bench.py",
)
"""What takes longest begins first: else one worker is left alone with it in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_collection_finish() -> None:
    """The garbage collector works as seldom as in a server: looking again and again at all that was
    collected here took a tenth of the time.
    """
    spare_the_collector()


class BrowserTogether(LoadGroupScheduling):  # type: ignore[misc]
    """One worker has the browser; all other tests go wherever there is room.

    xdist's own groups have no effect: it renames the tests of a group in a way that this pytest
    does not look at any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith("tests/browser/") else nodeid


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BrowserTogether | None:
    return BrowserTogether(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture
async def peers_are_closed() -> AsyncIterator[None]:
    """No test leaves a connection open to the next."""
    yield
    await Peer.close_all()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    """A server with the settings that it has by default."""
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """This worker's own PostgreSQL server."""
    with postgres_servers.private_server(**postgres_servers.UNSAFE) as server:
        yield Postgres(server)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """This worker's own Redis server. It writes nothing to the disk."""
    with redis_servers.private_server() as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """It, and it is empty. A test may stop it: nobody else uses it meanwhile."""
    redis_server.execute("FLUSHALL")
    try:
        yield redis_server
    finally:
        redis_server.resume()
        redis_server.start()
