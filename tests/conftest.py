"""Fixtures that many tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.peer import Peer
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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
