"""Every test here has a Redis and a database that several servers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.site import Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bench.redis import RedisServer
    from tests.postgres import Postgres


@pytest.fixture(autouse=True)
def clean(peers_are_closed: None) -> None:
    """What `peers_are_closed` does, for every test."""


@pytest.fixture
def over_sqlite(tmp_path: Path, redis: RedisServer) -> Site:
    """Servers that are not started yet."""
    return Site(tmp_path, redis, "")


@pytest.fixture
async def site(over_sqlite: Site) -> AsyncIterator[Site]:
    async with over_sqlite.open() as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
async def either(
    request: pytest.FixtureRequest, tmp_path: Path, redis: RedisServer
) -> AsyncIterator[Site]:
    """The same over each of the databases."""
    if request.param == "sqlite":
        async with Site(tmp_path, redis, "").open() as opened:
            yield opened
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    async with postgres.database() as url, Site(tmp_path, redis, url).open() as opened:
        yield opened
