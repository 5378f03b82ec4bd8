"""A real database with its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collab.storage.database import Database
from collab.storage.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/test.db")
    await opened.start()
    migrate(opened.path)
    yield opened
    await opened.close()
