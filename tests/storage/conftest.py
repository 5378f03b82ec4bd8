"""Real databases with their tables: what is promised of them is promised of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collab.storage.database import Database, database_at
from tests.migrated import begin
from tests.storage.saving import Bench, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Of a database that is empty, or has the tables already."""
    if request.param == "sqlite":
        begin(tmp_path / "test.db")
        yield f"sqlite:///{tmp_path}/test.db"
        return
    async with request.getfixturevalue("postgres").database() as made:
        yield made


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = database_at(url)
    await opened.start()
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
async def bench(url: str) -> AsyncIterator[Bench]:
    async with running(url) as made:
        yield made
