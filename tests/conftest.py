"""Fixtures that many tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog
from xdist.scheduler import LoadGroupScheduling

from bench.postgres import UNSAFE, private_server
from tests.peer import Peer
from tests.postgres import Postgres
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


def pytest_configure() -> None:
    """Tracebacks in the log are plain: to make a pretty one takes seconds."""
    structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback


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
    with private_server(**UNSAFE) as server:
        yield Postgres(server)
